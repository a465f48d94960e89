"""Small folders in the hands of others: sentence-transformers, transformers' pipelines and Trainer."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

import bertprune as bp
from tests.model.tiny_families import KNOWN, build

TEXTS = ["the film was good", "bad plot and boring music it was not very fine acting", "awful"]
HEADS = bp.Step(method="magnitude", granularity="head", count=1, select=bp.Selection(layers=[1]))
NEURONS = bp.Step(method="magnitude", granularity="neuron", fraction=0.25)


GIVEN: list[tuple[dict[str, Any], list[bp.Step]]] = [
    ({"pooling": "cls"}, [NEURONS]),
    ({"pooling": "cls"}, [NEURONS, HEADS]),
    ({"inside": "0_Transformer", "dense": True}, [NEURONS, HEADS]),
    ({"model_cls": "RobertaModel"}, [NEURONS, HEADS]),
    ({"dtype": "float16"}, [NEURONS, HEADS]),
]


def test_sentence_transformers_gives_the_embeddings_of_the_masked_model(
    sentence_folder: Callable[..., Path], tmp_path: Path, subtests: pytest.Subtests
) -> None:
    from sentence_transformers import SentenceTransformer

    for number, (given, steps) in enumerate(GIVEN):
        with subtests.test(f"{given}, {len(steps)}"):
            run, here = bp.prune(sentence_folder(**given), steps), tmp_path / str(number)
            bp.export(run, here / "baked")
            bp.export(run, here / "small", "small")
            baked, small = (SentenceTransformer(str(here / name), device="cpu").float() for name in ("baked", "small"))
            np.testing.assert_allclose(small.encode(TEXTS), baked.encode(TEXTS), atol=1e-5)
            assert sum(p.numel() for p in small.parameters()) < sum(p.numel() for p in baked.parameters())


def test_a_t5_with_unequal_layers_is_refused_where_sentence_transformers_could_not_load_it(tmp_path: Path) -> None:
    build(*KNOWN["t5"]).save_pretrained(tmp_path / "given")
    modules = [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}]
    (tmp_path / "given" / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(bp.BertpruneError, match="only models with equal layers and all heads"):
        bp.export(bp.prune(tmp_path / "given", HEADS), tmp_path / "out", "small")
    assert bp.export(bp.prune(tmp_path / "given", NEURONS), tmp_path / "out", "small").loads == "plain"


def test_a_small_folder_is_fine_tuned_saved_and_loaded_again(tiny_folder: Callable[..., Path], tmp_path: Path) -> None:
    pytest.importorskip("accelerate", reason="transformers' Trainer needs it")
    from transformers import AutoModelForSequenceClassification, Trainer, TrainingArguments

    bp.export(bp.prune(tiny_folder(), [NEURONS, HEADS]), tmp_path / "small", "small")
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "small")
    data = [{"input_ids": [2, at + 5, 3], "attention_mask": [1, 1, 1], "labels": at % 2} for at in range(8)]
    told = TrainingArguments(
        str(tmp_path / "training"), max_steps=2, report_to=[], use_cpu=True, save_strategy="no", disable_tqdm=True
    )
    before = model.bert.encoder.layer[1].attention.self.query.weight.detach().clone()
    with torch.random.fork_rng(devices=[]):
        trainer = Trainer(model, told, train_dataset=data)
        trainer.train()
        trainer.save_model(str(tmp_path / "trained"))
    ids = torch.tensor([[2, 7, 11, 13, 3]])
    for back in (
        bp.load(tmp_path / "trained"),
        AutoModelForSequenceClassification.from_pretrained(tmp_path / "trained"),
    ):
        assert not torch.equal(back.bert.encoder.layer[1].attention.self.query.weight, before)
        with torch.no_grad():
            torch.testing.assert_close(back.eval()(ids).logits, model.eval()(ids).logits)
        assert all(torch.equal(value, model.state_dict()[name]) for name, value in back.state_dict().items())


def test_a_pipeline_runs_with_the_tokenizer_of_the_folder(tiny_folder: Callable[..., Path], tmp_path: Path) -> None:
    run = bp.prune(tiny_folder(), [NEURONS, HEADS])
    bp.export(run, tmp_path / "small", "small")
    (found,) = transformers.pipeline("text-classification", str(tmp_path / "small"), device="cpu")("the film was good")
    ids = run.checkpoint.tokenizer()("the film was good", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        expected = float(run.model(ids).logits.softmax(-1).max())
    assert found["score"] == pytest.approx(expected, rel=1e-4)
    assert type(transformers.AutoTokenizer.from_pretrained(tmp_path / "small")) is type(run.checkpoint.tokenizer())


def test_it_is_evaluated_as_the_masked_model_is(tiny_folder: Callable[..., Path], tmp_path: Path) -> None:
    run = bp.prune(tiny_folder(), [NEURONS, HEADS])
    bp.export(run, tmp_path / "small", "small")
    (tmp_path / "data.csv").write_text("text,label\nthe film was good,1\nbad plot,0\nawful,0\nfine,1\n")
    masked, small = (bp.evaluate(one, tmp_path / "data.csv") for one in (run, tmp_path / "small"))
    assert small.to_dict() and masked.to_dict()

"""Embedding models are measured as their folder embeds texts; heads without a measure are refused by name."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from scipy.stats import spearmanr

import bertprune as bp
from bertprune.errors import DataError

PAIRS = [
    ("the film was good", "great film", 4.5),
    ("bad plot and boring music it was not very fine acting it was bad", "awful", 3.0),
    ("fine acting", "the music was boring", 1.0),
    ("good", "bad", 0.5),
]
TEXTS = [text for text, _, _ in PAIRS]
STEP = bp.Step(method="l1_unstructured", fraction=0.5, select="encoder.*")


def cosines_of_library(folder: Path, **options: Any) -> Any:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    one, other = (model.encode([pair[side] for pair in PAIRS], convert_to_tensor=True, **options) for side in (0, 1))
    return torch.cosine_similarity(one.double(), other.double()).numpy()


@pytest.mark.parametrize("inside", ["", "0_Transformer"])
def test_pairs_are_scored_by_the_folders_own_modules(inside: str, sentence_folder: Callable[..., Path]) -> None:
    folder = sentence_folder("cls", dense=True, normalize=True, inside=inside)
    report = bp.evaluate(folder, PAIRS)
    expected = cosines_of_library(folder)
    assert report["spearman"].after.value == pytest.approx(spearmanr(expected, [row[2] for row in PAIRS]).statistic)
    assert report["pearson"].after.value == pytest.approx(
        np.corrcoef(expected, [row[2] for row in PAIRS])[0, 1], abs=1e-3
    )
    assert report.max_length == 12
    assert report.notes[0] == "1 of 8 texts were truncated to 12 tokens"
    assert report.notes[1] == f"{folder.name} embeds texts by its own modules: cls pooling, Dense 32 → 8, Normalize"


def test_the_prompt_of_the_folder_is_used_and_said(sentence_folder: Callable[..., Path]) -> None:
    prompts = {"prompts": {"query": "query: ", "passage": "passage: "}, "default_prompt_name": "query"}
    folder = sentence_folder(settings=prompts, pool={"include_prompt": False})
    report = bp.evaluate(folder, PAIRS)
    assert report["pearson"].after.value == pytest.approx(
        np.corrcoef(cosines_of_library(folder), [row[2] for row in PAIRS])[0, 1]
    )
    assert "every text begins with the prompt 'query: '" in report.notes
    one = bp.try_text(folder, PAIRS[0][0], text_pair=PAIRS[0][1])
    assert one.figures[0].after == pytest.approx(cosines_of_library(folder)[0], abs=1e-6)
    assert "note: every text begins with the prompt 'query: '" in str(one).splitlines()
    assert one.to_dict()["notes"] == one.notes


def test_a_pruned_run_is_compared_in_its_own_embeddings(sentence_folder: Callable[..., Path]) -> None:
    folder = sentence_folder("cls")
    run = bp.prune(folder, STEP)
    report = bp.evaluate(run, TEXTS)
    states = []
    for model in (run.checkpoint.load(), run.model):
        batch = run.checkpoint.tokenizer()(TEXTS, padding=True, truncation=True, max_length=12, return_tensors="pt")
        states.append(model(**batch).last_hidden_state[:, 0].detach())
    assert report["embedding_cosine"].value == pytest.approx(torch.cosine_similarity(*states).mean().item(), abs=1e-6)
    objects = bp.evaluate(run.model, TEXTS, baseline=run.checkpoint)
    assert (dict(objects.fidelity), objects.notes) == (dict(report.fidelity), report.notes)


def test_each_side_is_embedded_by_its_own_folder(sentence_folder: Callable[..., Path]) -> None:
    one, other = sentence_folder("cls"), sentence_folder("max")
    report = bp.evaluate(one, TEXTS, baseline=other)
    assert report["embedding_cosine"].value < 0.99
    assert [note for note in report.notes if "pooling" in note] == [
        f"{other.name} embeds texts by its own modules: max pooling",
        f"{one.name} embeds texts by its own modules: cls pooling",
    ]


def test_a_plain_folder_says_that_mean_pooling_was_assumed(tiny_folder: Callable[..., Path]) -> None:
    folder = tiny_folder("BertModel")
    assumed = "mean pooling was assumed: no modules.json says how to embed a text"
    assert bp.evaluate(folder, PAIRS).notes == (assumed,)
    assert bp.try_text(folder, "good", text_pair="bad").notes == (assumed,)
    assert bp.try_text(tiny_folder(), "good").notes == ()


def test_a_masked_model_that_embeds_texts_is_measured_as_one(sentence_folder: Callable[..., Path]) -> None:
    folder = sentence_folder("cls", model_cls="BertForMaskedLM")
    assert bp.evaluate(folder, TEXTS, baseline=folder).task == "embedding"


def test_a_module_that_is_not_supported_is_named(sentence_folder: Callable[..., Path]) -> None:
    folder = sentence_folder()
    text = (folder / "modules.json").read_text()
    (folder / "modules.json").write_text(text.replace("models.Pooling", "models.LSTM"))
    with pytest.raises(DataError, match=r"modules\.json has LSTM, which is not supported"):
        bp.evaluate(folder, PAIRS)


OTHER_HEADS = {
    "BertForTokenClassification": "a label for each token",
    "BertForQuestionAnswering": "a span of the text",
    "BertForMultipleChoice": "a choice among several texts",
    "BertLMHeadModel": "the next word",
    "RobertaForCausalLM": "the next word",
    "BertForNextSentencePrediction": "another kind of output",
}


def test_heads_of_other_tasks_are_refused_by_name(
    tiny: Callable[..., Any], tiny_tokenizer: Any, subtests: pytest.Subtests
) -> None:
    for model_cls in OTHER_HEADS:
        with subtests.test(model_cls):
            base = "RobertaModel" if model_cls.startswith("Roberta") else "BertModel"
            model = getattr(transformers, model_cls)(tiny(base, is_decoder="next" in OTHER_HEADS[model_cls]).config)
            for call in (
                lambda: bp.evaluate(model, TEXTS, tokenizer=tiny_tokenizer),
                lambda: bp.try_text(model, "good", baseline=model, tokenizer=tiny_tokenizer),
            ):
                with pytest.raises(
                    DataError, match=f"^{model_cls} answers with {OTHER_HEADS[model_cls]}; evaluation"
                ) as caught:
                    call()
                assert "score this model with a metric of its own task" in str(caught.value)


def test_an_encoder_without_its_head_can_still_be_compared(tiny: Callable[..., Any], tiny_tokenizer: Any) -> None:
    one, other = tiny("BertForTokenClassification"), tiny("BertForTokenClassification", seed=1)
    report = bp.evaluate(one.base_model, TEXTS, baseline=other.base_model, tokenizer=tiny_tokenizer)
    assert report.task == "embedding"


def test_a_cross_encoder_scores_as_its_library_does(
    tiny_folder: Callable[..., Path], subtests: pytest.Subtests
) -> None:
    from sentence_transformers import CrossEncoder

    for activation in ["Sigmoid", "Identity", "Tanh"]:
        with subtests.test(activation):
            folder = tiny_folder("BertForSequenceClassification", num_labels=1)
            library = CrossEncoder(str(folder), device="cpu", activation_fn=getattr(torch.nn, activation)())
            with torch.no_grad():
                library.model.classifier.weight.mul_(200)  # so that a bend in the scores shows
            library.save_pretrained(str(folder / "saved"))
            expected = library.predict([pair[:2] for pair in PAIRS])
            report, one = (
                bp.evaluate(folder / "saved", PAIRS),
                bp.try_text(folder / "saved", PAIRS[0][0], text_pair=PAIRS[0][1]),
            )
            assert report["pearson"].after.value == pytest.approx(
                np.corrcoef(expected, [row[2] for row in PAIRS])[0, 1], abs=1e-5
            )
            assert one.figures[0].after == pytest.approx(expected[0], abs=1e-5)
            said = () if activation == "Identity" else (f"the folder's {activation} is applied to the model's outputs",)
            assert (report.notes, one.notes) == (said, said)


def test_an_activation_that_is_not_known_is_refused(tiny_folder: Callable[..., Path]) -> None:
    folder = tiny_folder("BertForSequenceClassification", num_labels=1)
    config = json.loads((folder / "config.json").read_text())
    for given in ({"sentence_transformers": {"activation_fn": "torch.nn.modules.activation.Tanh"}}, {"plain": 1}):
        (folder / "config.json").write_text(json.dumps(config | given))
        assert len(bp.evaluate(folder, PAIRS).notes) == ("plain" not in given)
    (folder / "config.json").write_text(json.dumps(config | {"sbert_ce_default_activation_function": "own.Code"}))
    with pytest.raises(DataError, match=r"its scores go through own\.Code, which is not supported"):
        bp.evaluate(folder, PAIRS)

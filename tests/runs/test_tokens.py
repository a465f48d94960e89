"""The vocabulary cut: what goes, what stays, and that everything that needs none of what went is as it was."""

import json
import pickle
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

import bertprune as bp
from bertprune.checkpoint.vocabulary import cut_tokenizer, read_vocabulary
from bertprune.errors import BertpruneError
from tests.calibration_texts import TEXTS
from tests.runs.trained_tokenizers import CORPUS, KINDS, byte_level, other_tokens
from tests.tiny_models import make_model


@pytest.fixture(scope="module", params=KINDS)
def source(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a checkpoint with each kind of tokenizer, one row of its embeddings more than it has tokens."""
    make, model_cls = KINDS[request.param]
    tokenizer, folder = make(), tmp_path_factory.mktemp("tokens") / "source"
    ids = {
        f"{name}_token_id": tokenizer.convert_tokens_to_ids(getattr(tokenizer, f"{name}_token"))
        for name in ("pad", "bos", "eos")
        if getattr(tokenizer, f"{name}_token")
    }
    model = make_model(model_cls, vocab_size=len(tokenizer) + 1, max_position_embeddings=100, **ids)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def run(source: Path) -> Any:
    """Give a run that cuts the vocabulary; tests only look at it."""
    return bp.prune(source, step(many(source)), calibration=TEXTS)


def step(count: int) -> bp.Step:
    return bp.Step(method="token_count", granularity="token", count=count)


def many(folder: Path) -> int:
    """How many tokens tests remove: more than those that the texts do not use, where there are enough."""
    return 8 if '"Unigram"' in (folder / "tokenizer.json").read_text() else 60


def answers(model: Any, ids: list[int]) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(input_ids=torch.tensor([ids])).logits
    return found


def test_texts_whose_tokens_all_stay_read_and_answer_as_before(source: Path, run: Any) -> None:
    before, after, kept = run.checkpoint.tokenizer(), run.tokenizer, run.cut.kept
    assert len(kept) == run.checkpoint.config.vocab_size - many(source) == run.model.config.vocab_size
    dense, places = run.checkpoint.model(), {int(old): new for new, old in enumerate(kept)}
    same = 0
    for text in CORPUS:
        ids = before(text)["input_ids"]
        if set(ids) <= places.keys():
            same += 1
            assert after(text)["input_ids"] == [places[one] for one in ids]
            assert after.tokenize(text) == before.tokenize(text)
            wide, narrow = answers(dense, ids), answers(run.model, after(text)["input_ids"])
            assert torch.equal(wide[..., kept] if wide.shape[-1] > narrow.shape[-1] else wide, narrow)
    assert same >= len(TEXTS) // 2
    assert after.all_special_tokens == before.all_special_tokens
    for text in ("Q ü 한 \u4e00", "xyzzy 0"):
        assert after.unk_token_id is None or after(text)["input_ids"].count(after.unk_token_id) <= before(text)[
            "input_ids"
        ].count(before.unk_token_id)


def test_the_least_used_go_and_of_equals_the_higher_ids(source: Path, run: Any) -> None:
    tokenizer = run.checkpoint.tokenizer()
    uses = [0] * run.checkpoint.config.vocab_size
    for text in TEXTS:
        for one in tokenizer(text)["input_ids"]:
            uses[one] += 1
    kept = set(run.cut.kept.tolist())
    gone = [one for one in range(len(uses)) if one not in kept]
    assert len(gone) == many(source) and gone[-1] == len(uses) - 1
    (outcome,) = run.steps
    assert outcome.tokens.changed == sum(not kept.issuperset(tokenizer(text)["input_ids"]) for text in TEXTS)
    assert outcome.tokens.used == sum(uses[one] > 0 for one in gone)
    pieces = tokenizer.convert_ids_to_tokens(gone[:-1])
    assert all(len(piece.removeprefix("##")) > 1 for piece in pieces)
    known = read_vocabulary(tokenizer, "x")
    if not known.parts:  # no piece is part of another
        free = [one for one in range(len(uses)) if one not in known.stay]
        assert gone == sorted(sorted(free, key=lambda one: (uses[one], -one))[: many(source)])


def test_it_leaves_in_every_form_and_loads_without_us(source: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(source, tmp_path / "source"))
    (folder / "sentencepiece.bpe.model").write_bytes(b"old")
    (folder / "generation_config.json").write_text(json.dumps({"pad_token_id": 1, "max_length": 9}))
    recipe = [
        bp.Step(method="l1_unstructured", fraction=0.3),
        step(many(folder)),
        bp.Step(method="magnitude", granularity="neuron", fraction=0.3, select=bp.Selection(layers=[0])),
        bp.Step(method="magnitude", granularity="head", count=1),
        bp.Step(method="l1_unstructured", fraction=0.3),
    ]
    run = bp.prune(folder, recipe, calibration=TEXTS)
    name = run.checkpoint.facts.architecture
    for form in ("baked", "masked", "small"):
        out = tmp_path / form
        bp.export(run, out, form)
        tokenizer = transformers.AutoTokenizer.from_pretrained(out)
        assert not (out / "sentencepiece.bpe.model").exists() and not (out / "vocab.txt").exists()
        opened = bp.Checkpoint.open(out)
        assert opened.config.vocab_size == len(run.cut.kept)
        model = opened.load() if form != "baked" else getattr(transformers, name).from_pretrained(out).eval()
        for text in TEXTS[:5]:
            ids = tokenizer(text)["input_ids"]
            assert ids == run.tokenizer(text)["input_ids"]
            assert torch.allclose(answers(model, ids), answers(run.model, ids), atol=1e-6)
        assert f"{many(folder)} tokens were taken out" in (out / "README.md").read_text()
        written = json.loads((out / "generation_config.json").read_text())
        assert written == {"pad_token_id": run.cut.kept.tolist().index(1), "max_length": 9}
    assert bp.evaluate(tmp_path / "baked", TEXTS, baseline=folder).examples == len(TEXTS)


def test_a_run_is_evaluated_tried_pickled_and_undone(tiny_folder: Callable[..., Path]) -> None:
    source = tiny_folder("BertForMaskedLM")
    run = bp.prune(source, step(12), calibration=TEXTS)
    assert bp.evaluate(run, TEXTS).examples == len(TEXTS)
    mask = run.tokenizer.mask_token
    assert bp.try_text(run, f"the film was {mask}")
    again = pickle.loads(pickle.dumps(run))
    assert again.cut == run.cut and again.tokenizer.get_vocab() == run.tokenizer.get_vocab()
    assert not bp.prune(source, bp.Recipe()).cut
    assert "torch does not take tokens out of a model" in run.as_python()
    assert any(note.startswith("removed 12 of") for note in run.notes)
    assert run.report.model.size == sum(parameter.numel() for parameter in run.model.parameters())
    assert run.recipe.calibration.count == len(TEXTS)


def test_all_texts_are_counted_and_not_only_those_drawn(tmp_path: Path, tiny_folder: Callable[..., Path]) -> None:
    texts = ["the film was good"] * 600 + ["boring plot"]
    counted = bp.prune(tiny_folder(), step(10), calibration=bp.Calibration(texts, count=5))
    assert {"boring", "plot"} <= counted.tokenizer.get_vocab().keys()
    assert not {"music", "acting"} & counted.tokenizer.get_vocab().keys()


def test_the_steps_after_it_read_with_the_cut_tokenizer(tiny_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder = tiny_folder("BertForSequenceClassification")
    wanda = bp.Step(method="wanda", fraction=0.5, scope="row", select=bp.Selection(roles="ffn.output"))
    both = bp.prune(folder, [step(12), wanda], calibration=TEXTS[:20])
    bp.export(bp.prune(folder, step(12), calibration=TEXTS[:20]), tmp_path / "cut")
    alone = bp.prune(tmp_path / "cut", wanda, calibration=TEXTS[:20])
    for name, mask in alone.masks.items():
        assert torch.equal(both.masks[name], mask)
    layers = bp.prune(folder, [bp.Step(granularity="layer", fraction=1.0, select=bp.Selection(layers=[0])), step(12)],
                      calibration=TEXTS[:20])  # fmt: skip
    bp.export(layers, tmp_path / "both")
    assert bp.Checkpoint.open(tmp_path / "both").config.num_hidden_layers == 1


KEPT = [
    (step(96), "prune.tokens_stay"),
    (step(98), "prune.not_enough"),
    (bp.Step(granularity="token", count=1, select="embeddings.*"), "selection.tokens"),
    (bp.Step(granularity="token", count=1, scope="global"), "method.scope"),
]


def test_what_cannot_be_removed_is_refused(tiny_folder: Callable[..., Path], subtests: pytest.Subtests) -> None:
    folder = tiny_folder()
    for asked, code in KEPT:
        with subtests.test(code):
            with pytest.raises(BertpruneError) as caught:
                bp.prune(folder, asked, calibration=TEXTS)
            assert caught.value.code == code


def test_a_model_alone_and_a_slow_tokenizer_are_refused(tiny_folder: Callable[..., Path]) -> None:
    with pytest.raises(BertpruneError) as caught:
        bp.apply(make_model("BertModel"), step(1), calibration=[{"input_ids": torch.tensor([[5, 6]])}])
    assert caught.value.code == "prune.tokens_of_model"
    with pytest.raises(BertpruneError) as caught:
        bp.prune(tiny_folder(), step(1))
    assert caught.value.code == "calibration.needed"
    with pytest.raises(BertpruneError) as caught:
        bp.prune(tiny_folder(tokenizer=False), step(1), calibration=TEXTS)
    assert caught.value.code == "checkpoint.no_tokenizer"


def test_a_model_that_lost_tokens_is_exported_by_its_run(tiny_folder: Callable[..., Path], tmp_path: Path) -> None:
    run = bp.prune(tiny_folder(), step(5), calibration=TEXTS)
    with torch.no_grad():
        run.model.classifier.bias.add_(1)
    bp.export(run, tmp_path / "out")
    assert torch.equal(bp.load(tmp_path / "out").classifier.bias, run.model.classifier.bias)
    with pytest.raises(BertpruneError) as caught:
        bp.export(run.model, tmp_path / "other", like=run.checkpoint)
    assert caught.value.code == "exports.other_vocabulary"


def test_a_preview_counts_tokens(tiny_folder: Callable[..., Path]) -> None:
    source = tiny_folder()
    recipe = [step(12), bp.Step(method="l1_unstructured", fraction=0.5)]
    first, second = bp.preview(source, recipe).steps
    run = bp.prune(source, recipe, calibration=TEXTS)
    assert first.needs_texts and first.removed == (run.steps[0].removed,) * 2
    assert second.removed[0] <= run.steps[1].removed <= second.removed[1]


@given(seed=st.integers(0, 10**6), count=st.integers(1, 80))
def test_byte_level_pieces_keep_what_they_are_merged_from(seed: int, count: int) -> None:
    tokenizer = byte_level()
    known = read_vocabulary(tokenizer, "x")
    drawn = random.Random(seed).sample(sorted(set(range(len(tokenizer))) - known.stay), count)
    kept, waiting = set(range(len(tokenizer))) - set(drawn), sorted(set(range(len(tokenizer))) - set(drawn))
    while waiting:
        for part in known.parts.get(waiting.pop(), ()):
            if part not in kept:
                kept.add(part)
                waiting.append(part)
    order = sorted(kept)
    cut = cut_tokenizer(tokenizer, order, "x")
    for text in CORPUS:
        ids = tokenizer(text)["input_ids"]
        if kept.issuperset(ids):
            assert cut(text)["input_ids"] == [order.index(one) for one in ids]
        assert cut.decode(cut(text)["input_ids"]) == tokenizer.decode(ids)


def test_a_large_multilingual_vocabulary_is_cut_to_two_languages(tmp_path: Path) -> None:
    """A table of 40,002 rows with the special tokens of XLM-R, in small widths."""
    letters = [chr(code) for code in (*range(0x61, 0x7B), *range(0xAC00, 0xAC00 + 400))]
    pieces = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    pieces += [(letter, -9.0) for letter in letters]
    pieces += [(f"{a}{b}{c}", -10.0) for a in letters[:26] for b in letters[:26] for c in letters[:26]]
    pieces += [(f"▁{a}{b}", -8.0 - at / 1e6) for at, (a, b) in enumerate((a, b) for a in letters for b in letters)]
    pieces = [*pieces[:40_001], ("<mask>", 0.0)]
    raw = Tokenizer(models.Unigram(pieces, unk_id=3))
    raw.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=raw, **other_tokens())
    config = transformers.XLMRobertaConfig(
        vocab_size=len(tokenizer), hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8,
        max_position_embeddings=40,
    )  # fmt: skip
    transformers.XLMRobertaForMaskedLM(config).save_pretrained(tmp_path / "wide")
    tokenizer.save_pretrained(tmp_path / "wide")
    texts = ["the film was good", "가각 간갇 갈"]
    run = bp.prune(tmp_path / "wide", step(len(tokenizer) - 1000), calibration=texts)
    result = bp.export(run, tmp_path / "narrow")
    assert result.files["model.safetensors"] < (tmp_path / "wide/model.safetensors").stat().st_size / 20
    narrow = transformers.AutoTokenizer.from_pretrained(tmp_path / "narrow")
    assert [narrow.tokenize(text) for text in texts] == [tokenizer.tokenize(text) for text in texts]
    assert len(narrow) == 1000 and narrow.convert_tokens_to_ids(["<s>", "<pad>", "</s>", "<mask>"]) == [0, 1, 2, 999]
    kept, options = run.cut.kept, {"padding": True, "return_tensors": "pt"}
    with torch.no_grad():
        expected, found = (
            transformers.AutoModelForMaskedLM.from_pretrained(tmp_path / folder)
            .eval()(**reader(texts, **options))
            .logits
            for folder, reader in (("wide", tokenizer), ("narrow", narrow))
        )
    assert torch.equal(found, expected[..., kept])  # positions, which count from the padding's id, are the same too

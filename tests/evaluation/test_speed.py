"""`bp.speed`: what is counted, and that both models run the same batches in turn; no time is asserted."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import bertprune as bp
from bertprune.model.macs import encoder_macs
from tests.tiny_models import make_model, make_tokenizer

HALF = bp.Step(method="magnitude", granularity="neuron", fraction=0.5)


def test_sizes_are_counted_as_stored(tiny_folder: Callable[..., Path]) -> None:
    large, small = tiny_folder(), tiny_folder(intermediate_size=32)
    report = bp.speed(small, against=large, rounds=2)
    assert report.before is not None and (report.before.name, report.after.name) == (large.name, small.name)
    for side, folder in ((report.before, large), (report.after, small)):
        model = bp.load(folder)
        parameters = sum(one.numel() for one in model.parameters())
        assert (side.parameters, side.dtype) == (parameters, "float32")
        assert side.memory == 4 * parameters + sum(one.nbytes for one in model.buffers())
        assert side.disk == (folder / "model.safetensors").stat().st_size
        assert side.macs_at(7) == encoder_macs(model, 7)


def test_made_up_texts_fit_the_positions_of_both(tiny_folder: Callable[..., Path]) -> None:
    report = bp.speed(tiny_folder(max_position_embeddings=20), against=tiny_folder(), rounds=2)
    assert [(timing.batch, timing.tokens) for timing in report.timings] == [(1, 20), (16, 20)]
    longer = bp.speed(tiny_folder(max_position_embeddings=200), rounds=2)
    assert [(timing.batch, timing.tokens) for timing in longer.timings] == [(1, 32), (1, 128), (16, 32)]
    assert (longer.before, longer.timings[0].before, longer.timings[0].ratio) == (None, None, None)
    assert bp.speed(make_model("RobertaModel"), rounds=2).timings[0].tokens == 31


def test_masks_are_baked_and_save_nothing(tiny_folder: Callable[..., Path]) -> None:
    run = bp.prune(tiny_folder(), HALF)
    report = bp.speed(run, rounds=2)
    assert report.before is not None and report.before.parameters == report.after.parameters
    before, after = report.timings[0].macs
    assert before is not None and before == after
    assert "baked" in report.notes[0] and run.model.bert.encoder.layer[0].output.dense.weight_mask is not None
    assert report.after.name == f"{run.checkpoint.name}, pruned"


def test_a_half_folder_is_timed_as_it_loads(tiny_folder: Callable[..., Path]) -> None:
    folder = tiny_folder(dtype="float16")
    report = bp.speed(bp.prune(folder, HALF), rounds=2)
    assert report.before is not None and report.before.dtype == report.after.dtype == "float16"
    held = bp.speed(bp.load(folder), against=folder, rounds=2)
    assert held.before is not None and (held.before.dtype, held.after.dtype) == ("float16", "float32")
    assert len(held.notes) == 1 and "as it loads" in held.notes[0]


def recorded(model: Any, name: str, into: list[tuple[str, torch.Tensor]]) -> Any:
    model.register_forward_pre_hook(
        lambda module, args, given: into.append((name, given["input_ids"])), with_kwargs=True
    )
    return model


def test_both_run_the_same_texts_in_turn() -> None:
    seen: list[tuple[str, torch.Tensor]] = []
    one, other = (recorded(make_model("BertModel"), name, seen) for name in "ab")
    texts = ["the film was good", "bad", "the plot was very boring and the acting awful"]
    report = bp.speed(one, against=other, texts=texts, tokenizer=make_tokenizer(), rounds=4)
    turns = [(seen[at], seen[at + 1]) for at in range(0, len(seen), 2)]
    assert all({first[0], second[0]} == {"a", "b"} and first[1].equal(second[1]) for first, second in turns)
    leaders = [first[0] for first, _ in turns]
    assert leaders.count("a") == leaders.count("b")
    assert [len(ids) for (_, ids), _ in turns] == [1] * 6 + [16] * 6
    assert {ids.shape[1] for (_, ids), _ in turns[2:6]} == {3, 6, 11}
    assert {timing.tokens for timing in report.timings} == {20 / 3}
    assert report.texts == 3 and report.data_name == "the list"


def test_each_is_given_its_own_tokens(tiny_folder: Callable[..., Path]) -> None:
    letters = tiny_folder()
    vocabulary = json.loads((letters / "tokenizer.json").read_text())
    for word in ("film", "the"):
        del vocabulary["model"]["vocab"][word]
    (letters / "tokenizer.json").write_text(json.dumps(vocabulary))
    report = bp.speed(letters, against=tiny_folder(), texts=["the film"], rounds=2)
    before, after = report.timings[0].macs
    assert before is not None and after is not None and after > before
    assert report.timings[0].tokens == 2 + len("thefilm")


def test_pairs_are_joined_for_a_classifier_only() -> None:
    pairs = [("good", "bad"), ("fine", "boring film")]
    for model, tokens in (("BertForSequenceClassification", 5.5), ("BertModel", 3.25)):
        found = bp.speed(make_model(model), texts=pairs, tokenizer=make_tokenizer(), rounds=2)
        assert found.timings[0].tokens == tokens


@pytest.mark.usefixtures("unchanged")
def test_nothing_is_changed(tiny_folder: Callable[..., Path]) -> None:
    model = make_model("BertModel").train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    bp.speed(model, rounds=2)
    assert model.training and all(value.equal(before[name]) for name, value in model.state_dict().items())


@pytest.fixture
def unchanged() -> Any:
    """Fail if torch's global random state has changed afterwards."""
    state = torch.get_rng_state()
    yield
    assert torch.equal(state, torch.get_rng_state())


def test_an_unknown_family_has_no_macs() -> None:
    report = bp.speed(make_model("SqueezeBertModel", embedding_size=32), rounds=2)
    assert report.after.macs is None and report.timings[0].macs == (None, None)
    assert next(line for line in report.to_text().splitlines() if line.startswith("MACs")).split()[-1] == "-"


def test_the_report_as_text_and_data(tiny_folder: Callable[..., Path]) -> None:
    large, small = tiny_folder(), tiny_folder(intermediate_size=32)
    report = bp.speed(small, against=large, rounds=3)
    lines = report.to_text().splitlines()
    assert lines[0].startswith(
        f"{large.name} -> {small.name}: 3 rounds on made-up token ids, {torch.get_num_threads()} thread"
    )
    assert str(report) == report.to_text() and f"{report.after.parameters:,}" in report.to_text()
    starts = [line.split("  ")[0] for line in lines[3:]]
    assert starts[:4] == ["runs in", "parameters", "weights in memory", "weights on disk"]
    assert starts[4:] == ["MACs, text of 32 tokens"] + [
        f"{what}, {size} × 32 tokens" for size in (1, 16) for what in ("latency", "tokens a second")
    ]
    plain = json.loads(json.dumps(report.to_dict()))
    assert plain["after"]["parameters"] == report.after.parameters
    ratio = plain["timings"][0]["ratio"]
    assert ratio["low"] <= ratio["value"] <= ratio["high"]


def test_progress_is_told_and_may_cancel(tiny_folder: Callable[..., Path]) -> None:
    seen: list[float] = []
    bp.speed(tiny_folder(), rounds=2, progress=lambda share, words: seen.append(share))
    assert seen == sorted(seen) and seen[-1] == 1

    def cancel(share: float, words: str) -> None:
        if words.startswith("timing"):
            raise KeyboardInterrupt

    model = make_model("BertModel").train()
    with pytest.raises(KeyboardInterrupt):
        bp.speed(model, rounds=2, progress=cancel)
    assert model.training


UNTIMED: list[tuple[dict[str, Any], str]] = [
    ({"rounds": 1}, "evaluation.not_whole"),
    ({"texts": ["good"]}, "speed.no_tokenizer"),
    ({"texts": 3}, "calibration.kind"),
    ({"against": 3}, "evaluation.model_type"),
    ({"texts": ["good"], "tokenizer": 3}, "evaluation.tokenizer_type"),
]


def test_what_cannot_be_timed_is_refused(subtests: pytest.Subtests) -> None:
    model = make_model("BertModel")
    for given, code in UNTIMED:
        with subtests.test(f"{code}: {given}"):
            with pytest.raises(bp.BertpruneError) as caught:
                bp.speed(model, **given)
            assert caught.value.code == code

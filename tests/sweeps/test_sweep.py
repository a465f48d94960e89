"""A sweep: what it measures and what it keeps."""

import json
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest
import torch
from safetensors import safe_open

import bertprune as bp
from tests.calibration_texts import NEURONS, TEXTS
from tests.tiny_models import make_tokenizer

from .conftest import REVIEWS
from .executors import HALF, MIXED, Immediate, contents


def test_each_row_is_what_pruning_and_measuring_by_hand_gives(folder, tmp_path, executor):
    found = bp.sweep(folder, MIXED, REVIEWS, calibration=TEXTS, seed=3, executor=executor)
    assert [row.name for row in found.rows] == ["dense", *MIXED] and found.notes == ()
    assert (found.measure, found.examples, found.axis) == ("accuracy", len(REVIEWS), "macs")
    for row, recipe in zip(found.rows[1:], MIXED.values(), strict=True):
        run = bp.prune(folder, recipe, seed=3, calibration=TEXTS)
        score = bp.evaluate(run, REVIEWS, seed=3)["accuracy"]
        one = row.measured
        assert (one.quality.value, one.quality.low, one.difference.high) == (
            score.after.value,
            score.after.low,
            score.difference.high,
        )
        form = "baked" if row.name == "entries" else "small"
        written = bp.export(run, tmp_path / row.name, form=form)
        assert one.loads == written.loads
        with safe_open(written.path / "model.safetensors", "pt") as file:
            assert one.bytes == sum(file.get_tensor(name).nbytes for name in file.keys())  # noqa: SIM118
        smaller = bp.load(written.path)
        entries = sum(module.weight.numel() for module in smaller.bert.encoder.modules() if hasattr(module, "weight")
                      and module.weight.dim() == 2)  # fmt: skip
        pairs = sum(2 * layer.attention.self.value.out_features for layer in smaller.bert.encoder.layer)
        assert one.macs == pytest.approx(entries * found.length + pairs * found.length**2)
    check_sparsity(found.table.sparsity, bp.Checkpoint.open(folder).model().bert.encoder)


def test_all_recipes_are_measured_on_the_same_sample(folder, executor):
    found = bp.sweep(folder, {"half": HALF}, REVIEWS, sample=9, seed=3, executor=executor)
    score = bp.evaluate(bp.prune(folder, HALF, seed=3), REVIEWS, sample=9, seed=3)["accuracy"]
    assert [row.measured.quality.value for row in found.rows] == [score.before.value, score.after.value]
    assert found.examples == 9 and found.notes == ("9 of 24 rows were drawn by the seed",)


def check_sparsity(sparsity, encoder):
    """See that it is of the encoder's Linear weights."""
    full, layer = (
        sum(one.weight.numel() for one in part.modules() if isinstance(one, torch.nn.Linear))
        for part in (encoder, encoder.layer[1])
    )
    assert sparsity["dense"] == 0.0
    assert sparsity["entries"] == pytest.approx(2 * 32 * 64 / 2 / full)
    assert sparsity["layer"] == pytest.approx(layer / full)


def test_a_sweep_that_was_stopped_ends_as_an_unbroken_one(folder, tmp_path):
    class Stop(Exception):
        pass

    def stop(share, words):
        if share >= 0.5:
            raise Stop

    def again(name, progress=lambda share, words: None):
        executor = Immediate()
        kept = {"out": tmp_path / name, "executor": executor, "progress": progress}
        found = bp.sweep(folder, MIXED, REVIEWS, calibration=TEXTS, **kept)
        return found, executor.done

    whole, _ = again("whole")
    with ThreadPoolExecutor(1) as one, pytest.raises(Stop):
        bp.sweep(folder, MIXED, REVIEWS, calibration=TEXTS, out=tmp_path / "stopped", executor=one, progress=stop)
    before = contents(tmp_path / "stopped")
    assert 2 <= len(before) < 4
    resumed, done = again("stopped")
    assert done == 4 - len(before)
    assert contents(tmp_path / "stopped") == contents(tmp_path / "whole")
    assert resumed.to_dict() == whole.to_dict()
    assert again("stopped")[1] == 0


def test_a_damaged_result_is_made_again_and_said(folder, tmp_path, subtests, executor):
    recipes, out = {"entries": HALF}, tmp_path / "out"

    def again():
        return bp.sweep(folder, recipes, REVIEWS, out=out, executor=executor)

    assert again().notes == ()
    good = contents(out)
    (out / "notes.txt").write_text("mine")
    (out / "other.json").write_text("{")
    victim = next(path for path in out.iterdir() if path.name in good)
    other = next(name for name in good if name != victim.name)
    wrong = json.loads(good[victim.name])
    wrong["measured"]["bytes"] = "many"
    for name, damage in {
        "cut": good[victim.name][:40],
        "empty": b"",
        "no JSON": b"\xff\xfe",
        "a list": b"[]",
        "of another recipe": good[other],
        "with a wrong value": json.dumps(wrong).encode(),
    }.items():
        with subtests.test(name):
            victim.write_bytes(damage)
            assert [note.code for note in again().notes] == ["sweep.damaged"]
            assert {name: content for name, content in contents(out).items() if name in good} == good
    assert (out / "notes.txt").read_text() == "mine" and (out / "other.json").read_text() == "{"


def test_whatever_changes_a_result_has_a_file_of_its_own(folder, tiny_folder, tmp_path, executor):
    usual = {"checkpoint": folder, "recipes": [HALF], "data": REVIEWS, "seed": 0, "limit": None, "calibration": None}
    other = HALF.model_copy(update={"fraction": 0.6})
    changes = [{}, {"seed": 1}, {"limit": 20}, {"calibration": TEXTS}, {"data": REVIEWS[1:]},
               {"checkpoint": tiny_folder(dtype="float16")}, {"recipes": [other]}]  # fmt: skip
    seen = set()
    for change in changes:
        out = tmp_path / str(len(seen))
        bp.sweep(**{**usual, **change}, out=out, executor=executor)
        names = set(contents(out))
        assert len(names) == 2 and (not seen & names or "recipes" in change)  # the dense model is then the same
        seen |= names
    copy = tiny_folder()
    bp.sweep(**{**usual, "checkpoint": copy}, out=tmp_path / "0", executor=executor)
    assert len(contents(tmp_path / "0")) == 2  # the same files in another folder are the same checkpoint


def test_a_recipe_given_twice_is_measured_once(folder):
    executor = Immediate()
    found = bp.sweep(folder, [HALF, bp.Recipe.of(HALF)], REVIEWS, executor=executor)
    assert executor.done == 2
    assert [row.name for row in found.rows[1:]] == [str(HALF), f"{HALF} (2)"]
    assert found.rows[1].measured == found.rows[2].measured


def test_another_tokenizer_reads_the_examples(folder, tmp_path, executor):
    from transformers import AutoTokenizer

    (folder / "tokenizer.json").unlink(missing_ok=True)
    (folder / "vocab.txt").unlink(missing_ok=True)
    with pytest.raises(bp.BertpruneError):
        bp.sweep(folder, [HALF], REVIEWS, executor=executor)
    other = tmp_path / "other"
    make_tokenizer().save_pretrained(other)
    reader = AutoTokenizer.from_pretrained(other)
    found = bp.sweep(folder, [HALF], REVIEWS, tokenizer=other, out=tmp_path / "out", executor=executor)
    again = bp.sweep(folder, [HALF], REVIEWS, tokenizer=reader, out=tmp_path / "out", executor=executor)
    assert found.to_dict() == again.to_dict() and len(contents(tmp_path / "out")) == 2
    expected = bp.evaluate(bp.prune(folder, HALF), REVIEWS, tokenizer=other)["accuracy"].after.value
    assert found.rows[1].measured.quality.value == expected


def test_without_labels_answers_are_compared_with_the_checkpoints(folder, tiny_folder, executor):
    for given, measure in ((folder, "agreement"), (tiny_folder("BertModel"), "embedding_cosine")):
        found = bp.sweep(given, [HALF], TEXTS[:12], executor=executor)
        assert found.measure == measure
        assert found.table.quality["dense"] == pytest.approx(1.0) and pd.isna(found.table.difference["dense"])


def test_a_loss_is_better_where_it_is_lower(tiny_folder, executor):
    recipes = bp.grid(method="random", fraction=[0.3, 0.9])
    found = bp.sweep(tiny_folder("BertForMaskedLM"), recipes, TEXTS, executor=executor)
    assert (found.measure, found.better) == ("masked_lm_loss", "lower")
    best = found.table.quality.idxmin()
    assert best in found.pareto()


def test_times_are_those_of_the_smaller_model(folder, executor, tmp_path):
    found = bp.sweep(folder, [NEURONS], REVIEWS, calibration=TEXTS, speed=True, executor=executor, out=tmp_path)
    timed = found.rows[1].measured.timings
    assert [one.batch for one in timed] == [one.batch for one in bp.speed(folder, rounds=2).timings]
    assert all(one.seconds.value > 0 and one.faster.low <= one.faster.value <= one.faster.high for one in timed)
    assert found.table.faster.notna().all() and "faster" in found.to_text()
    untimed = bp.sweep(folder, [NEURONS], REVIEWS, calibration=TEXTS, executor=executor, out=tmp_path)
    assert untimed.table.faster.isna().all() and "faster" not in untimed.to_text()

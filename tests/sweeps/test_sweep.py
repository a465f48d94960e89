"""A sweep: what it measures, what it keeps, and that one recipe's trouble is not another's."""

import json
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import pandas as pd
import pytest
import torch
from safetensors import safe_open

import bertprune as bp
from tests.calibration_texts import HEADS, NEURONS, TEXTS
from tests.tiny_models import make_tokenizer

from .conftest import REVIEWS

HALF = bp.Step(method="magnitude", fraction=0.5, select=bp.Selection(roles="ffn.output"))
MIXED = {"entries": HALF, "neurons and heads": [NEURONS, HEADS], "layer": bp.Step(granularity="layer", fraction=1.0,
         select=bp.Selection(layers=[1]))}  # fmt: skip


class Immediate(Executor):
    """Do each task at once, after something else."""

    def __init__(self, before=lambda: None):
        self.before, self.done = before, 0

    def submit(self, function, /, *given, **named):
        self.before()
        self.done += 1
        future = Future()
        future.set_result(function(*given, **named))
        return future


class Ending(Immediate):
    """Do the first tasks, and end the others in another way."""

    def __init__(self, end, first=1):
        super().__init__()
        self.end, self.first = end, first

    def submit(self, function, /, *given, **named):
        if self.done < self.first:
            return super().submit(function, *given, **named)
        future = Future()
        self.end(future)
        return future


@pytest.fixture
def folder(tiny_folder):
    return tiny_folder()


def contents(out):
    return {path.name: path.read_bytes() for path in out.iterdir()}


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


def test_sparsity_is_that_of_the_encoders_linear_weights(folder, executor):
    found = bp.sweep(folder, MIXED, REVIEWS, calibration=TEXTS, executor=executor)
    model = bp.Checkpoint.open(folder).model()
    linear = [one.weight for one in model.bert.encoder.modules() if isinstance(one, torch.nn.Linear)]
    full = sum(weight.numel() for weight in linear)
    layer = sum(one.weight.numel() for one in model.bert.encoder.layer[1].modules() if isinstance(one, torch.nn.Linear))
    assert found.table.sparsity["dense"] == 0.0
    assert found.table.sparsity["entries"] == pytest.approx(2 * 32 * 64 / 2 / full)
    assert found.table.sparsity["layer"] == pytest.approx(layer / full)


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


def test_a_recipe_that_is_refused_says_why_and_the_others_go_on(folder, executor, tmp_path):
    recipes = {
        "good": HALF,
        "no file": tmp_path / "none.yaml",
        "no such method": {"method": "magnitud", "fraction": 0.5},
        "needs texts": NEURONS,
        **bp.grid(method="magnitude", granularity="2:4", fraction=0.5),
    }
    found = bp.sweep(folder, recipes, REVIEWS, executor=executor)
    codes = {row.name: row.error and row.error.code for row in found.rows}
    assert [codes.pop(name) for name in ("dense", "good", "no file", "no such method")] == [
        None,
        None,
        "recipe.unreadable",
        "method.misspelt",
    ]
    assert len(codes) == 2 and all(codes.values())
    assert "refused: no such method: unknown method 'magnitud'; did you mean magnitude?" in found.to_text()
    assert pd.isna(found.table.error["good"]) and "magnitud" in found.table.error["no such method"]
    assert found.table.quality.isna().tolist() == [False, False, True, True, True, True]


def test_a_recipe_given_twice_is_measured_once(folder):
    executor = Immediate()
    found = bp.sweep(folder, [HALF, bp.Recipe.of(HALF)], REVIEWS, executor=executor)
    assert executor.done == 2
    assert [row.name for row in found.rows[1:]] == [str(HALF), f"{HALF} (2)"]
    assert found.rows[1].measured == found.rows[2].measured


def test_a_worker_that_ends_takes_its_own_row_along(folder, subtests):
    ends = {
        "died": (lambda future: future.set_exception(BrokenProcessPool("gone")), "sweep.worker_died"),
        "failed": (lambda future: future.set_exception(MemoryError()), "sweep.worker_failed"),
    }
    for name, (end, code) in ends.items():
        with subtests.test(name):
            found = bp.sweep(folder, MIXED, REVIEWS, calibration=TEXTS, executor=Ending(end, first=3))
            assert [row.error and row.error.code for row in found.rows] == [None, None, None, code]


def test_an_executor_that_stops_is_one_clear_line(folder, tmp_path, subtests):
    stopped = ThreadPoolExecutor(1)
    stopped.shutdown()
    for name, executor in {"shut down": stopped, "cancelled": Ending(Future.cancel)}.items():
        with subtests.test(name), pytest.raises(bp.BertpruneError, match="the executor does no more work") as caught:
            bp.sweep(folder, [HALF], REVIEWS, out=tmp_path / name, executor=executor)
        assert caught.value.code == "sweep.executor_down"
    assert len(contents(tmp_path / "cancelled")) == 1  # what was done by then


def test_a_checkpoint_that_changes_meanwhile_is_refused(folder):
    def change():
        (folder / "tokenizer_config.json").write_text("{}")

    with pytest.raises(bp.BertpruneError) as caught:
        bp.sweep(folder, [HALF], REVIEWS, executor=Immediate(change))
    assert caught.value.code == "sweep.other_checkpoint"


def test_wrong_input_is_refused_before_any_work(folder, tmp_path, subtests):
    (tmp_path / "file").write_text("")
    model = bp.load(folder)
    run = bp.prune(folder, HALF)
    cases = {
        "a model": ({"checkpoint": model}, "sweep.live_model"),
        "a run": ({"checkpoint": run}, "sweep.live_model"),
        "no checkpoint": ({"checkpoint": "no/such/one"}, "checkpoint.not_found"),
        "one recipe": ({"recipes": HALF}, "sweep.recipes_kind"),
        "a path": ({"recipes": "recipe.yaml"}, "sweep.recipes_kind"),
        "no recipes": ({"recipes": []}, "sweep.no_recipes"),
        "an empty grid": ({"recipes": bp.grid(method=[])}, "sweep.no_recipes"),
        "the name of the dense model": ({"recipes": {"dense": HALF}}, "sweep.recipe_name"),
        "a number for a name": ({"recipes": {1: HALF}}, "sweep.recipe_name"),
        "no executor": ({"executor": "dask"}, "sweep.executor_kind"),
        "none of its processes": ({"executor": 0}, "sweep.executor_kind"),
        "a bool": ({"executor": True}, "sweep.executor_kind"),
        "a seed": ({"seed": -1}, "recipe.seed"),
        "no such data": ({"data": "none.csv"}, "data.no_file"),
        "no texts in it": ({"data": [{"x": 1}]}, "data.no_text_column"),
        "no such tokenizer": ({"tokenizer": "no/such/one"}, "checkpoint.no_tokenizer_folder"),
        "no tokenizer": ({"tokenizer": 3}, "evaluation.tokenizer_type"),
        "no such column": ({"text": "none"}, "data.unknown_column"),
        "a limit": ({"limit": 0}, "data.limit"),
        "calibration": ({"calibration": 3}, "calibration.kind"),
        "a folder in a file": ({"out": tmp_path / "file" / "out"}, "sweep.not_writable"),
        "a file for a folder": ({"out": tmp_path / "file"}, "sweep.not_writable"),
        "a folder as a number": ({"out": 3}, "sweep.folder_kind"),
        "progress": ({"progress": 3}, "progress.kind"),
    }
    usual = {"checkpoint": folder, "recipes": [HALF], "data": REVIEWS}
    for name, (change, code) in cases.items():
        with subtests.test(name):
            executor = Immediate()
            with pytest.raises(bp.BertpruneError) as caught:
                bp.sweep(**{"executor": executor, **usual, **change})
            assert (caught.value.code, executor.done) == (code, 0)


def test_examples_that_do_not_fit_the_checkpoint_refuse_the_whole(folder, executor):
    with pytest.raises(bp.BertpruneError) as caught:
        bp.sweep(folder, [HALF], [("good", "no such class"), ("bad", "x")], executor=executor)
    assert caught.value.code.startswith("data.")


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

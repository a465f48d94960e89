"""What a sweep refuses as a whole, and whose trouble is the row's own."""

from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import pandas as pd
import pytest

import bertprune as bp
from tests.calibration_texts import NEURONS, TEXTS

from .conftest import REVIEWS
from .executors import HALF, MIXED, Ending, Immediate, contents


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
        with subtests.test(name), pytest.raises(bp.BertpruneError, match="the executor has stopped") as caught:
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

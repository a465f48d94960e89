"""A sweep as table, text and figure."""

import io
import json

import pandas as pd
import pytest

import bertprune as bp
from tests.calibration_texts import TEXTS

from .conftest import REVIEWS

GRID = bp.grid(method=["magnitude", "random"], granularity="neuron", fraction=[0.25, 0.5])


@pytest.fixture(scope="module")
def found(copy_of_tiny, tmp_path_factory, executor):
    """Sweep once; tests only read it."""
    folder = copy_of_tiny(tmp_path_factory.mktemp("swept") / "tiny", model_cls="BertForSequenceClassification")
    alone = {"half of the entries": bp.Step(method="magnitude", fraction=0.5, select="*.query")}
    wrong = {"wrong": {"method": "none", "fraction": 0.5}}
    return bp.sweep(folder, GRID | alone | wrong, REVIEWS, executor=executor)


def test_the_table_goes_to_csv_and_back(found):
    read = pd.read_csv(io.StringIO(found.table.to_csv()), index_col="name")
    assert list(read.index) == ["dense", *GRID, "half of the entries", "wrong"]
    pd.testing.assert_frame_equal(read, found.table, check_dtype=False)


def test_plain_values_are_json_and_hold_the_recipes(found):
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert bp.Recipe.from_json(json.dumps(plain["rows"][1]["recipe"])) == bp.Recipe.of(next(iter(GRID.values())))
    assert plain["rows"][-1]["error"]["code"] == "method.unknown" and plain["rows"][-1]["measured"] is None
    assert plain["rows"][0]["measured"]["quality"]["value"] == found.table.quality["dense"]


def test_the_text_has_a_line_for_each_recipe(found):
    lines = found.to_text().splitlines()
    assert lines[0].endswith("accuracy on 24 examples of the list, 95 % intervals")
    starts = [line.partition("  ")[0] for line in lines[3:9]]
    assert starts == ["dense", *GRID, "half of the entries"]
    assert lines[9].startswith("refused: wrong: unknown method 'none'")
    marked = {line.partition("  ")[0] for line in lines[3:9] if line.endswith("*")}
    assert marked == set(found.pareto())
    table = found.to_markdown().splitlines()
    assert len(table) == 8 and table[2].startswith("| dense |")


def test_the_front_may_be_along_another_axis(found):
    cheapest = {"macs": found.table.macs.idxmin(), "bytes": found.table.bytes.idxmin()}
    for axis, name in cheapest.items():
        smallest = found.table[getattr(found.table, axis) == getattr(found.table, axis)[name]]
        assert smallest.quality.idxmax() in found.pareto(axis)
    best = found.table.quality.max()
    assert found.table.sparsity[found.table.quality == best].idxmax() in found.pareto("sparsity")
    with pytest.raises(bp.BertpruneError, match="macs or bytes or sparsity"):
        found.pareto("speed")


def test_what_recipes_prune_says_the_axis(tiny_folder, executor):
    folder = tiny_folder()
    for step, axis in {
        bp.Step(method="magnitude", fraction=0.5): "sparsity",
        bp.Step(method="magnitude", granularity="head", count=1): "macs",
        bp.Step(method="token_count", count=8): "bytes",
    }.items():
        assert bp.sweep(folder, [step], REVIEWS, calibration=TEXTS, executor=executor).axis == axis


def test_the_figure_has_a_line_for_recipes_that_differ_in_their_amounts(found):
    figure = found.figure()
    (axes,) = figure.axes
    drawn = {text.get_text() for text in axes.get_legend().get_texts()}
    assert drawn == {"magnitude neuron", "random neuron", "half of the entries"}
    assert axes.get_ylabel() == "accuracy, %" and axes.get_xlabel().startswith("MACs")
    line = next(line for line in axes.lines if line.get_label() == "random neuron")
    names = ["dense", *(name for name in GRID if name.startswith("random"))]
    assert list(line.get_ydata()) == pytest.approx([100 * found.table.quality[name] for name in reversed(names)])
    assert found.figure("bytes").axes[0].get_xlabel() == "weights, MB"
    assert bp.figures.png(figure)[:4] == b"\x89PNG"


def test_nothing_but_the_dense_model_can_be_drawn(tiny_folder, executor):
    found = bp.sweep(tiny_folder(), {"wrong": {"method": "none", "fraction": 0.5}}, REVIEWS, executor=executor)
    assert found.figure().axes[0].get_legend() is None and found.pareto() == ("dense",)

"""Exports of runs whose weights were adjusted: source, masks and changed tensors leave, and come back."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file

import bertprune as bp
from bertprune.recipe import Recipe
from tests.calibration_texts import ENTRIES, HEADS, NEURONS, TEXTS

CLASSES = ["BertForSequenceClassification", "DistilBertModel", "BertForMaskedLM"]


@pytest.fixture(scope="module", params=CLASSES)
def run(
    request: pytest.FixtureRequest, copy_of_tiny: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Any:
    """Give a run of each class; do not change it."""
    folder = copy_of_tiny(tmp_path_factory.mktemp("reconstructed") / "tiny", model_cls=request.param)
    return bp.prune(folder, [NEURONS, HEADS, ENTRIES], calibration=TEXTS)


@pytest.fixture(scope="module")
def exported(run: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give its baked export."""
    return Path(bp.export(run, tmp_path_factory.mktemp("baked") / "out").path)


def same(one: Any, other: Any) -> bool:
    a, b = one.state_dict(), other.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_plain_transformers_loads_what_was_measured(run: Any, exported: Path) -> None:
    assert run.values
    loaded = getattr(transformers, type(run.model).__name__).from_pretrained(exported)
    assert same(loaded, bp.bake(copy.deepcopy(run).model))


def test_masks_and_new_values_come_back_in_the_masked_form(run: Any, exported: Path, tmp_path: Path) -> None:
    bp.export(run, tmp_path / "out", "masked")
    back = bp.load(tmp_path / "out")
    assert same(back, run.model) and bp.snapshot(back) == bp.snapshot(run.model)
    bp.export(tmp_path / "out", tmp_path / "baked")
    for name in ("model.safetensors", "recipe.yaml", "README.md"):
        assert (tmp_path / "baked" / name).read_bytes() == (exported / name).read_bytes()


def test_the_same_bytes_leave_each_time(run: Any, tmp_path: Path) -> None:
    again = bp.prune(run.checkpoint, run.recipe, calibration=TEXTS)
    for one, folder in ((run, "a"), (again, "b")):
        bp.export(one, tmp_path / folder, "masked")
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_what_is_trained_after_that_leaves_as_it_is_then(run: Any, tmp_path: Path) -> None:
    run = copy.deepcopy(run)
    name = next(iter(run.values))
    with torch.no_grad():
        run.model.state_dict()[f"{name}_orig"].add_(1)
    bp.export(run, tmp_path / "out")
    written = load_file(tmp_path / "out" / "model.safetensors")[name]
    assert torch.equal(written, (run.values[name] + 1) * run.masks[name])
    assert json.loads((tmp_path / "out" / "report.json").read_text())["changed"] == [name]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_measures_what_it_stores(tiny_folder: Callable[..., Path], tmp_path: Path, dtype: str) -> None:
    run = bp.prune(tiny_folder("BertModel", dtype=dtype), NEURONS, calibration=TEXTS)
    bp.export(run, tmp_path / "out", "masked")
    assert run.values and same(bp.load(tmp_path / "out"), run.model)
    assert all(torch.equal(value, value.to(getattr(torch, dtype)).float()) for value in run.values.values())


def test_recipe_report_and_card_name_texts_and_reconstruction(run: Any, exported: Path) -> None:
    recipe = Recipe.load(exported / "recipe.yaml")
    assert recipe == run.recipe and recipe.calibration.count == len(TEXTS)
    report = json.loads((exported / "report.json").read_text())
    assert report["calibration"] == recipe.calibration.model_dump()
    every = [one for step in report["steps"] for one in step["reconstructions"]]
    assert set(every[0]) == {"layer", "kept", "drift_without", "drift_with"}
    card = (exported / "README.md").read_text()
    layers = {one["layer"] for one in every}
    kept = len(layers - {one["layer"] for one in every if not one["kept"]})
    assert f"Calibrated on {len(TEXTS)} examples, cut after 128 tokens" in card
    assert f"in {kept} of {len(layers)} layers" in card

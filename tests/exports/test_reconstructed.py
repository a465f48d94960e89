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


@pytest.fixture(scope="module")
def runs(copy_of_tiny: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Give a run of each class; do not change them."""
    root = tmp_path_factory.mktemp("reconstructed")
    folders = {name: copy_of_tiny(root / name, model_cls=name) for name in CLASSES}
    return {name: bp.prune(folders[name], [NEURONS, HEADS, ENTRIES], calibration=TEXTS) for name in CLASSES}


@pytest.fixture(scope="module")
def run(runs: dict[str, Any]) -> Any:
    """Give the run of a model whose head is tied to its embeddings; do not change it."""
    return runs["BertForMaskedLM"]


def same(one: Any, other: Any) -> bool:
    a, b = one.state_dict(), other.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_what_was_measured_leaves_baked_and_comes_back_with_its_masks(
    runs: dict[str, Any], tmp_path: Path, subtests: pytest.Subtests
) -> None:
    for name, run in runs.items():
        with subtests.test(name):
            folder = tmp_path / name
            bp.export(run, folder / "baked")
            plain = getattr(transformers, name).from_pretrained(folder / "baked")
            assert run.values and same(plain, bp.bake(copy.deepcopy(run).model))
            bp.export(run, folder / "masked", "masked")
            back = bp.load(folder / "masked")
            assert same(back, run.model) and bp.snapshot(back) == bp.snapshot(run.model)
            bp.export(folder / "masked", folder / "later")
            for file in ("model.safetensors", "recipe.yaml", "README.md"):
                assert (folder / "later" / file).read_bytes() == (folder / "baked" / file).read_bytes()


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


def test_half_precision_measures_what_it_stores(
    tiny_folder: Callable[..., Path], tmp_path: Path, subtests: pytest.Subtests
) -> None:
    for dtype in ["bfloat16", "float16"]:
        with subtests.test(dtype):
            folder = tmp_path / dtype
            run = bp.prune(tiny_folder("BertModel", dtype=dtype), NEURONS, calibration=TEXTS)
            bp.export(run, folder / "out", "masked")
            assert run.values and same(bp.load(folder / "out"), run.model)
            assert all(torch.equal(value, value.to(getattr(torch, dtype)).float()) for value in run.values.values())


def test_recipe_report_and_card_name_texts_and_reconstruction(run: Any, tmp_path: Path) -> None:
    exported = bp.export(run, tmp_path / "out").path
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

"""Damaged and manipulated masked folders: everything in them is checked, and none of their code is run."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import bertprune as bp
from tests.tiny_models import make_model

from .conftest import KEY, RECIPE


def _edit(name: str, change: Callable[[Any], Any]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        data = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(change(data)))

    return edit


def _tensors(change: Callable[[dict[str, torch.Tensor]], Any]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        tensors = load_file(folder / "masked.safetensors")
        change(tensors)
        save_file(tensors, folder / "masked.safetensors", metadata={"format": "pt"})

    return edit


def _set(name: str, value: torch.Tensor) -> Callable[[Path], None]:
    return _tensors(lambda tensors: tensors.update({KEY + name: value}))


def _drop(name: str) -> Callable[[Path], None]:
    return _tensors(lambda tensors: tensors.pop(KEY + name))


def _text(name: str, text: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_text(text) and None


def _history(value: Any) -> Callable[[Path], None]:
    return _edit("report.json", lambda report: {**report, "history": {**report["history"], KEY + ".weight": value}})


WRONG: dict[str, tuple[Callable[[Path], Any], str]] = {
    "damaged recipe": (_text("recipe.yaml", "steps: 3"), "checkpoint.masked_recipe"),
    "no recipe": (lambda folder: (folder / "recipe.yaml").unlink(), "checkpoint.no_recipe"),
    "no config": (lambda folder: (folder / "config.json").unlink(), "checkpoint.no_config"),
    "list report": (_text("report.json", "[]"), "checkpoint.not_an_object"),
    "no history": (
        _edit("report.json", lambda r: {k: v for k, v in r.items() if k != "history"}),
        "checkpoint.masked_history",
    ),
    "history is text": (_edit("report.json", lambda r: {**r, "history": "x"}), "checkpoint.masked_history"),
    "steps beyond": (_history([9]), "checkpoint.masked_steps"),
    "negative steps": (_history([-1]), "checkpoint.masked_steps"),
    "true steps": (_history([True]), "checkpoint.masked_steps"),
    "no steps": (_history([]), "checkpoint.masked_steps"),
    "steps are text": (_history("0"), "checkpoint.masked_steps"),
    "a step that is none": (_history([{"method": 3}]), "checkpoint.masked_recipe"),
    "a class that is none": (_history(["no name"]), "checkpoint.masked_steps"),
    "no mask": (_drop(".weight_mask"), "checkpoint.no_mask"),
    "no values": (_drop(".weight_orig"), "checkpoint.mask_alone"),
    "neither": (
        _tensors(lambda t: [t.pop(KEY + end) for end in (".weight_orig", ".weight_mask")]),
        "checkpoint.masked_history",
    ),
    "no classifier": (_tensors(lambda t: t.pop("classifier.weight")), "checkpoint.masked_incomplete"),
    "other shape": (_set(".weight_mask", torch.ones(2).bool()), "checkpoint.mask_does_not_fit"),
    "soft mask": (_set(".weight_mask", torch.full((32, 32), 0.5)), "checkpoint.mask_values"),
    "twice": (_set(".weight", torch.ones(32, 32)), "checkpoint.masked_twice"),
    "an option of another type": (
        lambda folder: (folder / "recipe.yaml").write_text(
            (folder / "recipe.yaml").read_text().replace("n: 2", "n: several")
        ),
        "method.torch_options",
    ),
    "one more mask": (
        _tensors(lambda t: t.update({"x_orig": torch.ones(2), "x_mask": torch.ones(2).bool()})),
        "checkpoint.mask_of_nothing",
    ),
}


@pytest.fixture(scope="module")
def masked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("damaged")
    make_model("BertForSequenceClassification").save_pretrained(folder / "source")
    bp.export(bp.prune(folder / "source", RECIPE), folder / "masked", "masked")
    return folder / "masked"


def test_a_damaged_folder_is_refused_in_one_line(masked: Path, tmp_path: Path, subtests: pytest.Subtests) -> None:
    for number, case in enumerate(WRONG):
        with subtests.test(case):
            (here := tmp_path / str(number)).mkdir()
            damage, code = WRONG[case]
            shutil.copytree(masked, here / "damaged")
            damage(here / "damaged")
            with pytest.raises(bp.BertpruneError) as caught:
                bp.load(here / "damaged")
            assert caught.value.code == code
            assert "\n" not in str(caught.value) and str(here) not in str(caught.value)


REPORTS = [
    (lambda r: {**r, "seed": "0"}, "exports.no_seed"),
    (lambda r: {**r, "source": 3}, "exports.no_source"),
    (lambda r: {**r, "source": {**r["source"], "more": 1}}, "exports.no_source"),
    (lambda r: {**r, "source": {**r["source"], "name": 1}}, "exports.source_not_text"),
]


def test_a_damaged_report_is_not_exported_again(masked: Path, tmp_path: Path, subtests: pytest.Subtests) -> None:
    for number, (change, code) in enumerate(REPORTS):
        with subtests.test(code):
            (here := tmp_path / str(number)).mkdir()
            shutil.copytree(masked, here / "damaged")
            _edit("report.json", change)(here / "damaged")
            with pytest.raises(bp.BertpruneError) as caught:
                bp.export(here / "damaged", here / "out")
            assert caught.value.code == code
            assert not (here / "out").exists()


def test_a_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(bp.BertpruneError, match="does not exist"):
        bp.load(tmp_path / "nowhere")

"""Masked folders that strangers made: nothing in them is believed, and no code of them is run."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import bertprune as bp
from bertprune.exports.write import export_folder
from tests.conftest import make_model

from .conftest import KEY, RECIPE

LACKS = f"lacks '{KEY}.weight'"
MISFIT = "does not fit its tensor"
APART = "do not agree about"
BEYOND = "steps that recipe.yaml does not have"


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
    "no report": (lambda folder: (folder / "report.json").unlink(), "report.json cannot be read"),
    "no recipe": (lambda folder: (folder / "recipe.yaml").unlink(), "recipe.yaml: cannot be read"),
    "no config": (lambda folder: (folder / "config.json").unlink(), "no config.json"),
    "broken report": (_text("report.json", "{"), "report.json is not JSON"),
    "list report": (_text("report.json", "[]"), "one JSON object is expected"),
    "broken recipe": (_text("recipe.yaml", "steps: 3"), "recipe.yaml: "),
    "no history": (
        _edit("report.json", lambda r: {k: v for k, v in r.items() if k != "history"}),
        "do not agree about",
    ),
    "history is text": (_edit("report.json", lambda r: {**r, "history": "x"}), APART),
    "steps beyond": (_history([9]), BEYOND),
    "negative steps": (_history([-1]), BEYOND),
    "true steps": (_history([True]), BEYOND),
    "no steps": (_history([]), BEYOND),
    "steps are text": (_history("0"), BEYOND),
    "not safetensors": (_text("masked.safetensors", "x" * 100), "masked.safetensors"),
    "no mask": (
        _drop(".weight_mask"),
        LACKS,
    ),
    "no values": (
        _drop(".weight_orig"),
        LACKS,
    ),
    "other shape": (
        _set(".weight_mask", torch.ones(2).bool()),
        "does not fit its tensor",
    ),
    "float mask": (_set(".weight_mask", torch.ones(32, 32)), MISFIT),
    "twice": (_set(".weight", torch.ones(32, 32)), "with a mask and without"),
    "one more mask": (
        _tensors(lambda t: t.update({"x_orig": torch.ones(2), "x_mask": torch.ones(2).bool()})),
        "do not agree about 'x'",
    ),
    "no tensors": (_tensors(lambda t: [t.pop(name) for name in list(t) if "layer.0" in name]), "lacks"),
}


@pytest.fixture(scope="module")
def masked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("strangers")
    make_model("BertForSequenceClassification").save_pretrained(folder / "source")
    bp.export(bp.prune(folder / "source", RECIPE), folder / "masked", "masked")
    return folder / "masked"


@pytest.mark.parametrize("case", WRONG)
def test_a_folder_that_lies_is_refused_in_one_line(masked: Path, tmp_path: Path, case: str) -> None:
    spoil, words = WRONG[case]
    shutil.copytree(masked, tmp_path / "lying")
    spoil(tmp_path / "lying")
    with pytest.raises(bp.BertpruneError) as caught:
        bp.load(tmp_path / "lying")
    said = str(caught.value)
    assert words in said and "\n" not in said and str(tmp_path) not in said


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda r: {**r, "seed": "0"}, "report.json has no seed"),
        (lambda r: {**r, "source": 3}, "does not say what the source was"),
        (lambda r: {**r, "source": {**r["source"], "more": 1}}, "does not say what the source was"),
        (lambda r: {**r, "source": {**r["source"], "name": 1}}, "something that is no text"),
    ],
)
def test_nor_is_it_baked(masked: Path, tmp_path: Path, change: Any, words: str) -> None:
    shutil.copytree(masked, tmp_path / "lying")
    _edit("report.json", change)(tmp_path / "lying")
    with pytest.raises(bp.BertpruneError, match=words):
        export_folder(tmp_path / "lying", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(bp.BertpruneError, match="does not exist here"):
        bp.load(tmp_path / "nowhere")

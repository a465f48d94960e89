"""The baked form: what is in the folder, and that the same run gives the same bytes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import bertprune as bp
from bertprune.checkpoint.companions import companion_files

from .conftest import RECIPE, WORDS

INPUT = torch.tensor([[2, 7, 11, 13, 3], [2, 5, 3, 0, 0]])


def outputs(model: Any) -> Any:
    with torch.no_grad():
        return model(input_ids=INPUT)[0]


def bits(value: torch.Tensor) -> Any:
    return value.view(torch.int32).tolist()


def everything(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_the_files_of_the_folder(tmp_path: Path, pruned: Callable[..., Any]) -> None:
    run = pruned()
    result = bp.export(run, tmp_path / "out")
    tokenizer = set(companion_files(run.checkpoint.folder(), "tiny"))
    ours = {"config.json", "model.safetensors", "recipe.yaml", "report.json", "README.md"}
    assert set(result.files) == {path.name for path in (tmp_path / "out").iterdir()} == ours | tokenizer
    assert {"tokenizer.json", "tokenizer_config.json"} <= tokenizer
    assert result.files == {name: len(data) for name, data in everything(tmp_path / "out").items()}
    assert result.bytes == sum(result.files.values())
    assert (result.path, result.form, result.checked) == (
        tmp_path / "out",
        "baked",
        len(run.checkpoint.model().state_dict()),
    )
    assert bp.Recipe.load(tmp_path / "out" / "recipe.yaml") == run.recipe
    assert len({path.stat().st_mode for path in (tmp_path / "out").iterdir()}) == 1  # readable by the same people


def test_the_config_is_that_of_the_source_and_names_the_class(tmp_path: Path, tiny_folder: Callable[..., Path]) -> None:
    source = tiny_folder(model_cls="BertModel", dtype="bfloat16")
    given = json.loads((source / "config.json").read_text())
    bp.export(bp.prune(source, WORDS), tmp_path / "whole")
    assert json.loads((tmp_path / "whole" / "config.json").read_text()) == given
    (source / "config.json").write_text(json.dumps({key: given[key] for key in given if key != "architectures"}))
    bp.export(bp.prune(source, WORDS), tmp_path / "out")
    assert json.loads((tmp_path / "out" / "config.json").read_text())["architectures"] == ["BertModel"]


def test_the_report_describes_the_run(tmp_path: Path, pruned: Callable[..., Any]) -> None:
    run = pruned(seed=3)
    bp.export(run, tmp_path / "out")
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["bertprune"] == bp.__version__ and report["versions"]["torch"] == torch.__version__
    assert (report["form"], report["seed"]) == ("baked", 3)
    assert report["source"]["architecture"] == "BertForSequenceClassification"
    assert report["sparsity"] == run.report.to_dict()
    assert [step["removed"] for step in report["steps"]] == [step.removed for step in run.steps]
    assert report["history"]["bert.encoder.layer.0.attention.self.key.weight"] == [0, 2, 3]
    assert set(report["methods"]) == {"l1_unstructured", "ln_structured", "random_unstructured"}
    assert set(report["files"]) == set(everything(tmp_path / "out"))


@pytest.mark.parametrize("form", ["baked", "masked"])
def test_nothing_in_it_depends_on_paths_or_the_clock(
    tmp_path: Path, pruned: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, form: Any
) -> None:
    run = pruned()
    bp.export(run, tmp_path / "one", form)
    monkeypatch.setattr("time.time", lambda: 1e9)
    monkeypatch.chdir(tmp_path)
    bp.export(run, "two", form)
    assert everything(tmp_path / "one") == everything(tmp_path / "two")
    assert not any(str(tmp_path).encode() in data for data in everything(tmp_path / "one").values())


def test_another_seed_gives_other_bytes(tmp_path: Path, tiny_folder: Callable[..., Path]) -> None:
    source = tiny_folder()
    for seed in (0, 1):
        bp.export(bp.prune(source, RECIPE, seed), tmp_path / str(seed))
    assert everything(tmp_path / "0")["model.safetensors"] != everything(tmp_path / "1")["model.safetensors"]


@pytest.mark.parametrize("form", ["baked", "masked"])
@pytest.mark.usefixtures("unchanged_randomness")
def test_the_run_and_its_source_stay_as_they_were(tmp_path: Path, tiny_folder: Callable[..., Path], form: Any) -> None:
    folder = tiny_folder()
    source, checkpoint = everything(folder), bp.Checkpoint.open(folder)
    pristine = {name: value.clone() for name, value in checkpoint.model().state_dict().items()}
    run = bp.prune(checkpoint, RECIPE)
    model = {name: value.clone() for name, value in run.model.state_dict().items()}
    bp.export(run, tmp_path / "out", form)
    assert everything(folder) == source
    for kept, now in ((model, run.model), (pristine, run.checkpoint.model())):
        assert kept.keys() == now.state_dict().keys()
        assert all(torch.equal(value, now.state_dict()[name]) for name, value in kept.items())
    with torch.no_grad():
        next(run.model.parameters()).zero_()
    assert all(torch.equal(value, checkpoint.model().state_dict()[name]) for name, value in pristine.items())


def test_a_recipe_without_steps_gives_the_tensors_of_the_source(tmp_path: Path, pruned: Callable[..., Any]) -> None:
    run = pruned(bp.Recipe())
    bp.export(run, tmp_path / "out")
    source, out = (
        load_file(tmp_path / "tiny-0" / "model.safetensors"),
        load_file(tmp_path / "out" / "model.safetensors"),
    )
    assert source.keys() == out.keys() and all(torch.equal(source[name], out[name]) for name in source)
    assert "No weight is masked." in (tmp_path / "out" / "README.md").read_text()


def test_a_baked_folder_is_a_checkpoint_with_a_note_about_its_zeros(tmp_path: Path, pruned: Callable[..., Any]) -> None:
    run = pruned()
    bp.export(run, tmp_path / "out")
    again = bp.Checkpoint.open(tmp_path / "out")
    assert any("zero" in note for note in again.facts.notes)
    report = bp.sparsity(again.model())
    assert report.model.masked == 0 and report.model.zero >= run.report.model.masked
    bp.export(bp.prune(again, WORDS), tmp_path / "further")

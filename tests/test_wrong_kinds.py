"""Every public function given the wrong kind of thing does the obvious, or names what is wrong in one line."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import bertprune as bp

STEP = bp.Step(method="l1_unstructured", fraction=0.5, select="pooler.dense")


@pytest.fixture(scope="module")
def things(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Give one of every kind of thing that a call may be given by mistake."""
    import transformers

    folder = tmp_path_factory.mktemp("kinds") / "tiny"
    config = transformers.BertConfig(
        vocab_size=32, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    transformers.BertModel(config).save_pretrained(folder)
    checkpoint = bp.Checkpoint.open(folder)
    run = bp.prune(checkpoint, STEP)
    recipe_file = folder.parent / "recipe.yaml"
    bp.Recipe.of(STEP).save(recipe_file)
    comparison = bp.compare(run, run)
    return {
        "None": None,
        "number": 3,
        "bool": True,
        "text": "no such thing",
        "empty text": "",
        "bytes": b"demo",
        "no path": Path("no/such/path"),
        "folder": folder,
        "recipe file": recipe_file,
        "list": [],
        "list of numbers": [1, 2],
        "dict": {},
        "class": bp.Recipe,
        "function": bp.prune,
        "step": STEP,
        "steps": [STEP],
        "step as data": STEP.model_dump(),
        "recipe": bp.Recipe.of(STEP),
        "selection": bp.Selection(),
        "checkpoint": checkpoint,
        "run": run,
        "model": checkpoint.load(),
        "plain model": nn.Linear(2, 2),
        "report": run.report,
        "comparison": comparison,
        "snapshot": run.before,
        "preview": bp.preview(checkpoint, STEP),
        "tensor": torch.ones(2, 2),
        "empty tensor": torch.ones(0),
        "meta tensor": torch.ones(2, device="meta"),
        "mask": next(iter(run.masks.values())),
        "masks": run.masks,
        "figure": bp.figures.mask(torch.ones(2, 2)),
        "heatmap": bp.figures.heatmap(run),
        "object": object(),
        "frame": pd.DataFrame({"text": ["a", "b"]}),
        "array": np.ones((2, 2)),
        "set": {1},
        "large number": 2**70,
    }


OF_ANOTHER = {"recipe file", "recipe", "steps", "step as data", "preview", "mask", "heatmap"}
"""Things that are right somewhere, and elsewhere as wrong as a path, a step, a list, a dict, a report or a figure."""

CALLS = {
    "prune, checkpoint": lambda thing, some: bp.prune(thing, STEP),
    "prune, recipe": lambda thing, some: bp.prune(some["checkpoint"], thing),
    "prune, seed": lambda thing, some: bp.prune(some["checkpoint"], STEP, thing),
    "prune, mask_dtype": lambda thing, some: bp.prune(some["checkpoint"], STEP, mask_dtype=thing),
    "preview, checkpoint": lambda thing, some: bp.preview(thing, STEP),
    "preview, recipe": lambda thing, some: bp.preview(some["checkpoint"], thing),
    "preview, seed": lambda thing, some: bp.preview(some["checkpoint"], STEP, thing),
    "preview, mask_dtype": lambda thing, some: bp.preview(some["checkpoint"], STEP, mask_dtype=thing),
    "apply, model": lambda thing, some: bp.apply(thing, STEP),
    "apply, recipe": lambda thing, some: bp.apply(some["checkpoint"].load(), thing),
    "apply, seed": lambda thing, some: bp.apply(some["checkpoint"].load(), STEP, thing),
    "apply, missing": lambda thing, some: bp.apply(some["checkpoint"].load(), STEP, missing=thing),
    "bake, model": lambda thing, some: bp.bake(thing),
    "bake, select": lambda thing, some: bp.bake(copy.deepcopy(some["run"]).model, thing),
    "tree, model": lambda thing, some: bp.tree(thing),
    "tree, path": lambda thing, some: bp.tree(some["model"], thing),
    "snapshot": lambda thing, some: bp.snapshot(thing),
    "sparsity": lambda thing, some: bp.sparsity(thing),
    "compare, first": lambda thing, some: bp.compare(thing, some["run"]),
    "compare, second": lambda thing, some: bp.compare(some["run"], thing),
    "evaluate, model": lambda thing, some: bp.evaluate(thing, ["good"], tokenizer="demo"),
    "evaluate, data": lambda thing, some: bp.evaluate(some["model"], thing, tokenizer="demo"),
    "evaluate, tokenizer": lambda thing, some: bp.evaluate(some["run"], ["good"], tokenizer=thing),
    "try_text, model": lambda thing, some: bp.try_text(thing, "good", tokenizer="demo"),
    "try_text, text": lambda thing, some: bp.try_text(some["run"], thing, tokenizer="demo"),
    "export, source": lambda thing, some: bp.export(thing, some["folder"].parent / "out", overwrite=True),
    "export, out": lambda thing, some: bp.export(some["run"], thing),
    "export, form": lambda thing, some: bp.export(some["run"], some["folder"].parent / "out", thing, True),
    "export, like": lambda thing, some: bp.export(
        some["model"], some["folder"].parent / "out", "baked", True, like=thing
    ),
    "push, folder": lambda thing, some: bp.push(thing, "me/tiny", token="hf_x"),
    "push, repository": lambda thing, some: bp.push(some["folder"], thing, token="hf_x"),
    "push, token": lambda thing, some: bp.push(some["folder"], "me/tiny", token=thing),
    "load": lambda thing, some: bp.load(thing),
    "Checkpoint.open": lambda thing, some: bp.Checkpoint.open(thing),
    "Checkpoint.open, revision": lambda thing, some: bp.Checkpoint.open(some["folder"], revision=thing),
    "Checkpoint.tokenizer": lambda thing, some: some["checkpoint"].tokenizer(thing),
    "Recipe.of": lambda thing, some: bp.Recipe.of(thing),
    "Recipe.load": lambda thing, some: bp.Recipe.load(thing),
    "Recipe.from_yaml": lambda thing, some: bp.Recipe.from_yaml(thing),
    "Recipe.from_json": lambda thing, some: bp.Recipe.from_json(thing),
    "Recipe": lambda thing, some: bp.Recipe(steps=thing),
    "Recipe, by place": lambda thing, some: bp.Recipe(thing),
    "Step, method": lambda thing, some: bp.Step(method=thing, count=1),
    "Step, select": lambda thing, some: bp.Step(method="x", count=1, select=thing),
    "Step, options": lambda thing, some: bp.Step(method="x", count=1, options=thing),
    "Selection": lambda thing, some: bp.Selection(include=thing),
    "Recipe.save": lambda thing, some: bp.Recipe.of(STEP).save(thing),
    "method": lambda thing, some: bp.method(thing),
    "method, rule": lambda thing, some: bp.method("kinds")(thing),
    "report.by": lambda thing, some: some["report"].by(thing),
    "figures.heatmap": lambda thing, some: bp.figures.heatmap(thing),
    "figures.difference": lambda thing, some: bp.figures.difference(thing),
    "figures.cells, figure": lambda thing, some: bp.figures.cells(thing, some["report"]),
    "figures.cells, of": lambda thing, some: bp.figures.cells(some["heatmap"], thing),
    "figures.histogram": lambda thing, some: bp.figures.histogram(thing),
    "figures.histogram, mask": lambda thing, some: bp.figures.histogram(torch.ones(2, 2), thing),
    "figures.mask": lambda thing, some: bp.figures.mask(thing),
    "figures.png": lambda thing, some: bp.figures.png(thing),
    "figures.heatmap, labels": lambda thing, some: bp.figures.heatmap(some["plain model"], thing),
    "figures.histogram, labels": lambda thing, some: bp.figures.histogram(torch.ones(0), None, thing),
    "figures.mask, title": lambda thing, some: bp.figures.mask(torch.ones(0), title=thing),
    "report.to_text, labels": lambda thing, some: some["report"].to_text(thing),
    "SparsityReport": lambda thing, some: bp.SparsityReport(thing),
    "Step.amount_of": lambda thing, some: STEP.amount_of(thing),
    "evaluate, limit": lambda thing, some: bp.evaluate(some["checkpoint"], ["good"], limit=thing),
    "evaluate, text": lambda thing, some: bp.evaluate(some["checkpoint"], ["good"], text=thing),
    "evaluate, a text": lambda thing, some: bp.evaluate(some["checkpoint"], [{"text": thing}]),
    "try_text, max_length": lambda thing, some: bp.try_text(some["run"], "good", tokenizer="demo", max_length=thing),
}

REPORTING = {
    "prune": lambda some, progress: bp.prune(some["checkpoint"], STEP, progress=progress),
    "apply": lambda some, progress: bp.apply(some["checkpoint"].load(), STEP, progress=progress),
    "evaluate": lambda some, progress: bp.evaluate(some["run"], ["good"], tokenizer="demo", progress=progress),
    "export": lambda some, progress: bp.export(some["run"], some["folder"].parent / "none", progress=progress),
    "push": lambda some, progress: bp.push(some["folder"], "me/tiny", token="hf_x", progress=progress),
    "Checkpoint.model": lambda some, progress: some["checkpoint"].model(progress=progress),
    "Checkpoint.load": lambda some, progress: some["checkpoint"].load(progress=progress),
}


def test_a_progress_that_is_no_function_is_refused_alike_everywhere(
    things: dict[str, Any], subtests: pytest.Subtests
) -> None:
    for call in REPORTING:
        with subtests.test(call):
            for progress in (None, True, "bar", [], bp.Recipe, lambda: None):
                with pytest.raises(bp.BertpruneError, match=r"^progress takes a function of the share") as caught:
                    REPORTING[call](things, progress)
                assert caught.value.code == "progress.kind"
            assert not (things["folder"].parent / "none").exists()


@pytest.mark.filterwarnings("ignore::bertprune.errors.BertpruneWarning")
@pytest.mark.usefixtures("temporary_methods")
def test_the_wrong_kind_of_thing_is_one_line(
    things: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, subtests: pytest.Subtests
) -> None:
    monkeypatch.chdir(tmp_path)
    given = {kind: thing for kind, thing in things.items() if kind not in OF_ANOTHER}
    for name, call in CALLS.items():
        with subtests.test(name):
            leaks = []
            for kind, thing in given.items():
                try:
                    call(thing, things)
                except bp.BertpruneError as error:
                    assert error.code != "other" and "\n" not in str(error) and len(str(error)) < 2000, kind
                except Exception as error:
                    leaks.append(f"{kind}: {type(error).__name__}: {error}")
            things["run"].release()
            assert not leaks


OBVIOUS = {
    "tree": lambda some: bp.tree(some["run"]) == bp.tree(some["run"].model),
    "snapshot": lambda some: bp.snapshot(some["run"]) == some["run"].after,
    "sparsity": lambda some: bp.sparsity(some["run"]) == some["run"].report,
    "heatmap of a run": lambda some: bool(bp.figures.heatmap(some["run"]).axes),
    "heatmap of a model": lambda some: bool(bp.figures.heatmap(some["run"].model).axes),
    "a recipe's file": lambda some: bp.preview(some["folder"], some["recipe file"]) == some["preview"],
    "a list of steps": lambda some: bp.preview(some["folder"], [STEP]) == some["preview"],
    "a step as data": lambda some: bp.preview(some["folder"], STEP.model_dump()) == some["preview"],
}


def test_the_obvious_is_done(things: dict[str, Any], subtests: pytest.Subtests) -> None:
    for case in OBVIOUS:
        with subtests.test(case):
            assert OBVIOUS[case](things)


NAMED = {
    "a checkpoint for a model": (lambda some: bp.sparsity(some["checkpoint"]), r"checkpoint\.load\(\) builds one"),
    "a name for a model": (lambda some: bp.tree("demo"), r"'demo' is opened by bp\.load"),
    "a class for a model": (lambda some: bp.apply(nn.Linear, STEP), "not the class Linear"),
    "a model for a checkpoint": (lambda some: bp.prune(some["model"], STEP), r"bp\.apply\(model, recipe\) prunes"),
    "a run for a checkpoint": (lambda some: bp.prune(some["run"], STEP), r"run\.checkpoint is the checkpoint of a run"),
    "a comparison for a report": (
        lambda some: bp.figures.heatmap(some["comparison"]),
        r"bp\.figures\.difference draws a comparison",
    ),
    "a run for a comparison": (
        lambda some: bp.figures.difference(some["run"]),
        r"bp\.compare\(first, second\) makes one",
    ),
    "masks for a mask": (lambda some: bp.figures.mask(some["masks"]), r"run\.masks\[name\], not PackedMasks"),
    "text for a recipe": (lambda some: bp.preview(some["folder"], "steps: []"), r"bp\.Recipe\.from_yaml reads YAML"),
    "missing that is not there": (
        lambda some: bp.apply(some["checkpoint"].load(), STEP, missing=["poolr.dense.weight"]),
        "no such parameter",
    ),
}


def test_the_right_call_is_named(things: dict[str, Any], subtests: pytest.Subtests) -> None:
    for case in NAMED:
        with subtests.test(case):
            call, words = NAMED[case]
            with pytest.raises(bp.BertpruneError, match=words):
                call(things)

"""What is exported from an export keeps its history: recipe, seed, texts, and what came before."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.utils import prune

import bertprune as bp
from tests.calibration_texts import TEXTS

from .conftest import KEY

STEPS = [
    bp.Step(method="token_count", count=7),
    bp.Step(method="layer_change", granularity="layer", fraction=1.0, select=bp.Selection(layers=[1])),
    bp.Step(method="wanda", granularity="neuron", fraction=0.5),
]
ROWS = bp.Step(method="l1_unstructured", fraction=0.25, select="*key")
KEPT = ("seed", "source", "methods", "steps", "calibration", "removed", "versions")
Made = tuple[bp.PruningRun, Path]


@pytest.fixture
def small(tmp_path: Path, tiny_folder: Callable[..., Path]) -> Made:
    """Give a run of three layers that lost one, half of its neurons and some tokens, and its export."""
    run = bp.prune(tiny_folder(num_hidden_layers=3), STEPS, seed=3, calibration=TEXTS)
    return run, bp.export(run, tmp_path / "small", "small").path


def report_of(folder: Path) -> Any:
    return json.loads((folder / "report.json").read_text())


def card_of(folder: Path) -> str:
    return (folder / "README.md").read_text()


def test_another_form_or_dtype_of_an_export_keeps_how_it_was_made(small: Made, tmp_path: Path) -> None:
    run, folder = small
    half = bp.export(folder, tmp_path / "half", dtype="float16").path
    again = bp.export(half, tmp_path / "again", dtype="float32").path
    for one in (half, again):
        assert bp.Recipe.load(one / "recipe.yaml") == run.recipe
        assert {key: report_of(one)[key] for key in KEPT} == {key: report_of(folder)[key] for key in KEPT}
        assert report_of(one)["history"] == {} and "earlier" not in report_of(one)
        text = card_of(one)
        assert f"made from `{run.checkpoint.name}` with bertprune. The source's layer 1 was taken out" in text
        assert "7 tokens were taken out" in text and "Seed 3, and this recipe" in text
        assert f"Calibrated on {len(TEXTS)} examples" in text and "Nothing more was pruned" not in text
    assert report_of(half)["dtype"] == "float16"


def test_a_model_trained_from_an_export_keeps_how_that_was_made(small: Made, tmp_path: Path) -> None:
    run, folder = small
    model = bp.load(folder)
    model.config.id2label, model.config.label2id = {0: "no", 1: "yes"}, {"no": 0, "yes": 1}
    with torch.no_grad():
        model.classifier.bias += 1
    bp.export(model, tmp_path / "trained", like=folder)
    bp.export(tmp_path / "trained", tmp_path / "half", dtype="float16")
    for name in ("trained", "half"):
        report = report_of(tmp_path / name)
        assert bp.Recipe.load(tmp_path / name / "recipe.yaml") == run.recipe
        assert report["changed"] == ["classifier.bias"] and report["config"] == ["id2label", "label2id"]
        assert {key: report[key] for key in KEPT} == {key: report_of(folder)[key] for key in KEPT}
        assert "of 1 tensor were changed after that, by training or by hand." in card_of(tmp_path / name)


def test_layers_that_went_later_are_numbered_as_in_the_first_source(small: Made, tmp_path: Path) -> None:
    _, folder = small
    model = bp.load(folder)
    del model.bert.encoder.layer[1]
    model.config.num_hidden_layers = 1
    bp.export(model, tmp_path / "one", like=folder)
    assert report_of(tmp_path / "one")["removed"] == {"layers": [1, 2], "tokens": 7}
    assert "The source's layers 1, 2 were taken out" in card_of(tmp_path / "one")


def test_masks_go_on_from_the_steps_of_the_recipe(pruned: Callable[..., Any], tmp_path: Path) -> None:
    bp.export(pruned(ROWS), tmp_path / "masked", "masked")
    model = bp.load(tmp_path / "masked")
    prune.random_unstructured(model.get_submodule(KEY), "weight", amount=9)
    bp.export(model, tmp_path / "more", "masked", like=tmp_path / "masked")
    history = report_of(tmp_path / "more")["history"]
    assert history.pop(f"{KEY}.weight") == [0, "RandomUnstructured"]
    assert list(history.values()) == [[0]]
    assert bp.snapshot(bp.load(tmp_path / "more")).hooks == bp.snapshot(model).hooks


def test_a_run_of_an_export_names_what_was_pruned_before(small: Made, tmp_path: Path) -> None:
    first, folder = small
    second = bp.prune(folder, ROWS, seed=5)
    bp.export(second, tmp_path / "second")
    bp.export(bp.prune(tmp_path / "second", ROWS, seed=6), tmp_path / "third", "masked")
    bp.export(tmp_path / "third", tmp_path / "baked")
    for name in ("third", "baked"):
        assert bp.Recipe.load(tmp_path / name / "recipe.yaml").steps == (ROWS,)
        earlier = report_of(tmp_path / name)["earlier"]
        assert [(one["source"]["name"], one["seed"]) for one in earlier] == [(first.checkpoint.name, 3), ("small", 5)]
        assert [bp.Recipe.of(one["recipe"]) for one in earlier] == [first.recipe, second.recipe]
        text = card_of(tmp_path / name)
        assert "Seed 6, and this recipe" in text
        assert text.index("`second` was itself made from `small`, with seed 5 and this recipe:") < text.index(
            f"`small` was itself made from `{first.checkpoint.name}`, with seed 3 and this recipe:"
        )


def test_the_base_model_is_that_of_the_first_source_on_the_hub(small: Made, tmp_path: Path) -> None:
    _, folder = small
    report = report_of(folder)
    report["source"] |= {"hub_id": "org/name", "revision": "v1"}
    (folder / "report.json").write_text(json.dumps(report))
    for name, source in (("converted", folder), ("pruned", bp.prune(folder, ROWS))):
        bp.export(source, tmp_path / name, dtype="float32")
        assert "base_model: org/name\n" in card_of(tmp_path / name) and "at revision `v1`" in card_of(tmp_path / name)


DAMAGES: dict[str, tuple[str, str]] = {
    "no JSON": ("report.json", "{"),
    "no report of ours": ("report.json", '{"source": 3}'),
    "no source": ("report.json", '{"bertprune": "0"}'),
    "no recipe": ("recipe.yaml", "steps: 3"),
}


def test_a_record_that_cannot_be_read_stops_nothing(small: Made, tmp_path: Path, subtests: pytest.Subtests) -> None:
    _, folder = small
    for number, case in enumerate(DAMAGES):
        with subtests.test(case):
            name, text = DAMAGES[case]
            before = (folder / name).read_text()
            (folder / name).write_text(text)
            out = bp.export(folder, tmp_path / str(number), dtype="float32").path
            (folder / name).write_text(before)
            assert "recipe.yaml" not in {path.name for path in out.iterdir()}
            assert "Nothing more was pruned" in card_of(out) and report_of(out)["source"]["name"] == "small"


def test_odd_values_in_a_record_do_no_harm(small: Made, tmp_path: Path, subtests: pytest.Subtests) -> None:
    _, folder = small
    odd: list[Any] = [3, "`x`\n# y", None, [None, -1, "`x`\n# y"], {"layers": "`x`\n# y", "tokens": True}]
    report = report_of(folder)
    for number, value in enumerate(odd):
        with subtests.test(str(value)):
            keys = ("methods", "steps", "history", "removed", "changed", "config", "mask_dtype")
            (folder / "report.json").write_text(json.dumps({**report, **dict.fromkeys(keys, value)}))
            out = bp.export(folder, tmp_path / str(number), dtype="float32").path
            assert "Seed 3" in card_of(out) and "# y" not in card_of(out)

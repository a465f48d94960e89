"""Scans and plans in the shell: what is written, what is printed, and what is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import bertprune as bp
from tests.calibration_texts import TEXTS

FISHER = "--method fisher --no-reconstruct --levels 0.5"


@pytest.fixture
def texts(here: Path) -> Path:
    (here / "texts.txt").write_text("\n".join(TEXTS))
    return here


def test_a_scan_is_printed_drawn_and_kept(cli: Callable[..., Any], texts: Path) -> None:
    line = f"scan tiny-0 --calibrate texts.txt {FISHER} --file scan.json"
    result = cli(f"{line} --figure scan.svg")
    assert (result.code, result.err) == (0, "")
    about, heading, *rows = result.out.splitlines()
    assert "held back" in about and heading.split() == ["layer", "part", "50", "%"]
    assert [row.split()[:2] for row in rows] == [[layer, part] for layer in "01" for part in ("neuron", "head")]
    assert (texts / "scan.svg").read_text().startswith("<?xml")
    assert cli(f"{line} --json").json == json.loads((texts / "scan.json").read_text())


def test_a_plan_is_a_recipe_and_its_forecast(cli: Callable[..., Any], texts: Path) -> None:
    line = "plan tiny-0 --calibrate texts.txt --macs 0.6 --rounds 1"
    result = cli(f"{line} --out recipe.yaml")
    assert (result.code, result.err) == (0, "")
    recipe = bp.Recipe.load("recipe.yaml")
    assert {f"forecast: {recipe.forecast}", "wrote recipe.yaml"} <= set(result.out.splitlines())
    assert all(str(step) in result.out for step in recipe.steps)
    assert bp.Recipe.from_json(cli(f"{line} --json").out) == recipe
    assert cli("prune tiny-0 --recipe recipe.yaml --calibrate texts.txt --form small --out small").code == 0


WRONG = {
    "a plan has one budget: give one of macs, bytes, drift, sparsity; given: macs, sparsity": (
        "plan",
        "--macs 0.5 --sparsity 0.5",
    ),
    "a plan has one budget: give one of macs, bytes, drift, sparsity; given: -": ("plan", ""),
    "macs is a share": ("plan", "--macs 1.5"),
    "--levels 'half'": ("scan", "--levels half"),
    "none/scan.svg: cannot be written, because there is no folder none": ("scan", "--figure none/scan.svg"),
    "none/scan.json: cannot be written, because": ("scan", "--file none/scan.json"),
    "none/recipe.yaml: cannot be written, because": ("plan", "--macs 0.5 --out none/recipe.yaml"),
    "--figure scan.txt: expected": ("scan", "--figure scan.txt"),
    "a scan prunes by": ("scan", "--granularity row"),
}


def test_wrong_budgets_and_levels_are_one_line(cli: Callable[..., Any], texts: Path, subtests: pytest.Subtests) -> None:
    for words, (command, flags) in WRONG.items():
        with subtests.test(words):
            result = cli(f"{command} tiny-0 --calibrate texts.txt {flags}")
            assert (result.code, result.out) == (2, "")
            assert result.err.startswith(f"error: {words}") and result.err.count("\n") == 1

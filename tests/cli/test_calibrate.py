"""The flags of granularity, reconstruction and calibration texts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import bertprune as bp
from bertprune.recipe import Recipe
from tests.calibration_texts import TEXTS

NEURONS = "--method obs --granularity neuron --fraction 0.5 --reconstruct"


@pytest.fixture
def texts(here: Path) -> Path:
    (here / "texts.txt").write_text("\n".join(TEXTS))
    return here


def test_every_flag_reaches_the_run(cli: Callable[..., Any], texts: Path) -> None:
    line = f"prune tiny-0 {NEURONS} --calibrate texts.txt --calibration-count 30 --calibration-length 6 --out out"
    result = cli(line)
    assert result.code == 0
    assert "note: calibrated on 30 texts\n" in result.err and "note: reconstruction " in result.err
    written = Recipe.load(texts / "out" / "recipe.yaml")
    calibration = bp.Calibration("texts.txt", count=30, max_length=6)
    run = bp.prune("tiny-0", bp.Step(method="obs", granularity="neuron", fraction=0.5, reconstruct=True),
                   calibration=calibration)  # fmt: skip
    assert written == run.recipe
    assert cli(line + " --overwrite --json").json["notes"] == list(run.notes)


def test_a_pattern_is_its_own_amount(cli: Callable[..., Any], texts: Path, subtests: pytest.Subtests) -> None:
    for granularity in ["row", "column", "2:4", "block:4x4", "head"]:
        with subtests.test(granularity):
            amount = "" if granularity == "2:4" else "--fraction 0.5"
            line = f"--method magnitude --granularity {granularity} {amount} --role attention.query"
            assert cli(f"prune tiny-0 {line} --out out --overwrite").code == 0
            (step,) = Recipe.load(texts / "out" / "recipe.yaml").steps
            assert (step.granularity, step.fraction) == (granularity, 0.5 if amount else None)
            assert cli(f"preview tiny-0 {line}").code == 0


def test_a_recipe_is_replayed_on_its_texts_and_on_others(cli: Callable[..., Any], texts: Path) -> None:
    cli(f"prune tiny-0 {NEURONS} --calibrate texts.txt --out out")
    again = cli("prune tiny-0 --recipe out/recipe.yaml --calibrate texts.txt --out again")
    assert "other texts" not in again.err
    for path in (texts / "out").iterdir():
        assert path.read_bytes() == (texts / "again" / path.name).read_bytes()
    other = cli("prune tiny-0 --recipe out/recipe.yaml --calibrate texts.txt --calibration-count 20 --out other")
    assert other.code == 0 and other.err.count("calibrated on other texts") == 1


def test_every_command_that_prunes_takes_texts(cli: Callable[..., Any], texts: Path) -> None:
    module = "encoder.layer.0.output.dense"
    shown = cli(f"inspect tiny-0 {module} {NEURONS} --calibrate texts.txt")
    assert shown.code == 0 and "weight_mask" in shown.out
    tried = cli(f"try tiny-0 good {NEURONS} --calibrate texts.txt")
    assert tried.code == 0
    assert all("note: calibrated on" in result.err for result in (shown, tried))


def test_preview_counts_without_texts_and_says_that_they_are_needed(cli: Callable[..., Any], texts: Path) -> None:
    result = cli(f"preview tiny-0 {NEURONS}")
    assert result.code == 0 and "needs calibration texts: give prune --calibrate FILE" in result.out
    (step,) = cli(f"preview tiny-0 {NEURONS} --json").json["steps"]
    assert step["needs_texts"] is True and step["removed"][0] == step["removed"][1] > 0


LINES = {
    f"prune tiny-0 {NEURONS} --out out": "needs calibration texts … (--calibrate FILE)",
    f"prune tiny-0 {NEURONS} --out out --calibrate no.txt": "no.txt: no such file",
    f"prune tiny-0 {NEURONS} --out out --calibration-count 3": "say how --calibrate FILE is read",
    f"prune tiny-0 {NEURONS} --out out --calibrate texts.txt --calibration-count 0": "'--calibration-count'",
    f"prune tiny-0 {NEURONS} --out out --calibrate texts.txt --calibration-count 3": "give five calibration texts",
    "prune tiny-0 --method magnitude --granularity 4:2 --out out": "amount",
    "prune tiny-0 --method magnitude --granularity 4:2 --count 1 --out out": "N:M such as 2:4",
    "prune tiny-0 --method magnitude --granularity 2:4 --count 1 --out out": "neither fraction nor count",
    "prune tiny-0 --method obs --granularity row --count 1 --out out": "obs does not prune by row",
    "prune tiny-0 --method magnitude --granularity row --count 1 --reconstruct --out out": "cannot be reconstructed",
    "prune tiny-0 --method magnitude --granularity 2:4 --scope global --out out": "scope global has no meaning",
    "prune tiny-0 --method ln_structured --granularity head --count 1 --out out": "does not prune by head",
}


def test_what_has_no_meaning_is_one_clear_line(cli: Callable[..., Any], texts: Path, subtests: pytest.Subtests) -> None:
    for line in LINES:
        with subtests.test(line):
            result = cli(line)
            assert (result.code, result.out) == (2, "") and result.err.count("\n") == 1
            assert all(words in result.err for words in LINES[line].split(" … "))
            assert not (texts / "out").exists()

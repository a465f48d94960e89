"""`bertprune sweep`: its flags and what it prints. Its results are in the folder already, so no process starts."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import bertprune as bp
from tests.calibration_texts import TEXTS

PARTS = "--role attention.query --layer 0"
SELECT = bp.Selection(roles=["attention.query"], layers=[0])


@pytest.fixture
def swept(here: Path) -> Path:
    """Sweep a grid and a recipe of a file, and keep the results in the folder `out`."""
    lines = [f"{text},{number % 2}" for number, text in enumerate(TEXTS[:20])]
    (here / "reviews.csv").write_text("\n".join(["text,label", *lines]))
    heads = bp.Step(method="magnitude", granularity="head", count=1)
    bp.Recipe.of(heads).save(here / "heads.yaml")
    grid = bp.grid(method=["magnitude", "random"], fraction=[0.3, 0.5], select=SELECT)
    with ThreadPoolExecutor(1) as one:
        bp.sweep("tiny-0", [*grid.values(), heads], "reviews.csv", out="out", executor=one)
        bp.sweep("tiny-0", [heads], "reviews.csv", sample=8, out="drawn", executor=one)
    return here


USUAL = "sweep tiny-0 --data reviews.csv --out out"
LINE = f"{USUAL} --method magnitude --method random --fraction .3 --fraction 0.5 {PARTS}"


def test_a_grid_and_a_file_are_printed_written_and_drawn(cli: Callable[..., Any], swept: Path) -> None:
    result = cli(f"{LINE} --recipe heads.yaml --figure curve.png --csv table.csv")
    assert (result.code, result.err) == (0, "")
    names = [line.partition("  ")[0] for line in result.out.splitlines()[3:9]]
    on = "on roles attention.query; layers 0"
    assert names[0] == "dense" and names[1] == "heads.yaml" and len(names) == 6, (names, on)
    assert (swept / "curve.png").read_bytes()[:4] == b"\x89PNG"
    assert (swept / "table.csv").read_text().count("\n") == 7


def test_a_sample_of_the_rows_is_drawn(cli: Callable[..., Any], swept: Path) -> None:
    found = cli("sweep tiny-0 --data reviews.csv --sample 8 --out drawn --recipe heads.yaml --json")
    assert found.code == 0 and found.json["examples"] == 8, found.err


def test_json_holds_everything_and_a_refused_combination(cli: Callable[..., Any], swept: Path) -> None:
    plain = cli(f"{LINE} --recipe heads.yaml --granularity 2:4 --json").json
    refused = [row["name"] for row in plain["rows"] if row["error"]]
    assert [row["name"] for row in plain["rows"] if not row["error"]] == ["dense", "heads.yaml"]
    assert len(refused) == 4 and refused[0] == "--method magnitude --fraction .3 --granularity 2:4"


LINES = {
    "sweep tiny-0 --data reviews.csv": "no recipes: give --recipe FILE, or --method",
    f"{LINE} --count 3": "give either --fraction",
    f"{LINE} --recipe none.yaml": "none.yaml cannot be read",
    f"{LINE} --figure curve.txt": "curve.txt: expected a name that ends in .pdf, .png, .svg",
    f"{LINE} --workers 2 --dask tcp://127.0.0.1:1": "give one",
    f"{LINE} --workers 0": "'--workers'",
    f"{LINE} --csv no/such/table.csv": "no/such/table.csv: cannot be written, because there is no folder",
    "sweep tiny-0 --data none.csv --method magnitude --fraction .3": "none.csv: no such file",
    "sweep none --data reviews.csv --method magnitude --fraction .3": "none",
    f"{USUAL} --method magnitude --fraction .3 --granularity 2:4 {PARTS}": "neither fraction",
}


def test_wrong_input_is_one_line(cli: Callable[..., Any], swept: Path, subtests: pytest.Subtests) -> None:
    for line, said in LINES.items():
        with subtests.test(line):
            result = cli(line)
            assert (result.code, result.out) == (2, "") and said in result.err and result.err.count("\n") == 1

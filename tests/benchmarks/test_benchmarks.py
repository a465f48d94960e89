"""The benchmark scripts run and write what they promise."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SCRIPTS = Path(__file__).parents[2] / "benchmarks"


def script(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    """Give a file of 30 labelled texts of different lengths."""
    path = tmp_path / "reviews.tsv"
    lines = [f"{'the film was good ' * (1 + row % 3)}\t{row % 2}\n" for row in range(30)]
    path.write_text("document\tlabel\n" + "".join(lines))
    return path


def test_quality_vs_sparsity_writes_table_figure_and_numbers(
    tiny_folder: Callable[..., Path], reviews: Path, tmp_path: Path
) -> None:
    folder, image, table = tiny_folder(), tmp_path / "out" / "figure.png", tmp_path / "out" / "table.md"
    options = ["--fractions", "0.5", "--limit", "20", "--image", str(image), "--table", str(table)]
    script("quality_vs_sparsity").main(["--data", str(reviews), "--checkpoint", str(folder), *options])
    lines = table.read_text().splitlines()
    assert lines[0] == "| sparsity | random | L1, local | L1, global | rows by L2 |"
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| 0 %", "| 50 %"]
    assert all(line.count("–") == 4 for line in lines[2:])
    numbers = json.loads(table.with_suffix(".json").read_text())
    assert numbers["data"] == "reviews.tsv"
    assert len(numbers["points"]) == 5
    for point in numbers["points"]:
        assert point["sparsity"] == pytest.approx(point["asked"], abs=0.01)
        assert point["low"] <= point["value"] <= point["high"]
        assert (point["figure"], point["examples"]) == ("accuracy", 20)
    assert image.read_bytes().startswith(b"\x89PNG")
    assert str(tmp_path) not in table.with_suffix(".json").read_text()


@pytest.mark.parametrize(
    ("curves", "header"),
    [
        ("scores", "| sparsity | L1 | L1, by row | Wanda | Fisher | OBS | OBS, reconstructed |"),
        ("neurons", "| neurons | L2 | Wanda | Fisher | OBS, reconstructed |"),
    ],
)
def test_scores_that_read_texts_have_curves_of_their_own(
    curves: str, header: str, tiny_folder: Callable[..., Path], reviews: Path, tmp_path: Path
) -> None:
    image, table = tmp_path / "figure.png", tmp_path / "table.md"
    options = ["--curves", curves, "--calibration", str(reviews), "--fractions", "0.5", "--limit", "20"]
    files = ["--data", str(reviews), "--checkpoint", str(tiny_folder()), "--image", str(image), "--table", str(table)]
    script("quality_vs_sparsity").main([*options, *files])
    assert table.read_text().splitlines()[0] == header
    points = json.loads(table.with_suffix(".json").read_text())["points"]
    assert [point["sparsity"] for point in points[1:]] == pytest.approx([0.5] * (len(points) - 1), abs=0.01)
    assert image.read_bytes().startswith(b"\x89PNG")


def test_plans_are_scored_beside_equal_amounts(tiny_folder: Callable[..., Path], reviews: Path, tmp_path: Path) -> None:
    table = tmp_path / "plans.md"
    options = ["--data", str(reviews), "--checkpoint", str(tiny_folder()), "--calibration", str(reviews)]
    budgets = ["--budgets", "50 % of the MACs, plain", "60 % of the weights"]
    script("plans").main([*options, *budgets, "--limit", "20", "--table", str(table)])
    header, _, whole, *rows = table.read_text().splitlines()
    assert header == "| budget | MACs | the same in all layers | planned |"
    assert whole.startswith("| nothing pruned |") and [row.split(" | ")[0][2:] for row in rows] == budgets[1:]
    assert all(0 <= float(row.split(" | ")[3].rstrip("% |")) <= 100 for row in rows)
    assert rows[0].split(" | ")[2] == "-"  # no neurons are enough where all heads stay


def test_evaluate_speed_compares_like_with_like(
    tiny_folder: Callable[..., Path], reviews: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "speed.json"
    options = ["--data", str(reviews), "--checkpoint", str(tiny_folder()), "--rounds", "1", "--out", str(out)]
    result = script("evaluate_speed").main(options)
    assert json.loads(out.read_text()) == result
    assert result["examples"] == 30
    assert result["evaluate_accuracy"] == result["pipeline_loop_accuracy"]
    assert result["ratio"] == pytest.approx(
        result["evaluate_examples_per_second"] / result["pipeline_loop_examples_per_second"], rel=0.05
    )
    assert "ratio" in capsys.readouterr().out


def test_held_back_reviews_are_those_that_training_holds_back(tmp_path: Path) -> None:
    from demo_training.data import read_reviews, split

    source, out = tmp_path / "all.tsv", tmp_path / "held.tsv"
    source.write_text("document\tlabel\n" + "".join(f'"{row}" 편\t{row % 2}\n' for row in range(50)), encoding="utf-8")
    script("held_back").main(["--data", str(source), "--out", str(out), "--count", "10", "--seed", "3"])
    assert read_reviews(out) == split(read_reviews(source), 10, 3)[1]


def test_the_table_of_speeds_is_made_from_the_measured_numbers() -> None:
    speed = json.loads((SCRIPTS / "evaluate_speed.json").read_text())
    assert (SCRIPTS / "evaluate_speed.md").read_text(encoding="utf-8") == script("evaluate_speed").table(speed)

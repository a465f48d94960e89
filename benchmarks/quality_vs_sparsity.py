"""Measure the accuracy that each method leaves at each sparsity; write a table, a figure and all numbers.

    python benchmarks/quality_vs_sparsity.py --data reviews.tsv
    python benchmarks/quality_vs_sparsity.py --data reviews.tsv --curves scores

The Linear weights of the encoder are pruned, and every model is evaluated on the same examples. The results are
`docs/images/quality_vs_sparsity.png` and, next to this script, `quality_vs_sparsity.md` and `.json`; those of `--curves
scores` are `quality_of_scores`, those of `--curves neurons` are `quality_of_neurons`.
"""

import argparse
import json
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import seaborn as sns
import torch
from matplotlib.figure import Figure
from rich.progress import Progress, TaskID

import bertprune as bp
from bertprune.text import markdown

HERE = Path(__file__).resolve().parent
ENCODER = bp.Selection(types=["Linear"], include=["encoder.*"])
DENSE = "dense"


@dataclass(frozen=True)
class Curves:
    """Methods that are drawn together."""

    methods: dict[str, dict[str, Any]]
    fractions: tuple[float, ...]
    column: str
    """What the table calls the fractions."""
    axis: str
    """What the figure calls them."""
    files: str
    """What table, figure and numbers are called."""


NEURONS: dict[str, Any] = {"granularity": "neuron", "scope": "global"}
TENTHS = tuple(tenth / 10 for tenth in range(1, 10))
WEIGHTS = ("sparsity", "sparsity of the encoder's Linear weights")

CURVES = {
    "torch": Curves(
        {
            "random": {"method": "random_unstructured"},
            "L1, local": {"method": "l1_unstructured"},
            "L1, global": {"method": "l1_unstructured", "scope": "global"},
            "rows by L2": {"method": "ln_structured", "options": {"n": 2, "dim": 0}},
        },
        TENTHS,
        *WEIGHTS,
        "quality_vs_sparsity",
    ),
    "scores": Curves(
        {
            "L1": {"method": "l1_unstructured"},
            "L1, by row": {"method": "magnitude", "scope": "row"},
            "Wanda": {"method": "wanda", "scope": "row"},
            "Fisher": {"method": "fisher"},
            "OBS": {"method": "obs"},
            "OBS, reconstructed": {"method": "obs", "reconstruct": True},
        },
        TENTHS[4:],
        *WEIGHTS,
        "quality_of_scores",
    ),
    "neurons": Curves(
        {
            "L2": {"method": "magnitude", **NEURONS},
            "Wanda": {"method": "wanda", **NEURONS},
            "Fisher": {"method": "fisher", **NEURONS},
            "OBS, reconstructed": {"method": "obs", "granularity": "neuron", "reconstruct": True},
        },
        TENTHS[2:],
        "neurons",
        "pruned neurons of the feed-forward parts",
        "quality_of_neurons",
    ),
}


@dataclass(frozen=True)
class Point:
    """One model's score with its 95 % interval."""

    method: str
    asked: float
    sparsity: float
    figure: str
    value: float
    low: float
    high: float
    examples: int


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure every point, then write table, figure and numbers."""
    given = parse(arguments)
    if given.threads:
        torch.set_num_threads(given.threads)
    checkpoint = bp.Checkpoint.open(given.checkpoint)
    curves = CURVES[given.curves]
    fractions = given.fractions or curves.fractions
    plan = [(DENSE, 0.0), *((name, fraction) for name in curves.methods for fraction in fractions)]
    with Progress() as bars:
        task = bars.add_task("", total=len(plan))
        points = []
        for name, fraction in plan:
            progress = partial(show_progress, bars, task, len(points), f"{name} {fraction:.0%}")
            points.append(measure(checkpoint, name, fraction, given, progress))
    write(points, given)


def show_progress(bars: Progress, task: TaskID, done: int, words: str, share: float, _: str) -> None:
    """Update the progress bar: `done` points are finished, and a share of the next one."""
    bars.update(task, completed=done + share, description=words)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="labelled examples not used in training: CSV, TSV or JSONL")
    parser.add_argument("--checkpoint", default="demo", help="a name, folder or Hub id (default: demo)")
    parser.add_argument("--limit", type=int, default=10_000, help="examples to score (default: 10000)")
    parser.add_argument("--seed", type=int, default=0, help="of the random choices (default: 0)")
    parser.add_argument("--threads", type=int, help="for torch (default: torch's own)")
    parser.add_argument("--curves", choices=CURVES, default="torch", help="which methods (default: torch's)")
    parser.add_argument("--calibration", help="texts for the scores that read some (default: those of the demo)")
    parser.add_argument("--fractions", type=float, nargs="+", help="(default: tenths)")
    parser.add_argument("--image", type=Path, help="(default: in docs/images)")
    parser.add_argument(
        "--table", type=Path, help="numbers go to the .json file of that name (default: beside this file)"
    )
    given = parser.parse_args(arguments)
    name = CURVES[given.curves].files
    given.image = given.image or HERE.parent / "docs" / "images" / f"{name}.png"
    given.table = given.table or HERE / f"{name}.md"
    return given


def measure(
    checkpoint: bp.Checkpoint, name: str, fraction: float, given: argparse.Namespace, progress: Callable[..., None]
) -> Point:
    """Prune by one method and evaluate the result."""
    options = {"limit": given.limit, "batch_size": 64, "progress": progress}
    if name == DENSE:
        sparsity, report = 0.0, bp.evaluate(checkpoint, given.data, **options)
    else:
        step = bp.Step(select=ENCODER, fraction=fraction, **CURVES[given.curves].methods[name])
        run = bp.prune(checkpoint, step, seed=given.seed, calibration=given.calibration)
        sparsity = run.report.total.sparsity
        report = bp.evaluate(run.model, given.data, tokenizer=checkpoint.tokenizer(), **options)
        run.release()
    figure, score = next(iter(report.scores.items()))
    ends = score.after
    return Point(name, fraction, sparsity, figure, ends.value, ends.low, ends.high, report.examples)


def write(points: list[Point], given: argparse.Namespace) -> None:
    """Write table, figure and numbers."""
    for path in (given.image, given.table):
        path.parent.mkdir(parents=True, exist_ok=True)
    curves = CURVES[given.curves]
    given.table.write_text(table(points, curves), encoding="utf-8")
    machine = f"{platform.machine()}, torch {torch.__version__}, {torch.get_num_threads()} threads"
    facts = {"checkpoint": Path(given.checkpoint).name, "data": Path(given.data).name, "seed": given.seed}
    numbers = facts | {"machine": machine, "points": [asdict(point) for point in points]}
    given.table.with_suffix(".json").write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")
    draw(points, curves).savefig(given.image, dpi=150, bbox_inches="tight", metadata={"Software": None})
    print(table(points, curves))


def table(points: list[Point], curves: Curves) -> str:
    """Write the points as a Markdown table: one row per sparsity, one column per method."""
    dense, *rest = points
    found = {(point.method, point.asked): point for point in rest}
    fractions = sorted({point.asked for point in rest})
    rows = [["0 %", *[cell(dense)] * len(curves.methods)]]
    rows += [[f"{at:.0%}".replace("%", " %"), *(cell(found[name, at]) for name in curves.methods)] for at in fractions]
    return markdown((curves.column, *curves.methods), rows, right=(0,)) + "\n"


def cell(point: Point) -> str:
    """Format a value with its interval; accuracies are in per cent."""
    if point.figure in ("accuracy", "macro_f1"):
        return f"{100 * point.value:.1f} ({100 * point.low:.1f}–{100 * point.high:.1f})"
    return f"{point.value:.3f} ({point.low:.3f}–{point.high:.3f})"


def draw(points: list[Point], curves: Curves) -> Figure:
    """Draw one line per method with its interval as a band, and the dense model as a dashed line."""
    dense, *rest = points
    scale = 100 if dense.figure == "accuracy" else 1
    figure = Figure(figsize=(7, 4.2))
    with sns.axes_style("whitegrid"):
        axes = figure.subplots()
    for name, colour, mark in zip(curves.methods, sns.color_palette("colorblind"), "oDsv^P", strict=False):
        line = [dense, *sorted((point for point in rest if point.method == name), key=lambda point: point.sparsity)]
        x = [100 * point.sparsity for point in line]
        sns.lineplot(x=x, y=[scale * point.value for point in line], ax=axes, color=colour, marker=mark, label=name)
        low, high = [scale * point.low for point in line], [scale * point.high for point in line]
        axes.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)
    axes.axhline(scale * dense.value, color="0.4", linestyle="--", linewidth=1, zorder=0)
    unit = "accuracy, %" if dense.figure == "accuracy" else dense.figure.replace("_", " ")
    axes.set(xlabel=f"{curves.axis}, %", ylabel=unit)
    axes.set_title(f"{dense.examples:,} examples, bands are 95 % intervals", fontsize=10)
    axes.legend(frameon=False)
    sns.despine(fig=figure)
    return figure


if __name__ == "__main__":
    main()

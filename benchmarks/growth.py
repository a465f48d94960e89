"""Plot time and memory of a global L1 step against the number of weights, for torch and bertprune.

    python -m benchmarks.growth

Encoders have 1 M to 560 M weights (the largest has the shape of XLM-R large). Each is measured in its own process; the
best of several rounds counts. A side is left out where it would not fit into the free memory: its line ends there.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import nn

from benchmarks.own_process import ROOT, run_module
from benchmarks.peak import available, peak_growth
from benchmarks.works import WORKS

SIZES = {
    "1 M": (4000, 128, 4),
    "5 M": (8000, 256, 4),
    "25 M": (8002, 512, 6),
    "92 M": (8002, 768, 12),
    "278 M": (250_002, 768, 12),
    "560 M": (250_002, 1024, 24),
}
"""Vocabulary, hidden size and layers; the feed-forward part is four times as wide."""

FREE = {"ours": 2.5, "theirs": 12.0}
"""Bytes that a side needs for each byte of the model, with a margin; torch concatenates copies of all tensors."""


def encoder(vocabulary: int, hidden: int, layers: int) -> nn.Module:
    """Build the weight matrices of a BERT, without its forward pass."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        shapes = [(hidden, hidden)] * 4 + [(hidden, 4 * hidden), (4 * hidden, hidden)]
        blocks = [nn.Sequential(*(nn.Linear(*shape) for shape in shapes)) for _ in range(layers)]
        return nn.Sequential(nn.Embedding(vocabulary, hidden), *blocks)


def one(size: str, side: str) -> dict[str, Any]:
    """Measure one side on one size, in this process."""
    model = encoder(*SIZES[size])
    weights = sum(parameter.numel() for parameter in model.parameters())
    if available() < FREE[side] * 4 * weights:
        return {"weights": weights, "seconds": None, "peak": None}
    work = getattr(WORKS["global"], side)
    work(encoder(8, 8, 1))  # imports at the first call must not be measured
    started = time.perf_counter()
    peak = peak_growth(lambda: work(model))
    return {"weights": weights, "seconds": time.perf_counter() - started, "peak": peak}


def measured(size: str, side: str, rounds: int) -> dict[str, Any]:
    """Return the best of several rounds, each in its own process."""
    runs = [json.loads(run_module("growth", "--one", size, side)) for _ in range(rounds)]
    return min(runs, key=lambda run: run["seconds"] or 0)


def plot(points: dict[str, list[dict[str, Any]]]) -> Figure:
    """Draw time and memory against size; both axes are logarithmic, so that a slope of one is linear."""
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    panels = zip(figure.subplots(1, 2), ("seconds", "peak"), ("seconds", "GB beyond the model"), (1, 1e9), strict=True)
    for axes, key, label, scale in panels:
        for side, name, marker in (("theirs", "torch", "s"), ("ours", "bertprune", "o")):
            found = [point for point in points[side] if point[key]]
            axes.plot([p["weights"] / 1e6 for p in found], [p[key] / scale for p in found], marker=marker, label=name)
        axes.set(xscale="log", yscale="log", xlabel="million weights", ylabel=label)
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--one", nargs=2, metavar=("SIZE", "SIDE"), help="measure one point and print it as JSON")
    parser.add_argument("--table", type=Path, default=ROOT / "benchmarks/growth.json")
    parser.add_argument("--image", type=Path, default=ROOT / "docs/images/growth.png")
    given = parser.parse_args()
    if given.one:
        print(json.dumps(one(*given.one)))
        return
    points: dict[str, list[dict[str, Any]]] = {side: [] for side in FREE}
    for size in SIZES:
        for side, found in points.items():
            found.append(measured(size, side, given.rounds))
            print(f"{size:>6} {side:7}", found[-1], flush=True)
    given.table.write_text(json.dumps(points, indent=1) + "\n", encoding="utf-8")
    plot(points).savefig(given.image, dpi=120)


if __name__ == "__main__":
    main()

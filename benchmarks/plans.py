"""Measure what plans keep of a model's score, beside the same amounts in all layers; write a table.

    python -m benchmarks.plans --data reviews.tsv
    python -m benchmarks.plans --data test.csv --checkpoint minilm --calibration train.csv --table minilm.md

Each budget is planned, pruned and scored on the same examples. The plain rows are for models that transformers loads
alone. The results are `plans.md` beside this script; how long each plan took is printed.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

import bertprune as bp
from bertprune.model.coupled import find_coupled
from bertprune.model.macs import macs_per_group
from bertprune.text import markdown

HERE = Path(__file__).resolve().parent
ENCODER = bp.Selection(types=["Linear"], include=["encoder.*"])
BUDGETS: dict[str, dict[str, Any]] = {
    "50 % of the MACs": {"macs": 0.5},
    "50 % of the MACs, plain": {"macs": 0.5, "loads": "plain"},
    "33 % of the MACs": {"macs": 0.33},
    "25 % of the MACs": {"macs": 0.25},
    "60 % of the weights": {"sparsity": 0.6},
    "70 % of the weights": {"sparsity": 0.7},
    "80 % of the weights": {"sparsity": 0.8},
}
HEADS = 0.25
"""The share of the heads that goes where all layers lose alike."""
LENGTH = 20


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure every budget, and write the table."""
    given = parse(arguments)
    if given.threads:
        torch.set_num_threads(given.threads)
    checkpoint = bp.Checkpoint.open(given.checkpoint)
    rows = [("nothing pruned", "", score(checkpoint, given), "")]
    for name in given.budgets or BUDGETS:
        rows.append(measure(checkpoint, name, given))
        given.table.write_text(table(rows), encoding="utf-8")


def table(rows: Sequence[Sequence[str]]) -> str:
    """Write what was measured so far as a Markdown table."""
    return markdown(("budget", "MACs", "the same in all layers", "planned"), rows, right=(1, 2, 3)) + "\n"


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="labelled examples not used in training: CSV, TSV or JSONL")
    parser.add_argument("--checkpoint", default="demo", help="a name, folder or Hub id (default: demo)")
    parser.add_argument("--calibration", help="texts without labels (default: those of the demo)")
    parser.add_argument("--limit", type=int, default=10_000, help="examples to score (default: 10000)")
    parser.add_argument("--budgets", nargs="+", choices=BUDGETS, help="(default: all)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, help="for torch (default: torch's own)")
    parser.add_argument("--table", type=Path, default=HERE / "plans.md")
    return parser.parse_args(arguments)


def measure(checkpoint: bp.Checkpoint, name: str, given: argparse.Namespace) -> tuple[str, ...]:
    """Plan one budget; score its recipe, and that of equal amounts."""
    budget = BUDGETS[name]
    start = time.perf_counter()
    recipe = bp.plan(checkpoint, calibration=given.calibration, seed=given.seed, **budget)
    seconds = time.perf_counter() - start
    assert recipe.forecast is not None
    sides = [pruned(checkpoint, one, given) for one in (uniform(checkpoint, budget), recipe)]
    row = (name, f"{recipe.forecast.macs:.0%}", *sides)
    print(*row, f"planned in {seconds:.0f} s", sep="  ", flush=True)
    return row


def uniform(checkpoint: bp.Checkpoint, budget: dict[str, Any]) -> bp.Recipe | None:
    """Return the recipe of equal amounts in all layers: neurons, and a quarter of the heads where these may go."""
    if "sparsity" in budget:
        return bp.Recipe(steps=[bp.Step(method="obs", fraction=budget["sparsity"], reconstruct=True, select=ENCODER)])
    model, heads = checkpoint.model(), 0.0 if budget.get("loads") == "plain" else HEADS
    ffn, attention = (
        sum(one.number * macs_per_group(one, LENGTH) for one in find_coupled(model, kind, bp.Selection()))
        for kind in ("neuron", "head")
    )
    share = ((1 - budget["macs"]) * (ffn + attention) - heads * attention) / ffn
    if share >= 1:
        return None
    steps = [bp.Step(method="obs", granularity="neuron", fraction=share, reconstruct=True)]
    steps += [bp.Step(method="obs", granularity="head", fraction=heads, reconstruct=True)] if heads else []
    return bp.Recipe(steps=steps)


def pruned(checkpoint: bp.Checkpoint, recipe: bp.Recipe | None, given: argparse.Namespace) -> str:
    """Prune and score; nothing where there is no such recipe."""
    if recipe is None:
        return "-"
    run = bp.prune(checkpoint, recipe, seed=given.seed, calibration=given.calibration)
    return score(run, given)


def score(model: Any, given: argparse.Namespace) -> str:
    """Score a model: the first figure, accuracies in per cent."""
    figure, found = next(iter(bp.evaluate(model, given.data, limit=given.limit).scores.items()))
    return f"{found.after.value:.1%}" if figure == "accuracy" else f"{found.after.value:.4f}"


if __name__ == "__main__":
    main()

"""Measure the memory of kept runs and of repeated steps, and the time of snapshots and of opening. Linux only.

python -m benchmarks.lean
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import bertprune as bp
from benchmarks.own_process import run_module
from benchmarks.peak import peak_growth, resident
from benchmarks.works import QKV, WORKS, kobert
from bertprune.model.diff import diff


def runs(number: int = 32) -> str:
    """Prune one checkpoint by many recipes and keep every run; no run builds its model."""
    checkpoint = bp.Checkpoint.open("kobert-shape")
    bp.prune(checkpoint, bp.Step(method="l1_unstructured", count=1, select="encoder.layer.0.*"))  # imports
    kept: list[bp.PruningRun] = []

    def prune_all() -> None:
        for share in range(1, number + 1):
            step = bp.Step(method="l1_unstructured", fraction=share / (number + 1), scope="global", select="*")
            kept.append(bp.prune(checkpoint, step))

    before = resident("VmRSS")
    peak = peak_growth(prune_all)
    after = resident("VmRSS") - before
    return (
        f"{number} runs of one 92 M checkpoint in memory: {after / number / 1e6:.0f} MB each, "
        f"{peak / 1e6:,.0f} MB above the model at the peak"
    )


def rounds(number: int = 50) -> str:
    """Prune and bake one model repeatedly."""
    model = kobert()
    step = bp.Step(method="l1_unstructured", count=100_000, scope="global", select=QKV)
    sizes = []
    for _ in range(number):
        bp.apply(model, step)
        bp.bake(model)
        sizes.append(resident("VmRSS"))
    early, late = sizes[: number // 2], sizes[number // 2 :]
    return (
        f"{number} rounds of pruning and baking one model: {(max(late) - max(early)) / 1e6:+.0f} MB in the second half"
    )


def snapshots() -> str:
    """Take snapshots of a 12-layer model before and after pruning, and compare them."""
    model = kobert()
    before = bp.snapshot(model)
    WORKS["global"].ours(model)
    quickest = _seconds(lambda: diff(before, bp.snapshot(model)))
    return f"snapshot and diff of a 12-layer model: {quickest * 1e3:.0f} ms"


def opening() -> str:
    """Open a 92 M checkpoint: facts and tree come from its headers, no weight is read."""
    with tempfile.TemporaryDirectory() as folder:
        kobert().save_pretrained(folder)  # type: ignore[operator]
        bp.tree(bp.Checkpoint.open(folder).skeleton())  # imports
        ours = _seconds(lambda: _facts_and_tree(folder))
    return f"facts and tree of a 92 M checkpoint from its headers: {ours:.2f} s"


def _facts_and_tree(folder: str) -> object:
    checkpoint = bp.Checkpoint.open(folder)
    return checkpoint.facts, bp.tree(checkpoint.skeleton()).render()


def _seconds(work: Callable[[], object]) -> float:
    times = []
    for _ in range(5):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


PARTS = {"runs": runs, "rounds": rounds, "snapshots": snapshots, "opening": opening}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--part", choices=PARTS, help="measure one part and print it")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".md"))
    given = parser.parse_args()
    if given.part:
        print("-", PARTS[given.part]())
        return
    lines = []
    for part in PARTS:
        lines.append(run_module("lean", "--part", part))
        print(lines[-1], end="", flush=True)
    given.out.write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()

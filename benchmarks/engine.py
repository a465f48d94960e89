"""Time the engine against plain torch, both sides in one run, and write the table that the README shows.

    python -m benchmarks.engine

Each side of each work runs in turn, several times, on a fresh copy of the model; the fastest of each side counts, as
the least disturbed. Memory is the peak above the model, measured in a process of its own.
"""

import argparse
import json
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.works import WORKS, Work, agree, fresh, kobert, masks


def seconds(work: Work, model: torch.nn.Module, rounds: int) -> tuple[float, float]:
    """Return the best time of ours and of torch's; where they must agree, the masks are compared first."""
    best = {"ours": float("inf"), "theirs": float("inf")}
    for _ in range(rounds):
        left = {}
        for side in best:
            mine = fresh(model, work)
            started = time.perf_counter()
            getattr(work, side)(mine)
            best[side] = min(best[side], time.perf_counter() - started)
            left[side] = masks(mine) if work.scores else {}
        if work.scores and not agree(work, model, left["ours"], left["theirs"]):
            raise SystemExit(f"{work.name}: the masks are not torch's")
    return best["ours"], best["theirs"]


def peak(key: str, side: str) -> int:
    """Return the bytes above the model at the peak of one side, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.peak", key, side]
    return int(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["peak"])


def row(work: Work, ours: float, theirs: float, memory: tuple[int, int]) -> str:
    return (
        f"| {work.name} | {work.against} | {theirs:.2f} s | {ours:.2f} s | **{theirs / ours:.1f}×** "
        f"| {memory[1] / 1e6:,.0f} MB | {memory[0] / 1e6:,.0f} MB |"
    )


def table(keys: Sequence[str], rounds: int) -> str:
    model = kobert()
    lines = [
        "| work | against | torch | bertprune | faster | torch's memory | bertprune's |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    for key in keys:
        ours, theirs = seconds(WORKS[key], model, rounds)
        lines.append(row(WORKS[key], ours, theirs, (peak(key, "ours"), peak(key, "theirs"))))
        print(lines[-1], flush=True)
    return "\n".join([*lines, "", machine(rounds), ""])


def machine(rounds: int) -> str:
    return (
        f"Best of {rounds} rounds, both sides in one run; memory at the peak, above the model. "
        f"{platform.machine()}, {torch.get_num_threads()} threads, Python {platform.python_version()}, "
        f"torch {torch.__version__}."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--works", nargs="+", choices=WORKS, default=list(WORKS), metavar="WORK", help=", ".join(WORKS))
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".md"))
    given = parser.parse_args()
    given.out.write_text(table(given.works, given.rounds), encoding="utf-8")


if __name__ == "__main__":
    main()

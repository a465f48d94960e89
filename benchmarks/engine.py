"""Time the engine against plain torch, both sides in one run, and write the table that the README shows.

    python -m benchmarks.engine --out docs/engine.md

Each side of each work runs in turn, several times, on a fresh copy of the model; the fastest of each side counts, as
the least disturbed. Memory is the peak above the model, measured in a process of its own.
"""

import argparse
import json
import platform
import subprocess
import sys
import time
from pathlib import Path

import torch

from benchmarks.works import WORKS, Work, fresh, kobert, masks


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
            left[side] = masks(mine) if work.same else {}
        if any(not torch.equal(mask, left["theirs"][name]) for name, mask in left["ours"].items()):
            raise SystemExit(f"{work.name}: the masks are not torch's")
    return best["ours"], best["theirs"]


def peak(key: str, side: str) -> int:
    """Return the bytes above the model at the peak of one side, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.peak", key, side]
    return int(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["peak"])


def row(work: Work, ours: float, theirs: float, memory: tuple[int, int]) -> str:
    return (
        f"| {work.name} | {work.against} | {theirs:.2f} s | {ours:.2f} s | **{theirs / ours:.1f}×** "
        f"| {memory[1] / 1e6:,.0f} MB | {memory[0] / 1e6:,.0f} MB | {memory[1] / max(1, memory[0]):.1f}× |"
    )


def table(rounds: int) -> str:
    model = kobert()
    lines = [
        "| work | against | torch | bertprune | faster | torch's memory | bertprune's memory | less |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    for key, work in WORKS.items():
        ours, theirs = seconds(work, model, rounds)
        lines.append(row(work, ours, theirs, (peak(key, "ours"), peak(key, "theirs"))))
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
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    text = table(given.rounds)
    if given.out:
        given.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

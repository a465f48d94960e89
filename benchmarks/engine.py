"""Time the engine against plain torch, both sides in one run, and write the table that the README shows.

    python -m benchmarks.engine

Each side of a work has two turns, in a process of its own so that it neither finds nor has to tidy up the other's
memory, and in each several rounds on a fresh copy of the model; the fastest counts, as the least disturbed. Memory is
the peak above the model.
"""

import argparse
import json
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.works import WORKS


def alone(module: str, *arguments: str) -> dict[str, float]:
    """Return what a module of this folder measures in a process of its own."""
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
    measured: dict[str, float] = json.loads(
        subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    )
    return measured


def row(key: str, rounds: int) -> str:
    work, sides = WORKS[key], ("theirs", "ours")
    turns = [[alone("timed", key, side, str(rounds))["seconds"] for side in sides] for _ in range(2)]
    theirs, ours = map(min, zip(*turns, strict=True))
    memory = " | ".join(f"{alone('peak', key, side)['peak'] / 1e6:,.0f} MB" for side in sides)
    return f"| {work.name} | {work.against} | {theirs:.2f} s | {ours:.2f} s | **{theirs / ours:.1f}×** | {memory} |"


def table(keys: Sequence[str], rounds: int) -> str:
    lines = [
        "| work | against | torch | bertprune | faster | torch's memory | bertprune's |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    for key in keys:
        lines.append(row(key, rounds))
        print(lines[-1], flush=True)
    return "\n".join([*lines, "", machine(rounds), ""])


def machine(rounds: int) -> str:
    return (
        f"Best of twice {rounds} rounds, a process for each side, turn about; memory at the peak, above the model. "
        f"{platform.machine()}, {torch.get_num_threads()} threads, Python {platform.python_version()}, "
        f"torch {torch.__version__}."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--works", nargs="+", choices=WORKS, default=list(WORKS), metavar="WORK", help=", ".join(WORKS))
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".md"))
    given = parser.parse_args()
    given.out.write_text(table(given.works, given.rounds), encoding="utf-8")


if __name__ == "__main__":
    main()

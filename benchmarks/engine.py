"""Time the engine against plain torch and write the table that the README shows.

    python -m benchmarks.engine

The two sides of a task alternate, twice, each time in a new process; a process runs several rounds, each on a fresh
copy of the model. The fastest round counts, since it was disturbed least. Memory is the peak above the model.
"""

import argparse
import json
import platform
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.own_process import run_module
from benchmarks.works import WORKS
from bertprune.text import markdown


def measure(module: str, *arguments: str) -> dict[str, float]:
    """Run a module of this folder and return the numbers that it prints as JSON."""
    measured: dict[str, float] = json.loads(run_module(module, *arguments))
    return measured


COLUMNS = ("work", "against", "torch", "bertprune", "faster", "torch's memory", "bertprune's")


def row(key: str, rounds: int) -> list[str]:
    work, sides = WORKS[key], ("theirs", "ours")
    turns = [[measure("timed", key, side, str(rounds))["seconds"] for side in sides] for _ in range(2)]
    theirs, ours = map(min, zip(*turns, strict=True))
    memory = [f"{measure('peak', key, side)['peak'] / 1e6:,.0f} MB" for side in sides]
    return [work.name, work.against, f"{theirs:.2f} s", f"{ours:.2f} s", f"**{theirs / ours:.1f}×**", *memory]


def table(keys: Sequence[str], rounds: int) -> str:
    rows = []
    for key in keys:
        rows.append(row(key, rounds))
        print(*rows[-1], sep="  ", flush=True)
    return f"{markdown(COLUMNS, rows, right=range(2, 7))}\n\n{machine(rounds)}\n"


def machine(rounds: int) -> str:
    return (
        f"Best of 2 × {rounds} rounds; the sides alternate, each in its own process. Memory: peak above the model. "
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

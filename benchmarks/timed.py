"""Time one side of a task on fresh copies of the model; prints JSON.

Where both sides must leave the same masks, bertprune's are compared with torch's afterwards.
"""

import gc
import json
import sys
import time

import torch

from benchmarks.works import WORKS, Work, agree, fresh, kobert, masks


def seconds(work: Work, side: str, model: torch.nn.Module, rounds: int) -> float:
    """Return the best time."""
    best = float("inf")
    for _ in range(rounds):
        mine = fresh(model, work)
        gc.collect()  # so that it does not happen while the clock runs
        started = time.perf_counter()
        getattr(work, side)(mine)
        best = min(best, time.perf_counter() - started)
        del mine
    return best


def check(work: Work, model: torch.nn.Module) -> None:
    """Exit with an error if the two sides leave different masks."""
    left = []
    for side in (work.ours, work.theirs):
        mine = fresh(model, work)
        side(mine)
        left.append(masks(mine))
    if not agree(work, model, *left):
        raise SystemExit(f"{work.name}: the masks differ from torch's")


def main() -> None:
    key, side, rounds = sys.argv[1:]
    work, model = WORKS[key], kobert()
    best = seconds(work, side, model, int(rounds))
    if side == "ours" and work.scores:
        check(work, model)
    print(json.dumps({"seconds": best}))


if __name__ == "__main__":
    main()

"""Measure the peak memory of one side of a task, above the model; prints JSON. Linux only."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.works import WORKS, kobert

PROC = Path("/proc/self")


def resident(field: str) -> int:
    """Read a field of /proc/self/status in bytes: VmRSS is now, VmHWM the peak."""
    return _field(PROC / "status", field)


def available() -> int:
    """Return how many bytes of memory this machine has available."""
    return _field(Path("/proc/meminfo"), "MemAvailable")


def peak_growth(work: Callable[[], object]) -> int:
    """Run some work and return by how many bytes the process grew at its peak."""
    (PROC / "clear_refs").write_text("5")  # resets the peak
    before = resident("VmRSS")
    kept = work()  # the result counts too
    peak = resident("VmHWM") - before
    del kept
    return peak


def _field(file: Path, field: str) -> int:
    line = next(line for line in file.read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024


def main() -> None:
    key, side = sys.argv[1:]
    work, model = WORKS[key], kobert()
    work.ready(model)
    print(json.dumps({"peak": peak_growth(lambda: getattr(work, side)(model))}))


if __name__ == "__main__":
    main()

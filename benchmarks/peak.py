"""Measure how far one side of one work goes above the model in memory; prints JSON. Linux only."""

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
    """Return the bytes that may still be taken on this machine."""
    return _field(Path("/proc/meminfo"), "MemAvailable")


def watched(work: Callable[[], object]) -> int:
    """Do some work, and return the bytes by which the process grew at its peak."""
    (PROC / "clear_refs").write_text("5")  # the peak starts from here
    before = resident("VmRSS")
    kept = work()  # what it returns still counts at the peak
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
    print(json.dumps({"peak": watched(lambda: getattr(work, side)(model))}))


if __name__ == "__main__":
    main()

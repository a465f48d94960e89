"""Measure how far one side of one work goes above the model in memory; prints JSON. Linux only."""

import json
import sys
from pathlib import Path

from benchmarks.works import WORKS, kobert


def resident(field: str) -> int:
    """Read a field of /proc/self/status in bytes: VmRSS is now, VmHWM the peak."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024


def main() -> None:
    key, side = sys.argv[1:]
    work, model = WORKS[key], kobert()
    work.ready(model)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts from here
    before = resident("VmRSS")
    getattr(work, side)(model)
    print(json.dumps({"peak": resident("VmHWM") - before}))


if __name__ == "__main__":
    main()

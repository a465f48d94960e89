"""Whether a file is still the one that was opened, by what the system tells of it: no gigabytes are read for that.

Whoever rewrites a file in place can keep its size, number and time of change, but not the time at which the system
itself says that something of it was changed (on Windows there is no such time, and the other three decide).
"""

import time
from collections.abc import Iterable
from pathlib import Path

Signature = tuple[int, int, int, int] | None
"""Size, time of the last change by the writer and by the system, and number of a file; None where there is none."""

_TICK = 0.02
"""Seconds; file systems take their time from a clock that advances by up to 10 ms at once."""


def signature(path: Path) -> Signature:
    """Return what changes when a file is written."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def signatures(paths: Iterable[Path]) -> dict[Path, Signature]:
    """Return the signatures of files, when the clock is past them, so that a later change has a later time."""
    signed = {path: signature(path) for path in paths}
    latest = max((known[2] for known in signed.values() if known), default=0)
    if 0 < (rest := latest / 1e9 + _TICK - time.time()) <= _TICK:
        time.sleep(rest)
    return signed

"""How much memory is free, where the system says so, and how to keep unused heaps small."""

import ctypes
import platform
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")
_ARENA_MAX = -8
"""The parameter of glibc's `mallopt` for the number of heaps."""


def share_heaps() -> None:
    """Have all threads share two heaps, where the C library is glibc; call this before there are threads.

    By default every thread that serves visitors has its own heap, which keeps the memory of its largest work.
    """
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).mallopt(_ARENA_MAX, 2)


def free() -> int | None:
    """Return the free bytes of the machine or of the container, whichever is less; None where unknown."""
    known = [found for found in (_of_machine(), _of_container()) if found is not None]
    return min(known) if known else None


def _of_machine() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)


def _of_container() -> int | None:
    try:
        limit = (_CGROUP / "memory.max").read_text().strip()
        used = int((_CGROUP / "memory.current").read_text())
        cached = dict(line.split() for line in (_CGROUP / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        return None
    return None if limit == "max" else int(limit) - used + int(cached.get("inactive_file", 0))

"""How much memory is free, where the system says so, and how little of it is left lying about."""

import ctypes
import platform
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")
_ARENA_MAX = -8
"""How glibc's `mallopt` calls the number of its heaps."""


def share_heaps() -> None:
    """Have all threads share two heaps, where the C library is glibc; call it before there are threads.

    It would give every thread that serves visitors a heap of its own, and each keeps what its largest work took.
    """
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).mallopt(_ARENA_MAX, 2)


def free() -> int | None:
    """Give the bytes that can be had without harm: the machine's or the container's, whichever is less."""
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

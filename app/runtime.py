"""The process that the page runs in: its temporary folders, its memory, and the libraries that are slow to import.

Temporary folders are in one place, removed when not used for long, when the page stops, or at the next start. A page
that is killed cannot clean up. A page locks its place as long as it runs, so that the next one to start recognises
what is abandoned.
"""

import atexit
import ctypes
import logging
import os
import platform
import shutil
import tempfile
import threading
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

try:
    from fcntl import LOCK_EX, LOCK_NB, flock
except ImportError:  # Windows: nothing is swept there
    flock = None  # type: ignore[assignment]

log = logging.getLogger("bertprune.app")
_PREFIX = "bertprune-"
_LOCK = ".alive"
_YOUNG = 60
"""Seconds after its creation in which a place may be without its lock."""
_CGROUP = Path("/sys/fs/cgroup")
_ARENA_MAX = -8
"""The parameter of glibc's `mallopt` for the number of heaps."""
_SOFTLY = 1
"""What OpenMP calls a pause after which its settings are kept."""

_used: dict[Path, float] = {}
_guard = threading.Lock()
_ready = threading.Event()
_started = threading.Lock()


@cache
def place() -> Path:
    """Return this process's own place for temporary files, created at the first call."""
    _sweep()
    made = Path(tempfile.mkdtemp(prefix=_PREFIX))
    if flock is not None:
        flock(os.open(made / _LOCK, os.O_CREAT | os.O_RDWR), LOCK_EX | LOCK_NB)  # closed when the process ends
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


def new_folder() -> Path:
    """Make a temporary folder for an upload or an export of one visitor."""
    made = Path(tempfile.mkdtemp(dir=place()))
    touch(made)
    return made


def touch(folder: str | Path) -> None:
    """Note that a folder was just used."""
    with _guard:
        _used[Path(folder)] = time.monotonic()


def remove(folder: str | Path) -> None:
    with _guard:
        _used.pop(Path(folder), None)
    shutil.rmtree(folder, ignore_errors=True)


def remove_idle(seconds: float) -> list[Path]:
    """Remove the folders that were not used for so many seconds, and return them."""
    with _guard:
        idle = [folder for folder, used in _used.items() if time.monotonic() - used >= seconds]
    for folder in idle:
        remove(folder)
    return idle


def _sweep() -> None:
    """Remove the places of pages that do not run any more."""
    if flock is None:
        return
    for left in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _YOUNG and _is_abandoned(left):
                shutil.rmtree(left, ignore_errors=True)


def _is_abandoned(folder: Path) -> bool:
    """Return whether nobody holds the folder's lock."""
    if not (folder / _LOCK).is_file():
        return False  # not a page's
    lock = os.open(folder / _LOCK, os.O_RDWR)
    try:
        flock(lock, LOCK_EX | LOCK_NB)
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(lock)


def share_heaps() -> None:
    """Have all threads share two heaps, where the C library is glibc; call this before there are threads.

    By default every thread that serves visitors has its own heap, which keeps the memory of its largest work.
    """
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).mallopt(_ARENA_MAX, 2)


def end_idle_threads() -> None:
    """End the threads that torch started to help this one, where it computes with GNU's OpenMP; call it after work.

    Otherwise each thread that ever worked keeps its helpers. Once there are more of them than processors, OpenMP puts
    them to sleep after each small product instead of letting them wait for the next, and work takes a third longer.
    """
    if end := getattr(ctypes.CDLL(None), "omp_pause_resource_all", None):
        end(_SOFTLY)


def free_memory() -> int | None:
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


def warm_up() -> None:
    """Start to import torch, transformers and seaborn in the background, once, while the page is already served."""
    if _started.acquire(blocking=False):
        threading.Thread(target=_load, name="bertprune-warm", daemon=True).start()


def wait_until_warm(seconds: float = 120) -> None:
    """Wait until the libraries are imported."""
    warm_up()
    _ready.wait(seconds)


def _load() -> None:
    try:
        import seaborn  # noqa: F401
        import torch  # noqa: F401
        import transformers

        import bertprune as bp

        transformers.logging.set_verbosity_error()
        bp.methods()
        bp.tree, bp.snapshot, bp.sparsity, bp.preview, bp.prune  # noqa: B018
    except Exception:
        log.exception("the libraries could not be loaded in the background")
    else:
        _ready.set()
        bp.evaluate, bp.try_text, bp.export, bp.speed, bp.plan, bp.sweep, bp.compare  # noqa: B018  nobody waits for these yet
    finally:
        _ready.set()

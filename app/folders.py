"""Temporary folders in one place, removed when not used for long, when the page stops, or at the next start.

A page that is killed cannot clean up. A page locks its place as long as it runs, so that the next one to start
recognises what is abandoned.
"""

import atexit
import os
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

_PREFIX = "bertprune-"
_LOCK = ".alive"
_YOUNG = 60
"""Seconds after its creation in which a place may be without its lock."""

_used: dict[Path, float] = {}
_guard = threading.Lock()


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
    """Remove a folder with its contents."""
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

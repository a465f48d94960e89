"""Memory for masks and products, straight from the system."""

import math
import mmap
import threading
import weakref
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

_FROM = 1 << 17
"""Bytes from which an array is cut from a region."""
_REGION = 1 << 25
"""Bytes asked for at once."""
_LINE = 64
"""Bytes of a cache line, on which every array begins."""
_SPARE = 1 << 29
"""Bytes of spare regions at most."""

Region = NDArray[np.uint8]


class Fresh:
    """Arrays that nothing is written to yet, cut one after another from regions that they share.

    A region goes with the last of its arrays, back to the system or to those that are spare: the heap would keep it, in
    pieces, and grow with every run. Make one for arrays that will live and die together; threads may share it.
    """

    def __init__(self, *, spare: bool = False) -> None:
        """Ask for nothing yet. With `spare`, regions of former arrays are used again; see `_set_aside`."""
        self._from_spare = spare
        self._lock = threading.Lock()
        self._region: Region | None = None
        self._used = 0

    def array(self, shape: Sequence[int], dtype: DTypeLike) -> NDArray[Any]:
        """Return an array, as `numpy.empty` does."""
        dtype = np.dtype(dtype)
        size = math.prod(shape) * dtype.itemsize
        if size < _FROM:
            return np.empty(shape, dtype)
        return self._cut(size).view(dtype).reshape(shape)

    def _cut(self, size: int) -> Region:
        if size > _REGION:
            return self._new(size)
        with self._lock:
            if self._region is None or self._used + size > _REGION:
                self._region, self._used = self._new(_REGION), 0
            start, self._used = self._used, self._used + -(-size // _LINE) * _LINE
            return self._region[start : start + size]

    def _new(self, size: int) -> Region:
        if not self._from_spare:
            return np.frombuffer(_pages(size), np.uint8)
        pages = _taken(size) or _pages(size)
        region = np.frombuffer(pages, np.uint8)
        # every array is a view of the region, and keeps it
        weakref.finalize(region, _set_aside, pages).atexit = False
        return region


def own_pages(size: int) -> mmap.mmap:
    """Return zeros of which only those pages cost memory that are written to, and which go back when they are let go.

    The heap would keep every page that was ever touched; of large pages, one would be touched for a single value.
    """
    pages = _pages(size)
    with suppress(OSError, AttributeError):
        pages.madvise(mmap.MADV_NOHUGEPAGE)
    return pages


def _pages(size: int) -> mmap.mmap:
    if hasattr(mmap, "MAP_PRIVATE"):
        return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return mmap.mmap(-1, size)


_spare: list[mmap.mmap] = []
"""What was let go last; single operations on a list need no lock, and a lock could be held when a finaliser runs."""


def _taken(size: int) -> mmap.mmap | None:
    for pages in _spare[::-1]:
        if len(pages) == size:
            with suppress(ValueError):  # another thread was quicker
                _spare.remove(pages)
                return pages
    return None


def _set_aside(pages: mmap.mmap) -> None:
    """Keep pages for the next who asks, but tell the system that it may take them whenever it needs memory.

    Where it did not, they need not be asked for, cleared and mapped anew, which takes longer than pruning.
    """
    if len(pages) > _SPARE:
        return
    with suppress(OSError, AttributeError):  # a system that knows nothing of this: they go back at once
        pages.madvise(mmap.MADV_FREE)
        _spare.append(pages)
    with suppress(IndexError):  # another thread was quicker
        while sum(map(len, _spare[:])) > _SPARE:
            _spare.pop(0)

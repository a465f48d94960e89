"""Memory for masks and products, straight from the system."""

import mmap
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

_FROM = 1 << 17
"""Bytes from which an array is cut from a region."""
_REGION = 1 << 25
"""Bytes asked for at once, in large pages where there are any."""
_LINE = 64
"""Bytes of a cache line, on which every array begins."""


class Fresh:
    """Arrays that nothing is written to yet, cut one after another from regions that they share.

    A region goes back to the system with the last of its arrays: the heap would keep them, in pieces, and grow with
    every run. Regions are there for large pages: touching small ones for the first time takes as long as pruning.
    Make one for arrays that will live and die together; threads may share it.
    """

    def __init__(self) -> None:
        """Ask for nothing yet."""
        self._lock = threading.Lock()
        self._region: mmap.mmap | None = None
        self._used = 0

    def array(self, shape: Sequence[int], dtype: DTypeLike) -> NDArray[Any]:
        """Return an array, as `numpy.empty` does."""
        dtype, count = np.dtype(dtype), int(np.prod(shape, dtype=np.int64))
        if count * dtype.itemsize < _FROM or not hasattr(mmap, "MADV_HUGEPAGE"):
            return np.empty(shape, dtype)
        region, start = self._cut(count * dtype.itemsize)
        return np.frombuffer(region, dtype, count, start).reshape(shape)

    def _cut(self, size: int) -> tuple[mmap.mmap, int]:
        if size > _REGION:
            return _pages(size), 0
        with self._lock:
            if self._region is None or self._used + size > _REGION:
                self._region, self._used = _pages(_REGION), 0
            start, self._used = self._used, self._used + -(-size // _LINE) * _LINE
            return self._region, start


def _pages(size: int) -> mmap.mmap:
    pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    pages.madvise(mmap.MADV_HUGEPAGE)
    return pages

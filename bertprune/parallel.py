"""Map a function over tensors in threads, and types for progress.

Threads help because NumPy and torch release the global interpreter lock while they compute. Importing this module
does not load torch.
"""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from inspect import signature
from typing import Any, Generic, TypeVar

from .errors import BertpruneError, kind_of

Item = TypeVar("Item")
Result = TypeVar("Result")

Progress = Callable[[float, str], None]
"""Called with the share done (0 to 1) and a short description; may raise to cancel, which leaves no partial result."""

Map = Callable[[Callable[[Any], Any], Iterable[Any]], list[Any]]
"""`map_threaded` or `map_serially`."""

THREAD_SIZE = 1 << 17
"""Mean number of values per tensor from which threads are faster."""


def silent(share: float, words: str) -> None:
    """Ignore progress."""


def part_of(progress: Progress, start: float, end: float) -> Progress:
    """Return the progress of a part of the work, from one share of the whole to another."""
    return lambda share, words: progress(start + (end - start) * share, words)


def one_of(progress: Progress, number: int, parts: int) -> Progress:
    """Return the progress of one of several equal parts of the work, counted from zero."""
    return lambda share, words: progress((number + share) / parts, words)


def check_progress(progress: Any) -> None:
    """Refuse what cannot be called with a share and words. Raises BertpruneError."""
    if not callable(progress) or isinstance(progress, type) or not _takes_two(progress):
        raise BertpruneError(
            "progress takes a function of the share done and a few words, not {kind}; leave it out for none",
            code="progress.kind", kind=kind_of(progress),
        )  # fmt: skip


def _takes_two(function: Callable[..., Any]) -> bool:
    try:
        signature(function).bind(0.0, "")
    except TypeError:
        return False
    except ValueError:  # a built-in function without a signature
        return True
    return True


def choose_map(sizes: Iterable[int]) -> Map:
    """Return `map_threaded`, or `map_serially` if tensors of these sizes (in values) are too small for threads."""
    known = list(sizes)
    return map_threaded if sum(known) >= THREAD_SIZE * max(2, len(known)) else map_serially


def map_serially(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Return the results of `function`, computed by the calling thread."""
    return [function(item) for item in items]


def map_threaded(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Return the results of `function` in order, as from `map`, computed by as many threads as torch uses.

    Threads fetch items one at a time, under a lock, so `items` may be a generator whose items do not fit into memory
    together. After a failure no more items are fetched, and the first failure in order is raised.
    """
    import torch

    threads, queue = torch.get_num_threads(), _Queue(items)
    results: dict[int, Result] = {}
    failures: dict[int, BaseException] = {}

    def run(_: int) -> None:
        while (fetched := queue.fetch()) is not None:
            number, item = fetched
            try:
                results[number] = function(item)
            except BaseException as failure:  # of all that fail, the first in order is raised below
                failures[number] = failure
                queue.close()

    with ThreadPoolExecutor(threads) as pool:
        try:
            list(pool.map(run, range(threads)))
        finally:
            queue.close()
    if failures:
        raise failures[min(failures)]
    return [results[number] for number in range(len(results))]


class _Queue(Generic[Item]):
    """Numbered items, fetched by one thread at a time, until the last one or `close`."""

    def __init__(self, items: Iterable[Item]) -> None:
        self._items = enumerate(items)
        self._lock = threading.Lock()
        self._open = True

    def fetch(self) -> tuple[int, Item] | None:
        with self._lock:
            return next(self._items, None) if self._open else None

    def close(self) -> None:
        self._open = False

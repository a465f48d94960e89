"""Do the same to many tensors at once, a thread for each: NumPy and torch let other threads run while they compute."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, TypeVar

Thing = TypeVar("Thing")
Result = TypeVar("Result")

Each = Callable[[Callable[[Any], Any], Iterable[Any]], list[Any]]

Progress = Callable[[float, str], None]
"""Called with the share done (0 to 1) and a few words; may raise to cancel, and then nothing is left half done."""


def silent(share: float, words: str) -> None:
    """Report progress to nobody."""


WORTH = 1 << 17
"""Values of a tensor, in the mean, from which a thread is worth its while: with fewer, threads wait for each other."""


def shared(sizes: Iterable[int]) -> Each:
    """Return `each`, or `in_turn` for tensors so small that threads would be in each other's way; sizes in values."""
    known = list(sizes)
    return each if sum(known) >= WORTH * max(2, len(known)) else in_turn


def in_turn(work: Callable[[Thing], Result], things: Iterable[Thing]) -> list[Result]:
    """Return the results of `work`, worked out by the calling thread."""
    return [work(thing) for thing in things]


def each(work: Callable[[Thing], Result], things: Iterable[Thing]) -> list[Result]:
    """Return the results of `work` in order, as from `map`, worked out by as many threads as torch has.

    A thread takes the next thing when it is done with its last, one thread at a time: so `things` may be lazy, draw
    from a generator, or be too much to hold at once. Where a work fails nothing more is taken, and the first failure
    in order is raised.
    """
    import torch  # progress is also told where torch is not loaded

    threads, queue = torch.get_num_threads(), _Queue(things)
    results: dict[int, Result] = {}
    failures: dict[int, BaseException] = {}

    def run(_: int) -> None:
        while (taken := queue.take()) is not None:
            number, thing = taken
            try:
                results[number] = work(thing)
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


class _Queue(Generic[Thing]):
    """Numbered things, taken by one thread at a time, until there are no more or it is closed."""

    def __init__(self, things: Iterable[Thing]) -> None:
        self._things = enumerate(things)
        self._lock = threading.Lock()
        self._open = True

    def take(self) -> tuple[int, Thing] | None:
        with self._lock:
            return next(self._things, None) if self._open else None

    def close(self) -> None:
        self._open = False

"""One bounded cache for all visitors: what is expensive is made once, and kept as long as there is room."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any

Made = tuple[Any, int, Callable[[], None] | None]
"""A value, its size in bytes, and what to call when it is dropped."""


class Cache:
    """Keep expensive values, dropping the least recently used; equal requests at the same time are made once."""

    def __init__(self, limit: int, most: int) -> None:
        """Hold at most `limit` bytes in at most `most` entries, but always the latest one."""
        self.limit, self.most = limit, most
        self.bytes = 0
        """The estimated size of everything kept."""
        self._kept: OrderedDict[Hashable, Made] = OrderedDict()
        self._lock = threading.Lock()
        self.turns: dict[Hashable, tuple[threading.Lock, list[None]]] = {}

    def __len__(self) -> int:
        """Count the entries."""
        return len(self._kept)

    def get(self, key: Hashable, make: Callable[[], Made]) -> Any:
        """Return what is kept under `key`, or make it; other threads that ask for it meanwhile wait."""
        if (found := self._find(key)) is not None:
            return found[0]
        with self._turn(key):
            if (found := self._find(key)) is not None:
                return found[0]
            made = make()
            self._keep(key, made)
            return made[0]

    def drop(self, wanted: Callable[[Hashable], bool]) -> None:
        """Drop every entry whose key fulfils the condition."""
        with self._lock:
            gone = [self._take(key) for key in [key for key in self._kept if wanted(key)]]
        _release(gone)

    def _find(self, key: Hashable) -> Made | None:
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key]

    @contextmanager
    def _turn(self, key: Hashable) -> Iterator[None]:
        """Let one thread at a time make `key`; its lock is removed when nobody waits for it any more."""
        with self._lock:
            lock, waiting = self.turns.setdefault(key, (threading.Lock(), []))
            waiting.append(None)
        try:
            with lock:
                yield
        finally:
            with self._lock:
                waiting.pop()
                if not waiting:
                    del self.turns[key]

    def _keep(self, key: Hashable, made: Made) -> None:
        gone = []
        with self._lock:
            self._kept[key] = made
            self.bytes += made[1]
            while len(self._kept) > 1 and (self.bytes > self.limit or len(self._kept) > self.most):
                gone.append(self._take(next(iter(self._kept))))
        _release(gone)

    def _take(self, key: Hashable) -> Made:
        made = self._kept.pop(key)
        self.bytes -= made[1]
        return made


def _release(gone: list[Made]) -> None:
    for _, _, release in gone:
        if release is not None:
            release()

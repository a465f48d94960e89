"""What a visitor owns, which is small, and what all visitors share: one bounded cache of checkpoints and runs.

A visitor holds names only: which checkpoint, which recipe, which seed. A run is a pure function of the three, so
that whatever the cache let go is made again when it is asked for.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bertprune as bp

from .settings import Settings

_PER_VALUE = 4  # models are held in float32
Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class Source:
    """Which checkpoint a visitor looks at."""

    given: str = ""
    """What `Checkpoint.open` takes; empty where nothing is open."""
    revision: str | None = None
    folder: str | None = None
    """The temporary folder of an upload, removed with the visit."""
    shown: str | None = None
    """The name to show for an upload."""

    def __bool__(self) -> bool:
        """Tell whether a checkpoint is open."""
        return bool(self.given)


@dataclass(frozen=True)
class Done:
    """Which run a visitor looks at."""

    source: Source
    recipe: bp.Recipe
    seed: int = 0


class Cache:
    """Keep what is dear to make, the least recently used going first; alike requests are made once."""

    def __init__(self, limit: int) -> None:
        """Hold at most `limit` bytes, and always the latest entry."""
        self.limit = limit
        self._kept: OrderedDict[Hashable, tuple[Any, int, Callable[[], None] | None]] = OrderedDict()
        self._lock = threading.Lock()
        self._making: dict[Hashable, threading.Lock] = {}

    @property
    def bytes(self) -> int:
        """The estimated size of everything kept."""
        with self._lock:
            return sum(size for _, size, _ in self._kept.values())

    def __len__(self) -> int:
        """Count the entries."""
        return len(self._kept)

    def get(self, key: Hashable, make: Callable[[], tuple[Any, int, Callable[[], None] | None]]) -> Any:
        """Return what is kept under `key`, or make it: a value, its size in bytes, and what to call when it goes."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key][0]
            turn = self._making.setdefault(key, threading.Lock())
        with turn:
            with self._lock:
                if key in self._kept:
                    return self._kept[key][0]
            try:
                made = make()
            finally:
                with self._lock:
                    self._making.pop(key, None)
            self._keep(key, made)
            return made[0]

    def drop(self, wanted: Callable[[Hashable], bool]) -> None:
        """Let every entry go whose key is wanted gone."""
        with self._lock:
            gone = [self._kept.pop(key) for key in [key for key in self._kept if wanted(key)]]
        _bid_farewell(gone)

    def _keep(self, key: Hashable, made: tuple[Any, int, Callable[[], None] | None]) -> None:
        gone = []
        with self._lock:
            self._kept[key] = made
            while len(self._kept) > 1 and sum(size for _, size, _ in self._kept.values()) > self.limit:
                gone.append(self._kept.popitem(last=False)[1])
        _bid_farewell(gone)


def _bid_farewell(gone: list[tuple[Any, int, Callable[[], None] | None]]) -> None:
    for _, _, farewell in gone:
        if farewell is not None:
            farewell()


class Shelf:
    """Everything that the page's visitors share."""

    def __init__(self, settings: Settings | None = None) -> None:
        """Start empty, under the given limits."""
        self.settings = settings or Settings()
        self._cache = Cache(self.settings.cache_bytes)
        self._cancelled: set[str] = set()

    def checkpoint(self, source: Source) -> bp.Checkpoint:
        """Open a checkpoint, or return the one that is open already. Raises BertpruneError."""
        return self._cache.get(("checkpoint", source), lambda: self._open(source))

    def _open(self, source: Source) -> tuple[Any, int, Callable[[], None]]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it warns of stands among the facts' notes
            opened = bp.Checkpoint.open(source.given, revision=source.revision)
        most = self.settings.max_parameters
        if opened.facts.parameters > most:
            name, size = source.shown or opened.name, opened.facts.parameters
            raise bp.BertpruneError(f"{name} has {size:,} parameters; this page takes at most {most:,}")
        return opened, opened.facts.parameters * _PER_VALUE, opened.release

    def before(self, source: Source) -> bp.Snapshot:
        """Record the checkpoint's model as it comes."""

        def make() -> tuple[Any, int, None]:
            return bp.snapshot(self.checkpoint(source).model()), 1_000_000, None

        return self._cache.get(("before", source), make)

    def tree(self, source: Source) -> bp.ModuleNode:
        """Read the checkpoint's module tree, from headers alone."""
        return self._cache.get(("tree", source), lambda: (bp.tree(self.checkpoint(source).skeleton()), 1_000_000, None))

    def run(self, done: Done, progress: Progress | None = None) -> bp.PruningRun:
        """Prune, or return the run that is there already. Raises BertpruneError."""

        def make() -> tuple[Any, int, Callable[[], None]]:
            checkpoint = self.checkpoint(done.source)
            tell = {} if progress is None else {"progress": progress}
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                run = bp.prune(checkpoint, done.recipe, seed=done.seed, **tell)
            return run, checkpoint.facts.parameters // 8 + 4_000_000, run.release

        return self._cache.get(("run", done), make)

    def keep(self, key: Hashable, make: Callable[[], tuple[Any, int]]) -> Any:
        """Return a light result that was made before, or make it: a value and its size in bytes."""
        return self._cache.get(("light", key), lambda: (*make(), None))

    def forget(self, source: Source | None) -> None:
        """Remove an upload's files, and let everything go that was made from them."""
        if source is None or source.folder is None:
            return
        self._cache.drop(lambda key: _is_about(key, source))
        shutil.rmtree(source.folder, ignore_errors=True)

    def cancel(self, visitor: str) -> None:
        """Ask the visitor's running work to stop at its next report."""
        self._cancelled.add(visitor)

    def watched(self, visitor: str, progress: Progress) -> Progress:
        """Report progress as long as the visitor has not cancelled; then stop the work."""
        self._cancelled.discard(visitor)

        def tell(share: float, words: str) -> None:
            if visitor in self._cancelled:
                self._cancelled.discard(visitor)
                raise Cancelled
            progress(share, words)

        return tell


class Cancelled(Exception):
    """The visitor does not want the result any more."""


def _is_about(key: Hashable, source: Source) -> bool:
    subject = key[1] if isinstance(key, tuple) else None
    if isinstance(subject, tuple):
        subject = subject[0]
    return subject == source or (isinstance(subject, Done) and subject.source == source)


def new_folder() -> Path:
    """Make a temporary folder for what one visitor uploads or takes home."""
    return Path(tempfile.mkdtemp(prefix="bertprune-"))

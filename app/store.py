"""What all visitors share: a bounded cache of checkpoints, runs and figures, the visits, and whose turn it is to work.

A visit holds names only: which checkpoint, which recipe, which seed. A run is a pure function of the three, so that
whatever the cache dropped is made again when it is needed.
"""

from __future__ import annotations

import secrets
import threading
import time
import warnings
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import bertprune as bp

from . import runtime
from .errors import LimitError
from .html import size_of
from .runs import RunKey, Source, TextFile, Texts
from .settings import Settings
from .visitors import Gate, Visitors

_PER_VALUE = 4  # models are held in float32
_COPIES = 2  # the shared model, and the one that is worked on
Progress = Callable[[float, str], None]
Upload = TypeVar("Upload", "Source", TextFile)


class Store:
    """Everything that the page's visitors share."""

    def __init__(self, settings: Settings | None = None) -> None:
        """Start empty, with the given limits."""
        self.settings = settings or Settings()
        self.cache = Cache(self.settings.cache_bytes, self.settings.cache_entries)
        self.visitors = Visitors()
        self.gate = Gate()
        self._tickets: dict[str, Source | TextFile] = {}
        self._one_by_one = threading.RLock()
        """Held while a model is loaded or pruned: two at once would need twice the memory and be no faster."""

    def checkpoint(self, source: Source) -> bp.Checkpoint:
        """Open a checkpoint, or return it where it is open already. Raises BertpruneError."""
        if source.folder is not None:
            runtime.touch(source.folder)
            if not Path(source.folder).is_dir():
                raise self._removed()
        return self.cache.get(("checkpoint", source), lambda: self._open(source))

    def _open(self, source: Source) -> Made:
        hosted = self.settings.hosted
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the warnings are among the notes of its facts
                opened = bp.Checkpoint.open(
                    source.given,
                    revision=source.revision,
                    local=source.local and (source.folder is not None or not hosted),
                    largest=self.settings.max_stored,
                )
        except bp.TooLargeError as error:
            name = source.shown or error.values["name"]
            raise LimitError("stored", self.settings, **{**error.values, "name": name}) from None
        most, size = self.settings.max_parameters, opened.facts.parameters
        if size > most:
            raise LimitError("parameters", self.settings, name=source.shown or opened.name, size=size, most=most)
        self._refuse_what_cannot_fit(source.shown or opened.name, size * _PER_VALUE * _COPIES)
        return opened, size * _PER_VALUE, opened.release

    def _refuse_what_cannot_fit(self, name: str, needed: int) -> None:
        free = runtime.free_memory()
        if free is not None and needed > free + self.cache.bytes:
            raise LimitError("memory", self.settings, name=name, size=size_of(needed), free=size_of(free))

    def before(self, source: Source) -> bp.Snapshot:
        """Record the checkpoint's model before pruning."""

        def make() -> Made:
            checkpoint = self.checkpoint(source)
            with self._one_by_one:
                return bp.snapshot(checkpoint.model(progress=self.timed())), 1_000_000, None

        return self.cache.get(("before", source), make)

    def tree(self, source: Source) -> bp.ModuleNode:
        """Read the checkpoint's module tree from its headers."""
        return self.cache.get(("tree", source), lambda: (bp.tree(self.checkpoint(source).skeleton()), 1_000_000, None))

    def run(self, key: RunKey, progress: Progress | None = None) -> bp.PruningRun:
        """Prune, or return the run where it was made already. Raises BertpruneError."""
        recipe = self.admitted(key.recipe)

        def make() -> Made:
            checkpoint, texts = self.checkpoint(key.source), self._texts(key.texts)
            with self._one_by_one, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                run = bp.prune(checkpoint, recipe, key.seed, calibration=texts, progress=progress or self.timed())
            return run, checkpoint.facts.parameters // 8 + 4_000_000, run.release

        return self.cache.get(("run", key), make)

    def _texts(self, texts: Texts | None) -> bp.Calibration | None:
        """Read the calibration texts of a run. Raises BertpruneError, also where their file was removed."""
        if texts is None:
            return None
        if texts.file is not None and not self.still_has(texts.file):
            raise self._removed()
        return texts.read()

    def still_has(self, file: TextFile) -> bool:
        """Return whether a file of texts is still there, and keep it for longer."""
        runtime.touch(file.folder)
        return Path(file.path).is_file()

    def _removed(self) -> LimitError:
        return LimitError("kept", self.settings, minutes=(self.settings.session_seconds or 0) // 60)

    @contextmanager
    def model_of(self, key: RunKey) -> Iterator[bp.PruningRun]:
        """Give a run whose model is needed, and release the model afterwards."""
        run = self.run(key)
        try:
            yield run
        finally:
            run.release()
            if run.checkpoint is not self.checkpoint(key.source):  # opened again since: nobody else holds this one
                run.checkpoint.release()

    def admitted(self, recipe: bp.Recipe) -> bp.Recipe:
        """Return the recipe; raises LimitError where it has too many steps."""
        if len(recipe.steps) > self.settings.max_steps:
            raise LimitError("steps", self.settings, steps=len(recipe.steps), most=self.settings.max_steps)
        return recipe

    def keep(self, key: Hashable, make: Callable[[], tuple[Any, int]]) -> Any:
        """Return a small result that was made before, or make it: `make` returns the value and its size in bytes."""
        return self.cache.get(("light", key), lambda: (*make(), None))

    def has(self, *key: Hashable) -> bool:
        """Return whether something was made already: a `run`, what was `before` one, or what is `light`."""
        return self.cache.has(key)

    def ticket(self, source: Source | TextFile) -> str | None:
        """Return the secret by which a reloaded page finds its upload again; None for other sources."""
        if source.folder is None:
            return None
        there = {ticket: one for ticket, one in self._tickets.items() if Path(str(one.folder)).is_dir()}
        known = (ticket for ticket, one in there.items() if one.folder == source.folder)
        ticket = next(known, None) or secrets.token_urlsafe()
        self._tickets = {**there, ticket: source}
        return ticket

    def ticketed(self, ticket: object, kind: type[Upload]) -> Upload | None:
        """Return the upload of a ticket, a checkpoint or texts; None where it was removed."""
        source = self._tickets.get(ticket) if isinstance(ticket, str) else None
        return source if isinstance(source, kind) and Path(str(source.folder)).is_dir() else None

    def forget(self, source: Source | None) -> None:
        """Remove an upload's files, and drop everything that was made from them."""
        if source is not None and source.folder is not None:
            self.cache.drop(lambda key: _source_of(key) == source)
            runtime.remove(source.folder)

    def tidy(self) -> None:
        """Remove the files that were not used for long, and what was made from them."""
        if self.settings.session_seconds is not None:
            gone = {str(folder) for folder in runtime.remove_idle(self.settings.session_seconds)}
            self.cache.drop(lambda key: (source := _source_of(key)) is not None and source.folder in gone)

    def keep_tidying(self, every: float) -> None:
        """Tidy up every so many seconds, in the background."""

        def repeat() -> None:
            while True:
                time.sleep(every)
                self.tidy()

        threading.Thread(target=repeat, name="bertprune-tidy", daemon=True).start()

    def timed(self) -> Progress:
        """Make a callback for progress that stops the work when its time, counted from now, is up."""
        most = self.settings.max_seconds
        end = None if most is None else time.monotonic() + most

        def report(share: float, words: str) -> None:
            if end is not None and time.monotonic() > end:
                raise LimitError("seconds", self.settings, most=f"{most:g}")

        return report


def measured(run: bp.PruningRun) -> bp.PruningRun | bp.Checkpoint:
    """Return what a run without steps stands for, its checkpoint as it was opened; others are themselves."""
    return run if run.recipe.steps else run.checkpoint


def _source_of(key: Hashable) -> Source | None:
    """Return the source from which something was made."""
    subject = key[1] if isinstance(key, tuple) else None
    if isinstance(subject, tuple):
        subject = subject[0]
    if isinstance(subject, RunKey):
        return subject.source
    return subject if isinstance(subject, Source) else None


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

    def has(self, key: Hashable) -> bool:
        """Return whether something is kept under `key`."""
        return key in self._kept

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

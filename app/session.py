"""What a visitor owns, which is small, and what all visitors share: one bounded cache of checkpoints and runs.

A visitor holds names only: which checkpoint, which recipe, which seed. A run is a pure function of the three, so
that whatever the cache dropped is made again when it is needed.
"""

from __future__ import annotations

import secrets
import threading
import time
import warnings
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bertprune as bp

from . import folders, memory
from .cache import Cache, Made
from .limits import LimitError
from .settings import Settings
from .words import size_of

_PER_VALUE = 4  # models are held in float32
_COPIES = 2  # the shared model, and the one that is worked on
_FORGOTTEN = 3600  # seconds after which nothing that was cancelled can still be running
Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class Source:
    """Which checkpoint a visitor has open."""

    given: str = ""
    """The argument of `Checkpoint.open`; empty where nothing is open."""
    revision: str | None = None
    folder: str | None = None
    """The temporary folder of an upload, removed after the session."""
    shown: str | None = None
    """The name to show for an upload."""
    local: bool = True
    """Whether `given` may be a path of this machine."""

    def __bool__(self) -> bool:
        """Return whether a checkpoint is open."""
        return bool(self.given)


@dataclass(frozen=True)
class Done:
    """Which run a visitor has made; a recipe without steps stands for a checkpoint as it was opened."""

    source: Source
    recipe: bp.Recipe
    seed: int = 0


class Shelf:
    """Everything that the page's visitors share."""

    def __init__(self, settings: Settings | None = None) -> None:
        """Start empty, with the given limits."""
        self.settings = settings or Settings()
        self.cache = Cache(self.settings.cache_bytes, self.settings.cache_entries)
        self._cancelled: dict[str, float] = {}
        self._tickets: dict[str, Source] = {}
        self._one_by_one = threading.RLock()
        """Held while a model is loaded or pruned: two at once would need twice the memory and be no faster."""

    def checkpoint(self, source: Source) -> bp.Checkpoint:
        """Open a checkpoint, or return it where it is open already. Raises BertpruneError."""
        if source.folder is not None:
            folders.touch(source.folder)
            if not Path(source.folder).is_dir():
                raise LimitError("kept", self.settings, minutes=(self.settings.session_seconds or 0) // 60)
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
        free = memory.free()
        if free is not None and needed > free + self.cache.bytes:
            raise LimitError("memory", self.settings, name=name, size=size_of(needed), free=size_of(free))

    def before(self, source: Source) -> bp.Snapshot:
        """Record the checkpoint's model before pruning."""
        return self._read("before", source, bp.snapshot)

    def counted(self, source: Source) -> bp.SparsityReport:
        """Count the masks and zeros with which the checkpoint came."""
        return self._read("counted", source, bp.sparsity)

    def _read(self, what: str, source: Source, read: Callable[[Any], Any]) -> Any:
        def make() -> Made:
            checkpoint = self.checkpoint(source)
            with self._one_by_one:
                return read(checkpoint.model(progress=self.timed())), 1_000_000, None

        return self.cache.get((what, source), make)

    def shown(self, source: Source, done: Done | None) -> Done | None:
        """Return the visitor's run; before there is one, a checkpoint that came pruned, as it is. None for others."""
        if done is not None or not source:
            return done
        counted = self.counted(source)
        came_pruned = counted.targets or any(tensor.is_zeroed for tensor in counted.tensors)
        return Done(source, bp.Recipe()) if came_pruned else None

    def tree(self, source: Source) -> bp.ModuleNode:
        """Read the checkpoint's module tree from its headers."""
        return self.cache.get(("tree", source), lambda: (bp.tree(self.checkpoint(source).skeleton()), 1_000_000, None))

    def run(self, done: Done, progress: Progress | None = None) -> bp.PruningRun:
        """Prune, or return the run where it was made already. Raises BertpruneError."""
        recipe = self.admitted(done.recipe)

        def make() -> Made:
            checkpoint = self.checkpoint(done.source)
            with self._one_by_one, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                run = bp.prune(checkpoint, recipe, seed=done.seed, progress=progress or self.timed())
            return run, checkpoint.facts.parameters // 8 + 4_000_000, run.release

        return self.cache.get(("run", done), make)

    @contextmanager
    def model_of(self, done: Done) -> Iterator[bp.PruningRun]:
        """Give a run whose model is needed, and release the model afterwards."""
        run = self.run(done)
        try:
            yield run
        finally:
            run.release()
            if run.checkpoint is not self.checkpoint(done.source):  # opened again since: nobody else holds this one
                run.checkpoint.release()

    def admitted(self, recipe: bp.Recipe) -> bp.Recipe:
        """Return the recipe; raises LimitError where it has too many steps."""
        if len(recipe.steps) > self.settings.max_steps:
            raise LimitError("steps", self.settings, steps=len(recipe.steps), most=self.settings.max_steps)
        return recipe

    def keep(self, key: Hashable, make: Callable[[], tuple[Any, int]]) -> Any:
        """Return a small result that was made before, or make it: `make` returns the value and its size in bytes."""
        return self.cache.get(("light", key), lambda: (*make(), None))

    def ticket(self, source: Source) -> str | None:
        """Return the secret by which a reloaded page finds its upload again; None for other sources."""
        if source.folder is None:
            return None
        there = {ticket: one for ticket, one in self._tickets.items() if Path(str(one.folder)).is_dir()}
        ticket = next((ticket for ticket, one in there.items() if one == source), None) or secrets.token_urlsafe()
        self._tickets = {**there, ticket: source}
        return ticket

    def ticketed(self, ticket: object) -> Source | None:
        """Return the upload of a ticket; None where it was removed."""
        source = self._tickets.get(ticket) if isinstance(ticket, str) else None
        return source if source is not None and Path(str(source.folder)).is_dir() else None

    def forget(self, source: Source | None) -> None:
        """Remove an upload's files, and drop everything that was made from them."""
        if source is not None and source.folder is not None:
            self.cache.drop(lambda key: _source_of(key) == source)
            folders.remove(source.folder)

    def tidy(self) -> None:
        """Remove the files that were not used for long, and what was made from them."""
        if self.settings.session_seconds is not None:
            gone = {str(folder) for folder in folders.remove_idle(self.settings.session_seconds)}
            self.cache.drop(lambda key: (source := _source_of(key)) is not None and source.folder in gone)

    def keep_tidying(self, every: float) -> None:
        """Tidy up every so many seconds, in the background."""

        def repeat() -> None:
            while True:
                time.sleep(every)
                self.tidy()

        threading.Thread(target=repeat, name="bertprune-tidy", daemon=True).start()

    def cancel(self, visitor: str) -> None:
        """Have the visitor's running work stop at its next report of progress."""
        now = time.monotonic()
        recent = {who: when for who, when in self._cancelled.items() if now - when < _FORGOTTEN}
        self._cancelled = {**recent, visitor: now}

    def watched(self, visitor: str, progress: Progress) -> Progress:
        """Wrap a callback for progress so that the work stops once the visitor cancels or its time is up."""
        self._cancelled.pop(visitor, None)
        timed = self.timed()

        def report(share: float, words: str) -> None:
            if self._cancelled.pop(visitor, None) is not None:
                raise Cancelled
            timed(share, words)
            progress(share, words)

        return report

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


class Cancelled(Exception):
    """The visitor cancelled the work."""


def _source_of(key: Hashable) -> Source | None:
    """Return the source from which something was made."""
    subject = key[1] if isinstance(key, tuple) else None
    if isinstance(subject, tuple):
        subject = subject[0]
    if isinstance(subject, Done):
        return subject.source
    return subject if isinstance(subject, Source) else None

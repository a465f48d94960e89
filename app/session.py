"""What a visitor owns, which is small, and what all visitors share: one bounded cache of checkpoints and runs.

A visitor holds names only: which checkpoint, which recipe, which seed. A run is a pure function of the three, so
that whatever the cache let go is made again when it is asked for.
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
_FORGOTTEN = 3600  # seconds after which nothing can be running any more that was to be stopped
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
    local: bool = True
    """Whether a path of this machine may be meant."""

    def __bool__(self) -> bool:
        """Tell whether a checkpoint is open."""
        return bool(self.given)


@dataclass(frozen=True)
class Done:
    """Which run a visitor looks at."""

    source: Source
    recipe: bp.Recipe
    seed: int = 0


class Shelf:
    """Everything that the page's visitors share."""

    def __init__(self, settings: Settings | None = None) -> None:
        """Start empty, under the given limits."""
        self.settings = settings or Settings()
        self._cache = Cache(self.settings.cache_bytes, self.settings.cache_entries)
        self._cancelled: dict[str, float] = {}
        self._tickets: dict[str, Source] = {}
        self._one_by_one = threading.RLock()
        """Held by whoever loads or prunes: two at once would need twice the memory, and be no sooner done."""

    def checkpoint(self, source: Source) -> bp.Checkpoint:
        """Open a checkpoint, or return the one that is open already. Raises BertpruneError."""
        if source.folder is not None:
            folders.touch(source.folder)
            if not Path(source.folder).is_dir():
                raise LimitError("kept", self.settings, minutes=(self.settings.session_seconds or 0) // 60)
        return self._cache.get(("checkpoint", source), lambda: self._open(source))

    def _open(self, source: Source) -> Made:
        hosted = self.settings.hosted
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what it warns of stands among the facts' notes
                opened = bp.Checkpoint.open(
                    source.given,
                    revision=source.revision,
                    local=source.local and (source.folder is not None or not hosted),
                    largest=self.settings.max_stored,
                )
        except bp.TooLargeError as error:
            name = source.shown or error.name
            raise LimitError("stored", self.settings, name=name, size=error.size, most=error.most) from None
        most, size = self.settings.max_parameters, opened.facts.parameters
        if size > most:
            raise LimitError("parameters", self.settings, name=source.shown or opened.name, size=size, most=most)
        self._refuse_what_cannot_fit(source.shown or opened.name, size * _PER_VALUE * _COPIES)
        return opened, size * _PER_VALUE, opened.release

    def _refuse_what_cannot_fit(self, name: str, needed: int) -> None:
        free = memory.free()
        if free is not None and needed > free + self._cache.bytes:
            raise LimitError("memory", self.settings, name=name, size=size_of(needed), free=size_of(free))

    def before(self, source: Source) -> bp.Snapshot:
        """Record the checkpoint's model as it comes."""

        def make() -> Made:
            checkpoint = self.checkpoint(source)
            with self._one_by_one:
                return bp.snapshot(checkpoint.model(progress=self.timed())), 1_000_000, None

        return self._cache.get(("before", source), make)

    def tree(self, source: Source) -> bp.ModuleNode:
        """Read the checkpoint's module tree, from headers alone."""
        return self._cache.get(("tree", source), lambda: (bp.tree(self.checkpoint(source).skeleton()), 1_000_000, None))

    def run(self, done: Done, progress: Progress | None = None) -> bp.PruningRun:
        """Prune, or return the run that is there already. Raises BertpruneError."""
        recipe = self.admitted(done.recipe)

        def make() -> Made:
            checkpoint = self.checkpoint(done.source)
            with self._one_by_one, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                run = bp.prune(checkpoint, recipe, seed=done.seed, progress=progress or self.timed())
            return run, checkpoint.facts.parameters // 8 + 4_000_000, run.release

        return self._cache.get(("run", done), make)

    @contextmanager
    def model_of(self, done: Done) -> Iterator[bp.PruningRun]:
        """Lend a run whose model will be looked at, and let the model go afterwards."""
        run = self.run(done)
        try:
            yield run
        finally:
            run.release()
            if run.checkpoint is not self.checkpoint(done.source):  # opened anew since: this one is held by nobody else
                run.checkpoint.release()

    def admitted(self, recipe: bp.Recipe) -> bp.Recipe:
        """Return the recipe as it is; raises LimitError where it has more steps than are taken."""
        if len(recipe.steps) > self.settings.max_steps:
            raise LimitError("steps", self.settings, steps=len(recipe.steps), most=self.settings.max_steps)
        return recipe

    def keep(self, key: Hashable, make: Callable[[], tuple[Any, int]]) -> Any:
        """Return a light result that was made before, or make it: a value and its size in bytes."""
        return self._cache.get(("light", key), lambda: (*make(), None))

    def ticket(self, source: Source) -> str | None:
        """Give the secret by which a reloaded page finds its upload again; None for anything else."""
        if source.folder is None:
            return None
        there = {ticket: one for ticket, one in self._tickets.items() if Path(str(one.folder)).is_dir()}
        ticket = next((ticket for ticket, one in there.items() if one == source), None) or secrets.token_urlsafe()
        self._tickets = {**there, ticket: source}
        return ticket

    def ticketed(self, ticket: object) -> Source | None:
        """Find the upload that a ticket stands for; None where it is gone."""
        source = self._tickets.get(ticket) if isinstance(ticket, str) else None
        return source if source is not None and Path(str(source.folder)).is_dir() else None

    def forget(self, source: Source | None) -> None:
        """Remove an upload's files, and let everything go that was made from them."""
        if source is not None and source.folder is not None:
            self._cache.drop(lambda key: _source_of(key) == source)
            folders.remove(source.folder)

    def tidy(self) -> None:
        """Remove the files that nobody used for long, and what was made from them."""
        if self.settings.session_seconds is not None:
            gone = {str(folder) for folder in folders.remove_idle(self.settings.session_seconds)}
            self._cache.drop(lambda key: (source := _source_of(key)) is not None and source.folder in gone)

    def tidy_on(self, every: float) -> None:
        """Tidy every so many seconds, as long as the process lives."""

        def go_on() -> None:
            while True:
                time.sleep(every)
                self.tidy()

        threading.Thread(target=go_on, name="bertprune-tidy", daemon=True).start()

    def cancel(self, visitor: str) -> None:
        """Ask the visitor's running work to stop at its next report."""
        now = time.monotonic()
        recent = {who: when for who, when in self._cancelled.items() if now - when < _FORGOTTEN}
        self._cancelled = {**recent, visitor: now}

    def watched(self, visitor: str, progress: Progress) -> Progress:
        """Report progress as long as the visitor has not cancelled, and there is time left; then stop the work."""
        self._cancelled.pop(visitor, None)
        timed = self.timed()

        def tell(share: float, words: str) -> None:
            if self._cancelled.pop(visitor, None) is not None:
                raise Cancelled
            timed(share, words)
            progress(share, words)

        return tell

    def timed(self) -> Progress:
        """Stop the work when its time is up, counted from now."""
        most = self.settings.max_seconds
        end = None if most is None else time.monotonic() + most

        def tell(share: float, words: str) -> None:
            if end is not None and time.monotonic() > end:
                raise LimitError("seconds", self.settings, most=f"{most:g}")

        return tell


class Cancelled(Exception):
    """The visitor does not want the result any more."""


def _source_of(key: Hashable) -> Source | None:
    """Find the source that something was made from."""
    subject = key[1] if isinstance(key, tuple) else None
    if isinstance(subject, tuple):
        subject = subject[0]
    if isinstance(subject, Done):
        return subject.source
    return subject if isinstance(subject, Source) else None

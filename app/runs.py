"""The runs of one session, by name, so that any two can be compared; a run is made again when it is needed."""

from __future__ import annotations

from dataclasses import dataclass

from bertprune import Recipe

from .session import Done

MOST = 12


@dataclass(frozen=True)
class Run:
    """One run with its number in the session."""

    number: int
    """Negative for a checkpoint as it was opened."""
    name: str
    """The name of its checkpoint."""
    done: Done


@dataclass(frozen=True)
class Runs:
    """The latest runs, the oldest first; every change returns a new list."""

    kept: tuple[Run, ...] = ()

    def add(self, name: str, done: Done) -> Runs:
        """Append a run; one that is in the list already moves to the end and keeps its number."""
        known = next((run for run in self.kept if run.done == done), None)
        number = known.number if known else max((run.number for run in self.kept), default=0) + 1
        others = tuple(run for run in self.kept if run is not known)
        return Runs((*others, Run(number, name, done))[-MOST:])

    @property
    def opened(self) -> tuple[Run, ...]:
        """The checkpoints of the runs as they were opened, which a recipe without steps leaves."""
        first = {run.done.source: run for run in reversed(self.kept)}
        return tuple(Run(-run.number, run.name, Done(source, Recipe())) for source, run in reversed(first.items()))

    def find(self, number: int | None) -> Run | None:
        """Return the run of a number, if it is still kept, or its checkpoint."""
        return next((run for run in (*self.opened, *self.kept) if run.number == number), None)

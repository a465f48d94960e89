"""The runs of one visit: names only, so that any two can be compared; a run is made again when it is asked for."""

from __future__ import annotations

from dataclasses import dataclass

from .session import Done

MOST = 12


@dataclass(frozen=True)
class Run:
    """One run, numbered as it came."""

    number: int
    name: str
    """What its checkpoint is called."""
    done: Done


@dataclass(frozen=True)
class Runs:
    """The latest runs, the oldest first; every change gives another list."""

    kept: tuple[Run, ...] = ()

    def add(self, name: str, done: Done) -> Runs:
        """Put a run at the end; one that is there already goes to the end under its number."""
        known = next((run for run in self.kept if run.done == done), None)
        number = known.number if known else max((run.number for run in self.kept), default=0) + 1
        others = tuple(run for run in self.kept if run is not known)
        return Runs((*others, Run(number, name, done))[-MOST:])

    def find(self, number: int | None) -> Run | None:
        """Give the run of a number, if it is still kept."""
        return next((run for run in self.kept if run.number == number), None)

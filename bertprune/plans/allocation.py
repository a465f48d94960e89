"""Spread a budget over the parts of a model: arithmetic alone, no model.

A part is the heads or the neurons of one layer, each of which costs the same. An allocation says how many of each
part go; all together must save what the budget needs.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Counts = tuple[int, ...]
"""How many heads or neurons go, by part."""
Option = tuple[int, float]
"""How many go of a part, and what the model then loses."""

_UNITS = 4000
"""In so many units is counted what has to be saved."""
_ROUNDING = 1e-9
"""A share of a unit that is rounding."""


@dataclass(frozen=True)
class Space:
    """The parts over which a budget is spread."""

    numbers: tuple[int, ...]
    """How many heads or neurons each part has; one of each stays."""
    costs: tuple[float, ...]
    """What one of them costs."""
    fine: tuple[bool, ...]
    """Whether a part has many that cost little: neurons, with which what is left of a budget is filled up."""
    need: float
    """What has to be saved."""

    def of(self, need: float) -> "Space":
        """Return the same parts for another budget."""
        return replace(self, need=need)

    def saved(self, counts: Counts) -> float:
        """Return what an allocation saves."""
        return sum(count * cost for count, cost in zip(counts, self.costs, strict=True))

    def enough(self, counts: Counts) -> bool:
        """Return whether an allocation keeps to the budget."""
        return self.saved(counts) >= self.need

    @property
    def most(self) -> Counts:
        """The allocation that saves most."""
        return tuple(number - 1 for number in self.numbers)

    def uniform(self, share: float) -> Counts | None:
        """Take a share of the heads in every layer, and the rest from the neurons, alike in every layer."""
        heads = tuple(
            0 if fine else min(most, round(share * number))
            for fine, most, number in zip(self.fine, self.most, self.numbers, strict=True)
        )
        room = sum(most * cost for most, cost, fine in zip(self.most, self.costs, self.fine, strict=True) if fine)
        left = (self.need - self.saved(heads)) / room if room else math.inf
        if left > 1:
            return None
        return self.filled(
            tuple(
                max(0, math.floor(left * most)) if fine else head
                for head, fine, most in zip(heads, self.fine, self.most, strict=True)
            )
        )

    def ranked(self, scores: Sequence[NDArray[np.float64]]) -> Counts | None:
        """Take what scores least for its cost, wherever it is; `scores` are in the order in which a part loses them."""
        cheap = [np.maximum.accumulate(one[:most]) / cost for one, most, cost in self._each(scores)]
        part = np.repeat(np.arange(len(cheap)), [len(one) for one in cheap])
        order = np.argsort(np.concatenate(cheap), kind="stable")
        saved = np.cumsum(np.asarray(self.costs)[part[order]])
        last = int(np.searchsorted(saved, self.need))
        return self.filled(tuple(np.bincount(part[order[: last + 1]], minlength=len(cheap)).tolist()))

    def _each(self, scores: Sequence[NDArray[np.float64]]) -> Iterable[tuple[NDArray[np.float64], int, float]]:
        return zip(scores, self.most, self.costs, strict=True)

    def cheapest(self, options: Sequence[Sequence[Option]]) -> Counts | None:
        """Choose one option of each part, so that the sum of losses is least, and fill up what is left."""
        scale = _UNITS / self.need if self.need > 0 else 0.0
        units = [
            [(math.floor(count * cost * scale + _ROUNDING), loss) for count, loss in each]
            for each, cost in zip(options, self.costs, strict=True)
        ]
        chosen = choose(units, _UNITS if self.need > 0 else 0)
        if chosen is None:
            return None
        return self.filled(tuple(each[at][0] for each, at in zip(options, chosen, strict=True)))

    def filled(self, counts: Counts) -> Counts | None:
        """Take more neurons, or give some back, until just enough is saved; None where there are not enough."""
        found = list(counts)
        while not self.enough(tuple(found)):
            open_ = [at for at, fine in enumerate(self.fine) if fine and found[at] < self.most[at]]
            if not open_:
                return None
            self._move(found, open_, self.need - self.saved(tuple(found)), 1)
        while True:
            slack = self.saved(tuple(found)) - self.need
            open_ = [at for at, fine in enumerate(self.fine) if fine and found[at] and self.costs[at] <= slack]
            if not open_:
                return tuple(found)
            self._move(found, open_, slack, -1)

    def _move(self, counts: list[int], parts: Sequence[int], cost: float, sign: int) -> None:
        """Take neurons of some parts, or give them back, each about as many as that cost pays for."""
        for at in parts:
            step = math.floor(cost / (len(parts) * self.costs[at]))
            room = self.most[at] - counts[at] if sign > 0 else counts[at]
            counts[at] += sign * min(room, step)
        if all(cost < len(parts) * self.costs[at] for at in parts):
            counts[max(parts, key=lambda at: -sign * counts[at] / self.numbers[at])] += sign


def choose(options: Sequence[Sequence[tuple[int, float]]], need: int) -> list[int] | None:
    """Choose one option of each part, so that savings reach `need` and the sum of losses is least: exact.

    An option is what it saves, an integer, and its loss. Return their numbers; None where nothing reaches.
    """
    least, steps = np.full(need + 1, np.inf), []
    least[0] = 0.0
    for each in options:
        moved = [_after(least, min(saving, need)) for saving, _ in each]
        reached = np.stack([before + loss for (before, _), (_, loss) in zip(moved, each, strict=True)])
        steps.append((reached.argmin(axis=0), np.stack([origin for _, origin in moved])))
        least = reached.min(axis=0)
    if not np.isfinite(least[need]):
        return None
    found, at = [], need
    for chosen, origins in reversed(steps):
        found.append(int(chosen[at]))
        at = int(origins[chosen[at], at])
    return found[::-1]


def _after(least: NDArray[np.float64], saving: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the least loss by savings after one more saving, and from which savings each comes.

    What is beyond the last counts for the last.
    """
    end = len(least) - 1
    moved, origin = np.full_like(least, np.inf), np.arange(end + 1) - saving
    moved[saving:] = least[: len(least) - saving]
    origin[end] = end - saving + int(least[end - saving :].argmin())
    moved[end] = least[origin[end]]
    return moved, origin

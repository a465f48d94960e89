"""What can be alive in a tensor while a recipe is previewed: exact where counts decide it, a range elsewhere."""

import math
from collections.abc import Sequence

from ..model.targets import Target

Range = tuple[int, int]
"""The least and the most."""


class Bounds:
    """The bounds of what is alive in one tensor."""

    def __init__(self, shape: Sequence[int]) -> None:
        """Start with everything alive."""
        self.shape = tuple(shape)
        size = math.prod(self.shape)
        self.alive: Range = (size, size)
        self.slices: list[int] | None = list(self.shape)
        """Living slices along each axis, while only whole slices were pruned; None once single entries were."""
        self.coupled: dict[int, int] | None = {}
        """Living groups by their number in the whole tensor, while nothing else was pruned; None once it was."""

    def slice_size(self, dim: int) -> int:
        """Return the number of entries in a whole slice."""
        return math.prod(self.shape) // max(1, self.shape[dim])

    def living_slices(self, dim: int) -> Range:
        """Return how many slices can have anything alive."""
        if self.slices is not None:
            return self.slices[dim], self.slices[dim]
        return math.ceil(self.alive[0] / self.slice_size(dim)), min(self.shape[dim], self.alive[1])

    def lose_entries(self, low: int, high: int) -> None:
        """Take from `low` to `high` entries, wherever they are."""
        self.alive = (max(0, self.alive[0] - high), max(0, self.alive[1] - low))
        if high:
            self.slices = self.coupled = None

    def have_at_most(self, number: int) -> None:
        """Know from elsewhere that no more entries can be alive."""
        most = min(self.alive[1], number)
        self.alive = (min(self.alive[0], most), most)

    def lose_slices(self, dim: int, slices: Range) -> Range:
        """Take whole slices; return how many entries that removes."""
        if slices[1]:
            self.coupled = None
        if self.slices is not None:
            gone = slices[0] * self.alive[0] // max(1, self.slices[dim])
            self.slices[dim] -= slices[0]
            self.alive = (self.alive[0] - gone, self.alive[1] - gone)
            return gone, gone
        size = self.slice_size(dim)
        left = self.living_slices(dim)[1] - slices[0]
        high = min(slices[1] * size, self.alive[1])
        low = min(high, max(slices[0], self.alive[0] - left * size))
        self.lose_entries(low, high)
        return low, high

    def living_groups(self, number: int) -> Range:
        """Return how many of so many equal groups of the whole tensor can have anything alive."""
        if self.coupled is not None and self.coupled.keys() <= {number}:
            return (self.coupled.get(number, number),) * 2
        size = max(1, math.prod(self.shape) // max(1, number))
        return math.ceil(self.alive[0] / size), min(number, self.alive[1])

    def lose_groups(self, number: int, groups: Range) -> Range:
        """Take some of so many equal groups; return how many entries that removes."""
        known, size = self.coupled, math.prod(self.shape) // max(1, number)
        exact = known is not None and known.keys() <= {number} and groups[0] == groups[1]
        low, high = groups[0] * (size if exact else 0), min(groups[1] * size, self.alive[1])
        living = self.living_groups(number)[0]
        self.lose_entries(low, high)
        if exact:
            self.coupled = {number: living - groups[0]}
        return low, high


class Ledger:
    """The bounds of every tensor, and of every part of a fused projection, from step to step."""

    def __init__(self) -> None:
        """Start before the first step."""
        self._bounds: dict[tuple[str, str | None], Bounds] = {}

    def of(self, target: Target) -> Bounds:
        """Return the bounds of a tensor or a part; where steps alternate between the two, they are wide."""
        key = target.name, target.role
        own = self._bounds.get(key)
        others = [bounds for at, bounds in self._bounds.items() if at != key and _overlap(at, key)]
        if own is None or others:
            self._bounds[key] = _untouched(target)
            if others:
                alive = self._bounds[key].alive[0]
                lost = [math.prod(one.shape) - one.alive[0] for one in (*others, *([own] if own else []))]
                self._bounds[key].lose_entries(alive - own.alive[1] if own else 0, sum(lost))
                if target.role is not None:  # the only other one is the whole tensor
                    self._bounds[key].have_at_most(others[0].alive[1])
        return self._bounds[key]


def _overlap(one: tuple[str, str | None], other: tuple[str, str | None]) -> bool:
    return one[0] == other[0] and None in (one[1], other[1])


def _untouched(target: Target) -> Bounds:
    """Return the bounds before the first step, which are exact: a model may be pruned already."""
    bounds = Bounds(target.shape)
    if target.mask is not None:
        rows = target.row_mask()
        kept = target.mask != 0 if rows is None else (target.mask != 0) & rows
        masked = math.prod(target.shape) - int(kept.count_nonzero())
        bounds.lose_entries(masked, masked)
    return bounds

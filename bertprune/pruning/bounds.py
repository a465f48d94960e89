"""What can be alive in a tensor while a recipe is previewed: exact where counts decide it, a range elsewhere."""

import math
from collections.abc import Sequence

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
            self.slices = None

    def lose_slices(self, dim: int, slices: Range) -> Range:
        """Take whole slices; return how many entries that removes."""
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

"""Rows, columns and blocks of a matrix, for any method."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ...errors import Message, RecipeError
from ...model.targets import Target
from ...scores import Method, grid, score_groups
from ..bounds import Bounds, Range
from ..rank import TensorScores
from .groups import Unit
from .slices import Slices


class Lines(Slices):
    """Rows (dim 0) or columns (dim 1) of a matrix."""

    def __init__(self, dim: int) -> None:
        """Take the axis."""
        super().__init__({"dim": dim})

    def where(self, tensor: str) -> Message:
        """Name the tensor and what goes together in it."""
        if self.dim == 0:
            return Message("{tensor} (rows)", code="prune.in_rows", tensor=tensor)
        return Message("{tensor} (columns)", code="prune.in_columns", tensor=tensor)

    def groups(self, unit: Unit, masks: Sequence[Tensor | None], alive: Sequence[int]) -> "GridGroups":  # type: ignore[override]
        """Make each row or column in which anything is alive a group."""
        weight = unit.targets[0].parameter
        return GridGroups(unit.targets[0], masks[0], grid.rows(weight) if self.dim == 0 else grid.columns(weight))


class Blocks(Lines):
    """Blocks of so many rows and columns."""

    def __init__(self, height: int, width: int) -> None:
        """Take the size."""
        super().__init__(0)
        self.height, self.width = height, width

    def where(self, tensor: str) -> Message:
        """Name the tensor and what goes together in it."""
        size = f"{self.height}x{self.width}"
        return Message("{tensor} (blocks of {size})", code="prune.in_blocks", tensor=tensor, size=size)

    def check(self, method: str, target: Target) -> None:
        """Refuse vectors, and matrices that blocks do not fill. Raises RecipeError."""
        super().check(method, target)
        shape = tuple(target.shape)
        if len(shape) != 2 or shape[0] % self.height or shape[1] % self.width:
            raise RecipeError(
                "{method}: blocks of {height}x{width} do not fill {tensor}, whose shape is {shape}",
                code="prune.block_shape", method=method, height=self.height, width=self.width,
                tensor=target.label, shape=shape,
            )  # fmt: skip

    def groups(self, unit: Unit, masks: Sequence[Tensor | None], alive: Sequence[int]) -> "GridGroups":  # type: ignore[override]
        """Make each block in which anything is alive a group."""
        weight = unit.targets[0].parameter
        return GridGroups(unit.targets[0], masks[0], grid.blocks(weight, self.height, self.width))

    def alive(self, unit: Unit, tensors: Sequence[Bounds]) -> Range:
        """Return the bounds of the living blocks."""
        (tensor,) = tensors
        size, number = self._size_and_number(tensor)
        return -(-tensor.alive[0] // size), min(number, tensor.alive[1])

    def lose(self, unit: Unit, tensors: Sequence[Bounds], groups: Range) -> Range:
        """Subtract blocks, which have one entry at least and all of theirs at most."""
        (tensor,) = tensors
        size, number = self._size_and_number(tensor)
        low, high = groups[0], min(groups[1] * size, tensor.alive[1])
        if tensor.alive[0] == size * number:  # nothing is masked
            low, high = groups[0] * size, groups[1] * size
        tensor.lose_entries(low, high)
        return low, high

    def lose_among(
        self, units: Sequence[Unit], bounds: Sequence[Sequence[Bounds]], groups: Range, alive: Range
    ) -> Range:
        """Subtract blocks from all tensors together."""
        size = self.height * self.width
        whole = all(tensor.alive[0] == size * self._size_and_number(tensor)[1] for (tensor,) in bounds)
        for (tensor,) in bounds:
            tensor.lose_entries(0, min(groups[1] * size, tensor.alive[1]))
        return groups[0] * (size if whole else 1), min(groups[1] * size, alive[1])

    def _size_and_number(self, tensor: Bounds) -> tuple[int, int]:
        size = self.height * self.width
        return size, tensor.shape[0] * tensor.shape[1] // size


class GridGroups:
    """The groups of a matrix in which anything is alive; others are neither scored nor counted."""

    def __init__(self, target: Target, mask: Tensor | None, groups: grid.Grid) -> None:
        """Find the groups."""
        self.target, self.current, self.grid = target, mask, groups
        if mask is None:
            self.places = torch.arange(groups.size, device=target.parameter.device)
        else:
            self.places = groups.sums(mask.to(torch.float32)).nonzero().flatten()
        self.alive = len(self.places)

    def scores(
        self, method: Method, options: Mapping[str, Any], generator: torch.Generator, statistics: Mapping[str, Any]
    ) -> TensorScores:
        """Score the groups that are alive, with zeros for masked entries."""
        offered = {"generator": generator, "mask": self.current, **statistics}
        scores = score_groups(method, self.target.label, self.living(), self.grid, options, **offered)
        return TensorScores(f"{method.name}: {self.target.label}", scores[self.places], self.alive)

    def living(self) -> Tensor:
        """Return the weights, with zeros for masked entries."""
        weight = self.target.parameter.detach()
        return weight if self.current is None else weight * self.current

    def unscored(self) -> TensorScores:
        """Return scores without values."""
        return TensorScores(self.target.name, torch.empty(self.alive), self.alive)

    def masks(self, keep: Tensor) -> list[Tensor]:
        """Mask the groups that are not kept."""
        kept = torch.ones(self.grid.size, dtype=torch.bool, device=keep.device)
        kept[self.places[~keep]] = False
        mask = self.grid.spread(kept)
        return [mask if self.current is None else self.current & mask]

"""Whole slices of a tensor along one axis, such as rows and columns."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import Message, RecipeError
from ...model.matching import find_targets
from ...model.targets import Target
from ...scores import Method, score
from ...selection import Selection
from ..bounds import Bounds, Range
from ..rank import TensorScores
from .groups import Unit


class Slices:
    """Whole slices along one axis, such as rows (0) and columns (1 or -1). Source: torch's structured methods."""

    single = False

    def __init__(self, options: Mapping[str, Any]) -> None:
        """Take the axis from a method's option `dim`."""
        self.dim: int = options.get("dim", 0)

    def units(self, method: str, model: nn.Module, select: Selection, missing: frozenset[str]) -> list[Unit]:
        """Rank each tensor by itself. Raises RecipeError for vectors, and for axes that a tensor does not have."""
        targets = find_targets(model, select, missing)
        for target in targets:
            self.check(method, target)
        return [Unit((target,), self.where(target.label)) for target in targets]

    def where(self, tensor: str) -> Message:
        """Name the tensor and the axis."""
        return Message("{tensor} (slices along dim {dim})", code="prune.in_slices", tensor=tensor, dim=self.dim)

    def check(self, method: str, target: Target) -> None:
        """Refuse vectors, and axes that a tensor does not have. Raises RecipeError."""
        dims = target.parameter.dim()
        if dims < 2:
            raise RecipeError(
                "{method}: {tensor} has {dims} dimensions and no slices; select matrices",
                code="prune.vector", method=method, tensor=target.name, dims=dims,
            )  # fmt: skip
        if not -dims <= self.dim < dims:
            raise RecipeError(
                "{method}: dim {dim} is out of range for {tensor}, which has {dims} dimensions",
                code="prune.dim", method=method, dim=self.dim, tensor=target.name, dims=dims,
            )  # fmt: skip

    def groups(self, unit: Unit, masks: Sequence[Tensor | None], alive: Sequence[int]) -> "SliceGroups":
        """Make each slice in which anything is alive a group."""
        return SliceGroups(unit.targets[0], masks[0], self.dim)

    def alive(self, unit: Unit, tensors: Sequence[Bounds]) -> Range:
        """Return the bounds of the living slices."""
        return tensors[0].living_slices(self.dim)

    def lose(self, unit: Unit, tensors: Sequence[Bounds], groups: Range) -> Range:
        """Subtract slices."""
        return tensors[0].lose_slices(self.dim, groups)

    def lose_among(
        self, units: Sequence[Unit], bounds: Sequence[Sequence[Bounds]], groups: Range, alive: Range
    ) -> Range:
        """Subtract slices: at least the smallest ones, at most the largest ones."""
        tensors = [tensor for (tensor,) in bounds]
        counts = [tensor.living_slices(self.dim) for tensor in tensors]
        least_sizes = [
            tensor.alive[1] // max(1, most) if tensor.slices is not None else 1
            for tensor, (_, most) in zip(tensors, counts, strict=True)
        ]
        full_sizes = [tensor.slice_size(self.dim) for tensor in tensors]
        numbers = [most for _, most in counts]
        least = _entries_of_smallest(groups[0], least_sizes, numbers)
        most = -_entries_of_smallest(groups[1], [-size for size in full_sizes], numbers)
        for tensor, number, size in zip(tensors, numbers, full_sizes, strict=True):
            tensor.lose_entries(0, min(groups[1], number) * size)
        return least, min(most, alive[1])


class SliceGroups:
    """The slices of one tensor in which anything is alive; others are neither scored nor counted, as in torch."""

    def __init__(self, target: Target, mask: Tensor | None, dim: int) -> None:
        """Find the slices."""
        self.target, self.current, self.dim = target, mask, dim
        shape = target.parameter.shape
        if mask is None:
            self.places = torch.arange(shape[dim], device=target.parameter.device)
        else:
            others = [axis for axis in range(len(shape)) if axis != dim % len(shape)]
            self.places = mask.any(dim=others).nonzero().flatten()
        self.alive = len(self.places)

    def scores(
        self, method: Method, options: Mapping[str, Any], generator: torch.Generator, statistics: Mapping[str, Any]
    ) -> TensorScores:
        """Score the slices that are alive, with zeros for masked entries."""
        weight, mask = self.target.parameter.detach(), self.current
        if mask is not None:
            weight = weight * mask
            mask = mask.index_select(self.dim, self.places)
        if self.alive < weight.shape[self.dim]:
            weight = weight.index_select(self.dim, self.places)
        scores = score(method, self.target.label, weight, (self.alive,), options, generator=generator, mask=mask)
        return TensorScores(f"{method.name}: {self.target.label}", scores, self.alive)

    def unscored(self) -> TensorScores:
        """Return scores without values."""
        return TensorScores(self.target.name, torch.empty(self.alive), self.alive)

    def masks(self, keep: Tensor) -> list[Tensor]:
        """Mask the slices that are not kept; without an earlier mask, a view repeats one value for each slice."""
        shape = self.target.parameter.shape
        if self.alive < shape[self.dim]:
            kept = torch.ones(shape[self.dim], dtype=torch.bool, device=keep.device)
            kept[self.places[~keep]] = False
            keep = kept
        along = keep.view(-1, *[1] * (len(shape) - 1 - self.dim % len(shape)))
        return [along.expand(shape) if self.current is None else self.current & along]


def _entries_of_smallest(slices: int, sizes: Sequence[int], numbers: Sequence[int]) -> int:
    """Add up the entries of that many slices, the smallest first."""
    total = 0
    for size, number in sorted(zip(sizes, numbers, strict=True)):
        taken = min(slices, number)
        total, slices = total + taken * size, slices - taken
    return total

"""Granularity: which entries of a tensor are pruned together. Each class below is one; its scores come from a method.

Each class holds the pruning itself (`groups`) and the bounds that a preview gives (`alive`, `lose`, `lose_among`), so
that a granularity is one class to add here, and its name in `scores/method.py`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from ..errors import Message, RecipeError
from ..model.targets import Target
from ..scores import Method, score, score_pieces
from .bounds import Bounds, Range
from .rank import TensorScores


class Groups(Protocol):
    """The groups of one tensor that may be pruned."""

    @property
    def alive(self) -> int:
        """How many groups have anything alive."""

    def scores(self, method: Method, options: Mapping[str, Any], generator: torch.Generator) -> TensorScores:
        """Score the groups: the larger, the more worth keeping. Raises RecipeError where the method fails."""

    def unscored(self) -> TensorScores:
        """Return placeholders, for a tensor that loses nothing."""

    def mask(self, keep: Tensor) -> Tensor:
        """Turn what ranking keeps of the scores into a mask of the tensor: bool, its shape, True is alive."""


class Granularity(Protocol):
    """What is pruned together."""

    @property
    def single(self) -> bool:
        """Whether each group is one entry."""

    def where(self, tensor: str) -> str | Message:
        """Return what a message calls the groups of the tensor of that name."""

    def check(self, method: str, target: Target) -> None:
        """Refuse a target that has no such groups. Raises RecipeError."""

    def groups(self, target: Target, mask: Tensor | None, alive: int) -> Groups:
        """Find the groups of a tensor; `mask` is what is alive (None: all), `alive` its number of entries."""

    def alive(self, tensor: Bounds) -> Range:
        """Return the least and the most groups that can be alive."""

    def lose(self, tensor: Bounds, groups: Range) -> Range:
        """Subtract that many groups from the bounds of one tensor; return how many entries they have."""

    def lose_among(self, tensors: Sequence[Bounds], groups: Range, alive: Range) -> Range:
        """Subtract that many groups from all tensors together, which have `alive` entries; return the entries."""


class Elements:
    """Single entries. Source: torch's unstructured methods."""

    single = True

    def where(self, tensor: str) -> str:
        """Name the tensor."""
        return tensor

    def check(self, method: str, target: Target) -> None:
        """Accept every tensor."""

    def groups(self, target: Target, mask: Tensor | None, alive: int) -> "ElementGroups":
        """Make each living entry a group."""
        return ElementGroups(target, mask, alive)

    def alive(self, tensor: Bounds) -> Range:
        """Return the bounds of the living entries."""
        return tensor.alive

    def lose(self, tensor: Bounds, groups: Range) -> Range:
        """Subtract the least from the least and the most from the most: a fraction of more entries leaves more."""
        least, most = tensor.alive
        tensor.lose_entries(*groups)
        tensor.alive = (max(0, least - groups[0]), most - groups[1])
        return groups

    def lose_among(self, tensors: Sequence[Bounds], groups: Range, alive: Range) -> Range:
        """Subtract entries; any tensor may lose none or all of them."""
        for tensor in tensors:
            tensor.lose_entries(0, min(groups[1], tensor.alive[1]))
        return groups


@dataclass(frozen=True)
class ElementGroups:
    """The living entries of one tensor."""

    target: Target
    current: Tensor | None
    alive: int

    def scores(self, method: Method, options: Mapping[str, Any], generator: torch.Generator) -> TensorScores:
        """Score every entry: piece by piece where the method allows it, at once elsewhere."""
        weight = self.target.parameter.detach()
        if method.elementwise:
            rule = score_pieces(method, self.target.label, options)
            return replace(self._of(weight, method.name), rule=rule, doubted=not method.built_in)
        living = weight if self.current is None else weight * self.current
        shape = tuple(weight.shape)
        scores = score(method, self.target.label, living, shape, generator=generator, mask=self.current, **options)
        return self._of(scores, method.name)

    def unscored(self) -> TensorScores:
        """Return the weights as they are."""
        return self._of(self.target.parameter.detach(), "unscored")

    def _of(self, values: Tensor, method: str) -> TensorScores:
        flat = None if self.current is None else self.current.reshape(-1)
        return TensorScores(f"{method}: {self.target.label}", values.reshape(-1), self.alive, flat)

    def mask(self, keep: Tensor) -> Tensor:
        """Give the tensor's shape to what is kept."""
        return keep.view(self.target.parameter.shape)


class Slices:
    """Whole slices along one axis, such as rows (0) and columns (1 or -1). Source: torch's structured methods."""

    single = False

    def __init__(self, options: Mapping[str, Any]) -> None:
        """Take the axis from a method's option `dim`."""
        self.dim: int = options.get("dim", 0)

    def where(self, tensor: str) -> Message:
        """Name the tensor and the axis."""
        return Message("{tensor} (slices along dim {dim})", code="prune.in_slices", tensor=tensor, dim=self.dim)

    def check(self, method: str, target: Target) -> None:
        """Refuse vectors, and axes that a tensor does not have. Raises RecipeError."""
        dims = target.parameter.dim()
        if dims < 2:
            raise RecipeError(
                "{method}: {tensor} is a vector and has no slices; select matrices",
                code="prune.vector", method=method, tensor=target.name,
            )  # fmt: skip
        if not -dims <= self.dim < dims:
            raise RecipeError(
                "{method}: dim {dim} is out of range for {tensor}, which has {dims} dimensions",
                code="prune.dim", method=method, dim=self.dim, tensor=target.name, dims=dims,
            )  # fmt: skip

    def groups(self, target: Target, mask: Tensor | None, alive: int) -> "SliceGroups":
        """Make each slice in which anything is alive a group."""
        return SliceGroups(target, mask, self.dim)

    def alive(self, tensor: Bounds) -> Range:
        """Return the bounds of the living slices."""
        return tensor.living_slices(self.dim)

    def lose(self, tensor: Bounds, groups: Range) -> Range:
        """Subtract slices."""
        return tensor.lose_slices(self.dim, groups)

    def lose_among(self, tensors: Sequence[Bounds], groups: Range, alive: Range) -> Range:
        """Subtract slices: at least the smallest ones, at most the largest ones."""
        counts = [self.alive(tensor) for tensor in tensors]
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

    def scores(self, method: Method, options: Mapping[str, Any], generator: torch.Generator) -> TensorScores:
        """Score the slices that are alive, with zeros for masked entries."""
        weight, mask = self.target.parameter.detach(), self.current
        if mask is not None:
            weight = weight * mask
            mask = mask.index_select(self.dim, self.places)
        if self.alive < weight.shape[self.dim]:
            weight = weight.index_select(self.dim, self.places)
        scores = score(method, self.target.label, weight, (self.alive,), generator=generator, mask=mask, **options)
        return TensorScores(f"{method.name}: {self.target.label}", scores, self.alive)

    def unscored(self) -> TensorScores:
        """Return scores without values."""
        return TensorScores(self.target.name, torch.empty(self.alive), self.alive)

    def mask(self, keep: Tensor) -> Tensor:
        """Mask the slices that are not kept; without an earlier mask, a view repeats one value for each slice."""
        shape = self.target.parameter.shape
        if self.alive < shape[self.dim]:
            kept = torch.ones(shape[self.dim], dtype=torch.bool, device=keep.device)
            kept[self.places[~keep]] = False
            keep = kept
        along = keep.view(-1, *[1] * (len(shape) - 1 - self.dim % len(shape)))
        return along.expand(shape) if self.current is None else self.current & along


def _entries_of_smallest(slices: int, sizes: Sequence[int], numbers: Sequence[int]) -> int:
    """Add up the entries of that many slices, the smallest first."""
    total = 0
    for size, number in sorted(zip(sizes, numbers, strict=True)):
        taken = min(slices, number)
        total, slices = total + taken * size, slices - taken
    return total


GRANULARITIES: Mapping[str, Callable[[Mapping[str, Any]], Granularity]] = {
    "element": lambda options: Elements(),
    "slice": Slices,
}
"""By what a method `removes`; each takes the method's options."""

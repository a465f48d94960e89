"""Single entries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ...model.targets import Target
from ...scores import Method, score, score_pieces
from ..bounds import Bounds, Range
from ..rank import TensorScores
from .groups import Unit


class Elements:
    """Single entries. Source: torch's unstructured methods."""

    single = True

    def units(self, method: str, targets: Sequence[Target]) -> list[Unit]:
        """Rank each tensor by itself."""
        return [Unit((target,), target.label) for target in targets]

    def groups(self, unit: Unit, masks: Sequence[Tensor | None], alive: Sequence[int]) -> "ElementGroups":
        """Make each living entry a group."""
        return ElementGroups(unit.targets[0], masks[0], alive[0])

    def alive(self, tensors: Sequence[Bounds]) -> Range:
        """Return the bounds of the living entries."""
        return tensors[0].alive

    def lose(self, tensors: Sequence[Bounds], groups: Range) -> Range:
        """Subtract the least from the least and the most from the most: a fraction of more entries leaves more."""
        (tensor,) = tensors
        least, most = tensor.alive
        tensor.lose_entries(*groups)
        tensor.alive = (max(0, least - groups[0]), most - groups[1])
        return groups

    def lose_among(self, units: Sequence[Sequence[Bounds]], groups: Range, alive: Range) -> Range:
        """Subtract entries; any tensor may lose none or all of them."""
        for (tensor,) in units:
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
        scores = score(method, self.target.label, living, shape, options, generator=generator, mask=self.current)
        return self._of(scores, method.name)

    def unscored(self) -> TensorScores:
        """Return the weights as they are."""
        return self._of(self.target.parameter.detach(), "unscored")

    def _of(self, values: Tensor, method: str) -> TensorScores:
        flat = None if self.current is None else self.current.reshape(-1)
        return TensorScores(f"{method}: {self.target.label}", values.reshape(-1), self.alive, flat)

    def masks(self, keep: Tensor) -> list[Tensor]:
        """Give the tensor's shape to what is kept."""
        return [keep.view(self.target.parameter.shape)]

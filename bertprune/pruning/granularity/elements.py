"""Single entries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...model.matching import find_targets
from ...model.targets import Target
from ...scores import Method, score, score_pieces
from ...selection import Selection
from ..bounds import Bounds, Range
from ..rank import TensorScores
from .groups import Unit


class Elements:
    """Single entries. Source: torch's unstructured methods."""

    single = True

    def units(self, method: str, model: nn.Module, select: Selection, missing: frozenset[str]) -> list[Unit]:
        """Rank each tensor by itself."""
        targets = find_targets(model, select, missing)
        for target in targets:
            self.check(method, target)
        return [Unit((target,), target.label) for target in targets]

    def check(self, method: str, target: Target) -> None:
        """Accept every tensor."""

    def groups(self, unit: Unit, masks: Sequence[Tensor | None], alive: Sequence[int]) -> "ElementGroups":
        """Make each living entry a group."""
        return ElementGroups(unit.targets[0], masks[0], alive[0])

    def alive(self, unit: Unit, tensors: Sequence[Bounds]) -> Range:
        """Return the bounds of the living entries."""
        return tensors[0].alive

    def lose(self, unit: Unit, tensors: Sequence[Bounds], groups: Range) -> Range:
        """Subtract the least from the least and the most from the most: a fraction of more entries leaves more."""
        (tensor,) = tensors
        least, most = tensor.alive
        tensor.lose_entries(*groups)
        tensor.alive = (max(0, least - groups[0]), most - groups[1])
        return groups

    def lose_among(
        self, units: Sequence[Unit], bounds: Sequence[Sequence[Bounds]], groups: Range, alive: Range
    ) -> Range:
        """Subtract entries; any tensor may lose none or all of them."""
        for (tensor,) in bounds:
            tensor.lose_entries(0, min(groups[1], tensor.alive[1]))
        return groups


@dataclass(frozen=True)
class ElementGroups:
    """The living entries of one tensor."""

    target: Target
    current: Tensor | None
    alive: int

    def scores(
        self, method: Method, options: Mapping[str, Any], generator: torch.Generator, statistics: Mapping[str, Any]
    ) -> TensorScores:
        """Score every entry: piece by piece where the method allows it, at once elsewhere."""
        weight = self.target.parameter.detach()
        if method.elementwise:
            rule = score_pieces(method, self.target.label, options)
            return replace(self._of(weight, method.name), rule=rule, doubted=not method.built_in)
        offered = {"generator": generator, "mask": self.current, **statistics}
        scores = score(method, self.target.label, self.living(), tuple(weight.shape), options, **offered)
        return self._of(scores, method.name)

    def living(self) -> Tensor:
        """Return the weights, with zeros for masked entries."""
        weight = self.target.parameter.detach()
        return weight if self.current is None else weight * self.current

    def rows_alive(self) -> NDArray[np.int64]:
        """Count what is alive in each row of a matrix, (rows)."""
        shape = self.target.parameter.shape
        if self.current is None:
            return np.full(shape[0], shape[1:].numel(), np.int64)
        return self.current.reshape(shape[0], -1).sum(1).numpy(force=True)

    def unscored(self) -> TensorScores:
        """Return the weights as they are."""
        return self._of(self.target.parameter.detach(), "unscored")

    def _of(self, values: Tensor, method: str) -> TensorScores:
        flat = None if self.current is None else self.current.reshape(-1)
        return TensorScores(f"{method}: {self.target.label}", values.reshape(-1), self.alive, flat)

    def masks(self, keep: Tensor) -> list[Tensor]:
        """Give the tensor's shape to what is kept."""
        return [keep.view(self.target.parameter.shape)]

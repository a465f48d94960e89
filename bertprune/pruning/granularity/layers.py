"""Whole layers of the encoder, which leave the model at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import Message, RecipeError
from ...model.layers import find_layers
from ...model.targets import Target
from ...scores import Method
from ...selection import Selection
from ...step import Step
from ..bounds import Bounds, Range
from ..rank import TensorScores
from .groups import Unit


@dataclass(frozen=True)
class LayerUnit(Unit):
    """The layers among which a step chooses."""

    members: Mapping[int, tuple[Target, ...]]
    """The tensors of each layer, by its number."""
    others: int
    """How many layers the encoder has beside them."""

    def check(self, step: Step, amount: int) -> None:
        """Refuse to remove every layer of the encoder. Raises RecipeError."""
        if amount >= len(self.members) + self.others:
            raise RecipeError(
                "{step} would remove every layer of the encoder: one at least must stay",
                code="prune.every_layer", step=str(step),
            )  # fmt: skip


class Layers:
    """Whole layers of the encoder. Source: Men et al. (ShortGPT), arXiv:2403.03853."""

    single = False

    def units(self, method: str, model: nn.Module, select: Selection, missing: frozenset[str]) -> list[Unit]:
        """Rank all layers together. Raises SelectionError."""
        found, others = find_layers(model, select)
        where = Message("the layers of the encoder", code="prune.in_encoder")
        return [LayerUnit(tuple(one for targets in found.values() for one in targets), where, found, others)]

    def groups(self, unit: Unit, masks: Sequence[Tensor | None], alive: Sequence[int]) -> "LayerGroups":
        """Make each layer a group."""
        assert isinstance(unit, LayerUnit)
        return LayerGroups(unit)

    def alive(self, unit: Unit, tensors: Sequence[Bounds]) -> Range:
        """Return how many layers there are."""
        assert isinstance(unit, LayerUnit)
        return len(unit.members), len(unit.members)

    def lose(self, unit: Unit, tensors: Sequence[Bounds], groups: Range) -> Range:
        """Return the entries of that many layers: of the smallest, and of the largest."""
        assert isinstance(unit, LayerUnit)
        sizes, rest = [], list(tensors)
        for targets in unit.members.values():
            here, rest = rest[: len(targets)], rest[len(targets) :]
            sizes.append((sum(one.alive[0] for one in here), sum(one.alive[1] for one in here)))
        least, most = (sorted(one[end] for one in sizes) for end in (0, 1))
        return sum(least[: groups[0]]), sum(most[len(most) - groups[1] :])

    def lose_among(
        self, units: Sequence[Unit], bounds: Sequence[Sequence[Bounds]], groups: Range, alive: Range
    ) -> Range:
        """Return the same; there is one unit."""
        return self.lose(units[0], bounds[0], groups)


@dataclass(frozen=True)
class LayerGroups:
    """The layers among which a step chooses."""

    unit: LayerUnit

    @property
    def alive(self) -> int:
        """How many there are."""
        return len(self.unit.members)

    def scores(
        self, method: Method, options: Mapping[str, Any], generator: torch.Generator, statistics: Mapping[str, Any]
    ) -> TensorScores:
        """Return the mean of the scores of all tokens, which the walk has collected."""
        means: Mapping[int, float] = statistics["means"]
        values = torch.tensor([means[number] for number in self.unit.members], dtype=torch.float64)
        return TensorScores(f"{method.name}: {self.unit.where}", values, self.alive)

    def unscored(self) -> TensorScores:
        """Return scores that rank the layers by their number."""
        return TensorScores(str(self.unit.where), torch.arange(self.alive, dtype=torch.float64), self.alive)

    def masks(self, keep: Tensor) -> list[Tensor]:
        """Return masks that leave nothing of the layers that are not kept; one value each, as wide as the tensor."""
        pairs = zip(self.unit.members.values(), keep, strict=True)
        return [kept.expand(one.parameter.shape) for targets, kept in pairs for one in targets]

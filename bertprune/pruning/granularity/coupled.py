"""Neurons and heads: rows of some matrices, their biases, and columns of another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import Message
from ...model.coupled import Coupled, Coupling, find_coupled
from ...model.macs import macs_per_group
from ...scores import Method, grid, score_groups
from ...selection import Selection
from ..bounds import Bounds, Range
from ..rank import TensorScores
from .groups import Unit


@dataclass(frozen=True)
class CoupledUnit(Unit):
    """The heads or neurons of one layer; the matrix whose columns go comes first."""

    coupled: Coupled


class CoupledGranularity:
    """Neurons or heads of the encoder's layers. Source: Michel et al., arXiv:1905.10650, and Kurtic et al. (ZipLM)."""

    single = False

    def __init__(self, kind: Coupling) -> None:
        """Take what goes together."""
        self.kind = kind

    def units(self, method: str, model: nn.Module, select: Selection, missing: frozenset[str]) -> list[Unit]:
        """Rank each layer by itself. Raises SelectionError."""
        found = find_coupled(model, self.kind, select, missing)
        return [CoupledUnit(one.targets, self._where(one.layer), one) for one in found]

    def _where(self, layer: int) -> Message:
        if self.kind == "neuron":
            return Message("the neurons of layer {layer}", code="prune.in_neurons", layer=layer)
        return Message("the heads of layer {layer}", code="prune.in_heads", layer=layer)

    def groups(self, unit: Unit, masks: Sequence[Tensor | None], alive: Sequence[int]) -> "CoupledGroups":
        """Make each head or neuron whose output is alive a group."""
        assert isinstance(unit, CoupledUnit)
        return CoupledGroups(unit, masks)

    def alive(self, unit: Unit, tensors: Sequence[Bounds]) -> Range:
        """Return the bounds of the living groups, which the output's columns tell."""
        return tensors[0].living_groups(_number(unit))

    def lose(self, unit: Unit, tensors: Sequence[Bounds], groups: Range) -> Range:
        """Subtract the same groups from every tensor."""
        removed = [tensor.lose_groups(_number(unit), groups) for tensor in tensors]
        return sum(low for low, _ in removed), sum(high for _, high in removed)

    def lose_among(
        self, units: Sequence[Unit], bounds: Sequence[Sequence[Bounds]], groups: Range, alive: Range
    ) -> Range:
        """Subtract groups of any layer: exact where nothing is pruned yet, and all layers have the same shapes."""
        pairs = list(zip(units, bounds, strict=True))
        sizes = {sum(tensor.alive[1] for tensor in tensors) // max(1, _number(unit)) for unit, tensors in pairs}
        whole = len(sizes) == 1 and all(self.alive(*pair)[0] == _number(pair[0]) for pair in pairs)
        for unit, tensors in pairs:
            for tensor in tensors:
                tensor.lose_groups(_number(unit), (0, min(groups[1], _number(unit))))
        return groups[0] * max(sizes) if whole else 0, min(groups[1] * max(sizes), alive[1])


def _number(unit: Unit) -> int:
    assert isinstance(unit, CoupledUnit)
    return unit.coupled.number


class CoupledGroups:
    """The heads or neurons of one layer whose output has anything alive."""

    def __init__(self, unit: CoupledUnit, masks: Sequence[Tensor | None]) -> None:
        """Find the groups."""
        self.unit, self.current, self.number = unit, masks, unit.coupled.number
        weight = unit.targets[0].parameter
        self.columns = unit.coupled.columns.to(weight.device)
        self.grid = grid.Grid(torch.zeros(len(weight), dtype=torch.long, device=weight.device), self.columns)
        if masks[0] is None:
            self.places = torch.arange(self.number, device=weight.device)
        else:
            self.places = self.grid.sums(masks[0].to(torch.float32)).nonzero().flatten()
        self.alive = len(self.places)

    def scores(
        self, method: Method, options: Mapping[str, Any], generator: torch.Generator, statistics: Mapping[str, Any]
    ) -> TensorScores:
        """Score by the output's columns where the method asks for statistics, elsewhere by all members."""
        name, offered = str(self.unit.where), {"generator": generator, **statistics}
        if method.needs_texts:
            output = self.living(0)
            scores = score_groups(method, name, output, self.grid, options, mask=self.current[0], **offered)
        else:
            members = torch.cat([self._members(number) for number in range(len(self.unit.targets))], dim=1)
            scores = score_groups(method, name, members, grid.rows(members), options, **offered)
        return TensorScores(f"{method.name}: {name}", scores[self.places], self.alive)

    def unscored(self) -> TensorScores:
        """Return scores without values."""
        return TensorScores(str(self.unit.where), torch.empty(self.alive), self.alive)

    def per_mac(self, scores: TensorScores) -> TensorScores:
        """Divide scores by what each head or neuron takes; texts' length matters to none more than to another."""
        return replace(scores, values=scores.values.double() / macs_per_group(self.unit.coupled, length=0))

    def masks(self, keep: Tensor) -> list[Tensor]:
        """Mask the rows and columns of the groups that are not kept, and their biases."""
        kept = torch.ones(self.number, dtype=torch.bool, device=keep.device)
        kept[self.places[~keep]] = False
        return [self._mask(number, kept) for number in range(len(self.unit.targets))]

    def living(self, number: int = 0) -> Tensor:
        """Return the values of one of the tensors, the output by default, with zeros for masked entries."""
        weight, mask = self.unit.targets[number].parameter.detach(), self.current[number]
        return weight if mask is None else weight * mask

    def _members(self, number: int) -> Tensor:
        """Return a tensor's part in each group, (groups × entries)."""
        weight = self.living(number)
        places = self.columns if number == 0 else self._rows(number)
        lines = weight.T if number == 0 else weight.reshape(len(weight), -1)
        return lines[places.argsort(stable=True)].reshape(self.number, -1)

    def _rows(self, number: int) -> Tensor:
        return self.unit.coupled.inputs[number - 1][1].to(self.columns.device)

    def _mask(self, number: int, kept: Tensor) -> Tensor:
        shape, mask = self.unit.targets[number].parameter.shape, self.current[number]
        along = kept[self.columns] if number == 0 else kept[self._rows(number)].view(-1, *[1] * (len(shape) - 1))
        return along.expand(shape) if mask is None else mask & along

"""Tokens: what the vocabulary, its tokenizer, and the tensors with a row for each token lose at once."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import Message, SelectionError
from ...model.tokens import vocabulary_targets
from ...scores import Method, score
from ...selection import Selection
from ..bounds import Bounds, Range
from ..rank import TensorScores
from .groups import Unit


class Tokens:
    """The tokens of the model. Source: Abdaoui et al. (Load What You Need), arXiv:2010.05609."""

    single = False

    def units(self, method: str, model: nn.Module, select: Selection, missing: frozenset[str]) -> list[Unit]:
        """Rank all tokens together. Raises SelectionError."""
        if select != Selection():
            raise SelectionError("tokens are those of the whole model: leave select out", code="selection.tokens")
        return [Unit(vocabulary_targets(model), Message("the vocabulary", code="prune.in_vocabulary"))]

    def groups(self, unit: Unit, masks: Sequence[Tensor | None], alive: Sequence[int]) -> "TokenGroups":
        """Make each token a group."""
        return TokenGroups(unit)

    def alive(self, unit: Unit, tensors: Sequence[Bounds]) -> Range:
        """Return how many tokens there are."""
        return len(unit.targets[0].parameter), len(unit.targets[0].parameter)

    def lose(self, unit: Unit, tensors: Sequence[Bounds], groups: Range) -> Range:
        """Return the entries of that many rows of every tensor."""
        width = sum(one.slice_size(0) for one in tensors)
        masked = sum(one.slice_size(0) * one.shape[0] - one.alive[0] for one in tensors)
        return max(0, groups[0] * width - masked), groups[1] * width

    def lose_among(
        self, units: Sequence[Unit], bounds: Sequence[Sequence[Bounds]], groups: Range, alive: Range
    ) -> Range:
        """Return the same; there is one unit."""
        return self.lose(units[0], bounds[0], groups)


class TokenGroups:
    """The tokens of the model."""

    def __init__(self, unit: Unit) -> None:
        """Take the tensors that have a row for each."""
        self.unit, self.alive = unit, len(unit.targets[0].parameter)

    def scores(
        self, method: Method, options: Mapping[str, Any], generator: torch.Generator, statistics: Mapping[str, Any]
    ) -> TensorScores:
        """Score each token by how often it occurs."""
        found = score(method, str(self.unit.where), statistics["counts"], (self.alive,), options, generator=generator)
        return TensorScores(f"{method.name}: {self.unit.where}", found, self.alive)

    def unscored(self) -> TensorScores:
        """Return scores that rank the tokens from the end."""
        return TensorScores(str(self.unit.where), -torch.arange(self.alive, dtype=torch.float64), self.alive)

    def masks(self, keep: Tensor) -> list[Tensor]:
        """Mask the rows of the tokens that are not kept."""
        shapes = [one.parameter.shape for one in self.unit.targets]
        return [keep.view(-1, *[1] * (len(shape) - 1)).expand(shape) for shape in shapes]

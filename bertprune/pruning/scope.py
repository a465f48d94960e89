"""Scope: which groups are ranked together. Each class below is a scope.

Each class holds the pruning itself (`amounts`, `keep`) and the bounds that a preview gives (`preview`).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..errors import Message, RecipeError
from ..parallel import choose_map
from ..step import Step
from .bounds import Bounds, Range
from .granularity import ElementGroups, Granularity, Groups, PatternGroups, Patterns, Unit
from .granularity.coupled import CoupledGroups
from .rank import TensorScores, drop_lowest, drop_lowest_of_each
from .rank_rows import drop_lowest_of_rows

Amount = int | NDArray[np.int64]
"""How many groups are pruned: of a unit, or of each of its rows."""
UnitBounds = Sequence[Sequence[Bounds]]
"""The bounds of each unit's tensors."""


class Scope(Protocol):
    """Which groups are ranked together."""

    def amounts(self, step: Step, groups: Sequence[Groups], units: Sequence[Unit]) -> list[Amount]:
        """Return, unit by unit, how many groups are pruned in all that are ranked together with its own.

        Raises RecipeError where there are not enough.
        """

    def keep(self, groups: Sequence[Groups], scores: Iterable[TensorScores], amounts: Sequence[Amount]) -> list[Tensor]:
        """Return, unit by unit, which scores are kept; exactly the amounts are dropped.

        `scores` may be lazy: they are taken one after another. Raises RecipeError where they cannot be ranked.
        """

    def preview(
        self, step: Step, granularity: Granularity, units: Sequence[Unit], bounds: UnitBounds, alive: Range
    ) -> Range:
        """Return the least and the most entries that the step would remove, and take them from the bounds.

        `alive` are the bounds of the entries of all tensors together. Raises RecipeError where there are not enough.
        """


class Local:
    """Each unit by itself."""

    def amounts(self, step: Step, groups: Sequence[Groups], units: Sequence[Unit]) -> list[Amount]:
        """Return the step's amount of each unit."""
        return [_amount(step, group.alive, unit.where) for group, unit in zip(groups, units, strict=True)]

    def keep(self, groups: Sequence[Groups], scores: Iterable[TensorScores], amounts: Sequence[Amount]) -> list[Tensor]:
        """Drop the lowest of every unit."""
        return drop_lowest_of_each(
            zip(scores, map(int, amounts), strict=True), choose_map(group.alive for group in groups)
        )

    def preview(
        self, step: Step, granularity: Granularity, units: Sequence[Unit], bounds: UnitBounds, alive: Range
    ) -> Range:
        """Add up what each unit would lose."""
        removed = [
            granularity.lose(unit, tensors, _amount_bounds(step, granularity.alive(unit, tensors), unit.where))
            for tensors, unit in zip(bounds, units, strict=True)
        ]
        low, high = sum(least for least, _ in removed), sum(most for _, most in removed)
        if granularity.single and step.fraction is not None:
            # the tensors' own bounds may be wide where their sum is certain
            rounding = len(units) / 2
            low = max(low, math.floor(step.fraction * alive[0] - rounding))
            high = min(high, math.ceil(step.fraction * alive[1] + rounding))
        return low, high


class Global:
    """All units together."""

    def amounts(self, step: Step, groups: Sequence[Groups], units: Sequence[Unit]) -> list[Amount]:
        """Return the step's amount of all units together, for each of them."""
        return [_amount(step, sum(group.alive for group in groups), _EVERYWHERE)] * len(groups)

    def keep(self, groups: Sequence[Groups], scores: Iterable[TensorScores], amounts: Sequence[Amount]) -> list[Tensor]:
        """Drop the lowest of all units, wherever they are; heads and neurons by score per MAC that they take."""
        pairs = zip(groups, scores, strict=True)
        ranked = [group.per_mac(one) if isinstance(group, CoupledGroups) else one for group, one in pairs]
        return drop_lowest(ranked, int(amounts[0]))

    def preview(
        self, step: Step, granularity: Granularity, units: Sequence[Unit], bounds: UnitBounds, alive: Range
    ) -> Range:
        """Bound what the units would lose together."""
        groups = alive
        if not granularity.single:
            each = [granularity.alive(*pair) for pair in zip(units, bounds, strict=True)]
            groups = (sum(least for least, _ in each), sum(most for _, most in each))
        return granularity.lose_among(units, bounds, _amount_bounds(step, groups, _EVERYWHERE), alive)


class Row:
    """Each row of a matrix by itself."""

    def amounts(self, step: Step, groups: Sequence[Groups], units: Sequence[Unit]) -> list[Amount]:
        """Return the step's amount of each row; a row without anything alive loses nothing."""
        return [
            _amounts_of_rows(step, group.rows_alive(), unit.where)
            for group, unit in zip(groups, units, strict=True)
            if isinstance(group, ElementGroups)
        ]

    def keep(self, groups: Sequence[Groups], scores: Iterable[TensorScores], amounts: Sequence[Amount]) -> list[Tensor]:
        """Drop the lowest of every row."""
        pairs = zip(scores, amounts, strict=True)
        return [drop_lowest_of_rows(one, np.asarray(counts)) for one, counts in pairs]

    def preview(
        self, step: Step, granularity: Granularity, units: Sequence[Unit], bounds: UnitBounds, alive: Range
    ) -> Range:
        """Add up what each row would lose: exact where nothing is pruned yet."""
        total = [0, 0]
        for unit, (tensor,) in zip(units, bounds, strict=True):
            height, width = tensor.shape[0], math.prod(tensor.shape[1:])
            most = height * _amount(step, width, unit.where)
            low, high = (most, most) if tensor.alive[0] == height * width else (0, min(most, tensor.alive[1]))
            tensor.lose_entries(low, high)
            total = [total[0] + low, total[1] + high]
        return total[0], total[1]


class Pattern:
    """The neighbours along the input that N:M keeps N of."""

    def amounts(self, step: Step, groups: Sequence[Groups], units: Sequence[Unit]) -> list[Amount]:
        """Return what each tensor can lose; the pattern is the amount."""
        return [group.alive for group in groups]

    def keep(self, groups: Sequence[Groups], scores: Iterable[TensorScores], amounts: Sequence[Amount]) -> list[Tensor]:
        """Keep the best of the neighbours."""
        return [
            group.keep_pattern(one)
            for group, one in zip(groups, scores, strict=True)
            if isinstance(group, PatternGroups)
        ]

    def preview(
        self, step: Step, granularity: Granularity, units: Sequence[Unit], bounds: UnitBounds, alive: Range
    ) -> Range:
        """Add up what the tensors would lose: exact where nothing is pruned yet."""
        assert isinstance(granularity, Patterns)
        total = [0, 0]
        for (tensor,) in bounds:
            size = math.prod(tensor.shape)
            stay = size // granularity.of * granularity.kept
            low, high = max(0, tensor.alive[0] - stay), min(size - stay, tensor.alive[1])
            tensor.lose_entries(low, high)
            total = [total[0] + low, total[1] + high]
        return total[0], total[1]


_EVERYWHERE = Message("all selected tensors together", code="prune.everywhere")

SCOPES: Mapping[str, Scope] = {"local": Local(), "row": Row(), "global": Global()}
"""By the name that a step gives."""

PATTERN: Scope = Pattern()
"""What ranks where the granularity is N:M."""


def _amounts_of_rows(step: Step, alive: NDArray[np.int64], where: str | Message) -> NDArray[np.int64]:
    if step.count is None:
        amounts: NDArray[np.int64] = np.rint((step.fraction or 0.0) * alive).astype(
            np.int64
        )  # half to even, as in torch
        return amounts
    living = alive[alive > 0]
    _amount(step, int(living.min(initial=alive.max(initial=0))), where)
    return np.where(alive > 0, step.count, 0)


def _amount(step: Step, alive: int, where: str | Message) -> int:
    """Return how many groups a step removes of those that are alive. Raises RecipeError where there are not enough."""
    if step.count is not None and step.count > alive:
        raise RecipeError(
            "{method}: cannot prune {amount:,}: no more than {alive:,} are alive in {where}",
            code="prune.not_enough", method=step.method, amount=step.count, alive=alive, where=where,
        )  # fmt: skip
    return step.amount_of(alive)


def _amount_bounds(step: Step, alive: Range, where: str | Message) -> Range:
    return step.amount_of(alive[0]), _amount(step, alive[1], where)

"""Scope: which groups are ranked together. Each class below is a scope.

Each class holds the pruning itself (`amounts`, `keep`) and the bounds that a preview gives (`preview`).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from torch import Tensor

from ..errors import Message, RecipeError
from ..parallel import choose_map
from ..step import Step
from .bounds import Bounds, Range
from .granularity import Granularity, Groups, Unit
from .rank import TensorScores, drop_lowest, drop_lowest_of_each

UnitBounds = Sequence[Sequence[Bounds]]
"""The bounds of each unit's tensors."""


class Scope(Protocol):
    """Which groups are ranked together."""

    def amounts(self, step: Step, groups: Sequence[Groups], units: Sequence[Unit]) -> list[int]:
        """Return, unit by unit, how many groups are pruned in all that are ranked together with its own.

        Raises RecipeError where there are not enough.
        """

    def keep(self, groups: Sequence[Groups], scores: Iterable[TensorScores], amounts: Sequence[int]) -> list[Tensor]:
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

    def amounts(self, step: Step, groups: Sequence[Groups], units: Sequence[Unit]) -> list[int]:
        """Return the step's amount of each unit."""
        return [_amount(step, group.alive, unit.where) for group, unit in zip(groups, units, strict=True)]

    def keep(self, groups: Sequence[Groups], scores: Iterable[TensorScores], amounts: Sequence[int]) -> list[Tensor]:
        """Drop the lowest of every unit."""
        return drop_lowest_of_each(zip(scores, amounts, strict=True), choose_map(group.alive for group in groups))

    def preview(
        self, step: Step, granularity: Granularity, units: Sequence[Unit], bounds: UnitBounds, alive: Range
    ) -> Range:
        """Add up what each unit would lose."""
        removed = [
            granularity.lose(tensors, _amount_bounds(step, granularity.alive(tensors), unit.where))
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

    def amounts(self, step: Step, groups: Sequence[Groups], units: Sequence[Unit]) -> list[int]:
        """Return the step's amount of all units together, for each of them."""
        return [_amount(step, sum(group.alive for group in groups), _EVERYWHERE)] * len(groups)

    def keep(self, groups: Sequence[Groups], scores: Iterable[TensorScores], amounts: Sequence[int]) -> list[Tensor]:
        """Drop the lowest of all units, wherever they are."""
        return drop_lowest(list(scores), amounts[0])

    def preview(
        self, step: Step, granularity: Granularity, units: Sequence[Unit], bounds: UnitBounds, alive: Range
    ) -> Range:
        """Bound what the units would lose together."""
        groups = alive
        if not granularity.single:
            each = [granularity.alive(tensors) for tensors in bounds]
            groups = (sum(least for least, _ in each), sum(most for _, most in each))
        return granularity.lose_among(bounds, _amount_bounds(step, groups, _EVERYWHERE), alive)


_EVERYWHERE = Message("all selected tensors together", code="prune.everywhere")

SCOPES: Mapping[str, Scope] = {"local": Local(), "global": Global()}
"""By the name that a step gives."""


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

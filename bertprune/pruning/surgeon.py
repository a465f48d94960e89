"""The second-order method with reconstruction: what is chosen next depends on how the others made up for it so far.

Single entries and N:M go by SparseGPT's pass over the columns; columns, neurons and heads one after the other.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from ..parallel import map_serially
from .granularity import ElementGroups, Groups, PatternGroups, Unit
from .granularity.coupled import CoupledGroups
from .granularity.grids import GridGroups
from .rank import TensorScores, drop_lowest
from .rank_rows import drop_lowest_of_rows
from .reconstruct import BLOCK, removal_order, sweep
from .steps import MatchedStep

_KINDS = ("element", "pattern", "column", "neuron", "head")


def works_by_surgeon(matched: MatchedStep) -> bool:
    """Return whether a step's choices and adjustments are made together."""
    return (
        matched.method.built_in
        and matched.method.name == "obs"
        and matched.step.reconstruct
        and matched.step.scope != "global"
        and matched.kind in _KINDS
    )


def keep_by_surgeon(
    matched: MatchedStep, units: Sequence[Unit], groups: Sequence[Groups], hessians: Iterable[Tensor]
) -> list[tuple[Tensor, Tensor | None]]:
    """Return which groups of each unit stay, in local or row scope. Raises RecipeError where there are too few.

    Beside single entries stand the weights that the same pass adjusted.

    `hessians` are the second derivatives of each unit, made one by one: all together would need too much room.
    """
    amounts = matched.scope.amounts(matched.step, groups, units)
    kept: list[tuple[Tensor, Tensor | None]] = []
    for group, amount, hessian in zip(groups, amounts, hessians, strict=True):
        if isinstance(group, PatternGroups):
            kept.append(_sweep(group, hessian, _of_pattern(group), group.of))
        elif isinstance(group, ElementGroups):
            kept.append(_sweep(group, hessian, _of_block(group, amount), BLOCK))
        elif isinstance(group, GridGroups | CoupledGroups):
            kept.append((_remove(group, hessian, int(amount)), None))
    return kept


def order_by_surgeon(group: GridGroups | CoupledGroups, hessian: Tensor, count: int) -> Tensor:
    """Return which groups of columns go, so many one after the other, by their numbers."""
    alive = torch.zeros(group.grid.size, dtype=torch.bool, device=hessian.device)
    alive[group.places] = True
    return removal_order(group.living(), hessian, group.grid, alive, count)


def _remove(group: GridGroups | CoupledGroups, hessian: Tensor, count: int) -> Tensor:
    return ~torch.isin(group.places, order_by_surgeon(group, hessian, count))


def _sweep(
    group: ElementGroups, hessian: Tensor, choose: Callable[[Tensor, slice], Tensor], width: int
) -> tuple[Tensor, Tensor]:
    weight, kept = sweep(group.living().float(), hessian, choose, width)
    return kept.flatten(), weight


def _alive(group: ElementGroups) -> Tensor:
    mask = group.current
    return torch.ones_like(group.target.parameter, dtype=torch.bool) if mask is None else mask


def _of_pattern(group: PatternGroups) -> Callable[[Tensor, slice], Tensor]:
    alive = _alive(group)

    return lambda scores, columns: group.keep_best(scores, alive[:, columns])


def _of_block(
    group: ElementGroups, amount: "int | np.ndarray[tuple[int], np.dtype[np.int64]]"
) -> Callable[[Tensor, slice], Tensor]:
    """Give each block of columns its share of what goes, so that it is exact in the end."""
    alive = _alive(group)
    by_row = isinstance(amount, np.ndarray)
    total = alive.sum(1).numpy(force=True) if by_row else int(alive.sum())
    gone = np.zeros_like(total) if by_row else 0

    def choose(scores: Tensor, columns: slice) -> Tensor:
        nonlocal gone
        living = alive[:, columns].contiguous()
        seen = alive[:, : columns.stop].sum(1).numpy(force=True) if by_row else int(alive[:, : columns.stop].sum())
        due = np.rint(amount * seen / np.maximum(total, 1)).astype(np.int64) - gone
        flat = TensorScores("obs", scores.flatten(), int(living.sum()), living.flatten())
        if by_row:
            due = np.clip(due, 0, living.sum(1).numpy(force=True))
            keep = drop_lowest_of_rows(flat, due)
        else:
            keep = drop_lowest([flat], int(due), map_serially)[0]
        gone = gone + due
        return keep.view(living.shape)

    return choose

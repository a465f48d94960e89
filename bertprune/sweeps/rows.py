"""The rows of a sweep, and which of them are on the front."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ..errors import BertpruneError
from ..recipe import Recipe
from ..scores import find_method
from .measure import Measured

Axis = Literal["macs", "bytes", "sparsity"]
"""What size means."""
_COUPLED = ("neuron", "head", "layer")
Point = tuple[float, float]
"""A cost (less is better) and a quality (more is better); NaN where one is not known."""


@dataclass(frozen=True)
class SweepRow:
    """One recipe of a sweep: what it gives, or why it was refused."""

    name: str
    recipe: Recipe | None
    """None where what was given is no recipe."""
    measured: Measured | None
    error: BertpruneError | None = None
    """Why nothing was measured."""
    pareto: bool = False
    """Whether no other row is as small, and as good, and better in one of these."""


def marked(rows: Sequence[SweepRow], axis: Axis) -> tuple[SweepRow, ...]:
    """Mark the rows on the front along an axis."""
    front = on_front([_point(row.measured, axis) for row in rows])
    return tuple(replace(row, pareto=best) for row, best in zip(rows, front, strict=True))


def usual_axis(rows: Sequence[SweepRow]) -> Axis:
    """Return what recipes make smaller."""
    measured = [(row.recipe.steps, row.measured.macs) for row in rows if row.measured and row.recipe]
    kinds = {step.granularity or find_method(step.method).removes for steps, _ in measured for step in steps}
    if not kinds.isdisjoint(_COUPLED) and all(macs is not None for _, macs in measured):
        return "macs"
    return "sparsity" if kinds.isdisjoint(("token", *_COUPLED)) else "bytes"


def _point(one: Measured | None, axis: Axis) -> Point:
    if one is None:
        return math.nan, math.nan
    quality = number(one.quality.value) * (1 if one.better == "higher" else -1)
    return -one.sparsity if axis == "sparsity" else number(getattr(one, axis)), quality


def number(value: float | None) -> float:
    """Return a number, NaN for none."""
    return math.nan if value is None else value


def on_front(points: Sequence[Point]) -> list[bool]:
    """Tell which points are on the front: no other is at least as cheap and as good, and better in one of the two."""
    best, front = -math.inf, set[Point]()
    known = {point for point in points if not any(map(math.isnan, point))}
    for cost, quality in sorted(known, key=lambda point: (point[0], -point[1])):
        if quality > best:
            best = quality
            front.add((cost, quality))
    return [point in front for point in points]

"""How much a recipe would remove: exact where counts decide it, a range where steps overlap. Reads no weight."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from torch import nn

from ..errors import RecipeError
from ..model.targets import Target
from ..recipe import Recipe, Step
from .plan import Plan, plan

Range = tuple[int, int]


@dataclass(frozen=True)
class StepPreview:
    """What one step would do."""

    step: Step
    targets: tuple[str, ...]
    """Names of the tensors that match, tied ones once."""
    weights: int
    """Entries in those tensors."""
    removed: Range
    """The least and the most entries that would go; equal where the count is certain."""


@dataclass(frozen=True)
class Preview:
    """What a recipe would do, step by step."""

    steps: tuple[StepPreview, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "steps": [
                asdict(step) | {"step": step.step.model_dump(mode="json", exclude_defaults=True)} for step in self.steps
            ]
        }


class _Life:
    """What may be alive in one tensor."""

    def __init__(self, target: Target) -> None:
        self.shape = tuple(target.parameter.shape)
        size = target.parameter.numel()
        self.alive: Range = (size, size)
        self.slices: list[int] | None = list(self.shape)
        """Living slices along each axis, while only whole slices have gone; None once single entries have."""

    def slice_size(self, dim: int) -> int:
        return math.prod(self.shape) // max(1, self.shape[dim])

    def living_slices(self, dim: int) -> Range:
        if self.slices is not None:
            return self.slices[dim], self.slices[dim]
        return math.ceil(self.alive[0] / self.slice_size(dim)), min(self.shape[dim], self.alive[1])

    def lose_entries(self, low: int, high: int) -> None:
        """Somewhere from `low` to `high` entries go, nobody knows which."""
        self.alive = (max(0, self.alive[0] - high), max(0, self.alive[1] - low))
        if high:
            self.slices = None

    def lose_slices(self, dim: int, count: Range) -> Range:
        """Whole slices go; returns how many entries that takes."""
        if self.slices is not None:
            gone = count[0] * self.alive[0] // max(1, self.slices[dim])
            self.slices[dim] -= count[0]
            self.alive = (self.alive[0] - gone, self.alive[1] - gone)
            return gone, gone
        size = self.slice_size(dim)
        left = self.living_slices(dim)[1] - count[0]
        high = min(count[1] * size, self.alive[1])
        low = min(high, max(count[0], self.alive[0] - left * size))
        self.lose_entries(low, high)
        return low, high


def foresee(model: nn.Module, recipe: Recipe, missing: frozenset[str] = frozenset()) -> Preview:
    """Check a recipe against a model, on the meta device too, and say what each step would remove.

    Pure; reads no weight and counts nothing as pruned before the first step. Raises RecipeError.
    """
    lives: dict[str, _Life] = {}
    totals: dict[frozenset[str], Range] = {}
    seen = []
    for made in plan(model, recipe, missing):
        for target in made.targets:
            lives.setdefault(target.name, _Life(target))
        names = frozenset(target.name for target in made.targets)
        own = [lives[target.name] for target in made.targets]
        alive = totals.get(names) or (sum(life.alive[0] for life in own), sum(life.alive[1] for life in own))
        removed = _foresee(made, own, alive)
        totals = {others: total for others, total in totals.items() if others.isdisjoint(names)}
        totals[names] = (alive[0] - removed[1], alive[1] - removed[0])
        weights = sum(target.parameter.numel() for target in made.targets)
        seen.append(StepPreview(made.step, tuple(target.name for target in made.targets), weights, removed))
    return Preview(tuple(seen))


def _foresee(made: Plan, lives: Sequence[_Life], alive: Range) -> Range:
    if made.method.decides_itself:
        return _whatever(lives)
    rule = {
        ("element", "local"): _local_entries,
        ("element", "global"): _global_entries,
        ("slice", "local"): _local_slices,
        ("slice", "global"): _global_slices,
    }[made.method.removes, made.step.scope]
    return rule(made, lives, alive)


def _whatever(lives: Sequence[_Life]) -> Range:
    """A class of the user's own decides by itself."""
    most = sum(life.alive[1] for life in lives)
    for life in lives:
        life.lose_entries(0, life.alive[1])
    return 0, most


def _amounts(step: Step, alive: Range, of: str) -> Range:
    if step.count is not None and step.count > alive[1]:
        raise RecipeError(f"{step.method}: {step.count:,} were to go, but only {alive[1]:,} {of} can be alive")
    return step.amount_of(alive[0]), step.amount_of(alive[1])


def _local_entries(made: Plan, lives: Sequence[_Life], alive: Range) -> Range:
    low = high = 0
    for life in lives:
        amounts = _amounts(made.step, life.alive, "entries")
        before = life.alive
        life.lose_entries(*amounts)
        # What a fraction leaves grows with what was there, so the ends of the range stay with each other.
        life.alive = (max(0, before[0] - amounts[0]), before[1] - amounts[1])
        low, high = low + amounts[0], high + amounts[1]
    if made.step.fraction is not None:  # the tensors' own ranges may be wide where their sum is certain
        rounding = len(lives) / 2
        low = max(low, math.floor(made.step.fraction * alive[0] - rounding))
        high = min(high, math.ceil(made.step.fraction * alive[1] + rounding))
    return low, high


def _global_entries(made: Plan, lives: Sequence[_Life], alive: Range) -> Range:
    low, high = _amounts(made.step, alive, "entries")
    for life in lives:
        life.lose_entries(0, min(high, life.alive[1]))
    return low, high


def _local_slices(made: Plan, lives: Sequence[_Life], _: Range) -> Range:
    dim = made.options["dim"]
    gone = [
        life.lose_slices(dim, _amounts(made.step, life.living_slices(dim), f"slices along dim {dim}")) for life in lives
    ]
    return sum(low for low, _ in gone), sum(high for _, high in gone)


def _global_slices(made: Plan, lives: Sequence[_Life], alive: Range) -> Range:
    dim = made.options["dim"]
    living = [life.living_slices(dim) for life in lives]
    total = (sum(low for low, _ in living), sum(high for _, high in living))
    low, high = _amounts(made.step, total, f"slices along dim {dim}")
    sizes = [
        life.alive[1] // max(1, many[1]) if life.slices is not None else 1
        for life, many in zip(lives, living, strict=True)
    ]
    largest = [life.slice_size(dim) for life in lives]
    least = _cheapest(low, sizes, [many[1] for many in living])
    most = -_cheapest(high, [-size for size in largest], [many[1] for many in living])
    for life, many in zip(lives, living, strict=True):
        life.lose_entries(0, min(high, many[1]) * life.slice_size(dim))
    return least, min(most, alive[1])


def _cheapest(slices: int, sizes: Sequence[int], numbers: Sequence[int]) -> int:
    """Sum the entries of that many slices, the smallest first."""
    total = 0
    for size, number in sorted(zip(sizes, numbers, strict=True)):
        taken = min(slices, number)
        total, slices = total + taken * size, slices - taken
    return total

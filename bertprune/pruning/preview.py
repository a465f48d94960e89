"""How much a recipe would prune: exact where counts decide it, a range where steps overlap. Reads no weight."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from ..checkpoint.irregular import Loads
from ..model.cuts import Cut, without
from ..recipe import Recipe
from ..step import Step
from .bounds import Bounds, Ledger, Range
from .granularity import LayerUnit, Unit
from .shapes import small_loads
from .steps import MatchedStep, match_steps, naming_step


@dataclass(frozen=True)
class StepPreview:
    """What one step would do."""

    step: Step
    targets: tuple[str, ...]
    """Names of the tensors that match, tied ones once."""
    weights: int
    """Entries in those tensors."""
    removed: Range
    """The least and the most entries that would be pruned; equal where the count is certain."""
    needs_texts: bool = False
    """Whether pruning needs calibration texts."""

    def __str__(self) -> str:
        tensors = "1 tensor" if len(self.targets) == 1 else f"{len(self.targets):,} tensors"
        pruned = " to ".join(f"{bound:,}" for bound in dict.fromkeys(self.removed))
        needs = "; needs calibration texts" if self.needs_texts else ""
        return f"{self.step}: {pruned} of {self.weights:,} weights in {tensors}{needs}"


@dataclass(frozen=True)
class Preview:
    """What a recipe would do, step by step."""

    steps: tuple[StepPreview, ...]
    loads: Loads | None = None
    """What would load a small export: "plain" for transformers alone, "bertprune" for that package beside it; None
    where the family is not known, or where a step prunes whole rows, columns or tensors that neurons and heads are part
    of, so that only the values tell. In global scope, layers are expected to lose unequal numbers of neurons."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "steps": [
                asdict(step) | {"step": step.step.model_dump(mode="json", exclude_defaults=True)} for step in self.steps
            ],
            "loads": self.loads,
        }

    def __str__(self) -> str:
        return "\n".join(f"{number}. {step}" for number, step in enumerate(self.steps, 1))


def preview_recipe(model: nn.Module, recipe: Recipe, missing: frozenset[str] = frozenset()) -> Preview:
    """Check a recipe against a model, on the meta device too, and bound what each step would prune.

    Pure; reads no weight, only the masks of a model that is pruned already. Raises RecipeError.
    """
    bounds, previews, open_cuts = _Known(), list[StepPreview](), _OpenCuts()
    steps = match_steps(model, recipe, missing)
    for number in range(len(steps)):
        matched = steps[number]
        units, is_certain = open_cuts.units(matched, bounds.ledger)
        with naming_step(recipe, number + 1):
            removed = bounds.remove(matched, units)
            if gone := open_cuts.add(matched):
                model = without(model, gone)
                steps[number + 1 :] = match_steps(model, recipe, missing, done=number + 1)
                bounds = _Known() if gone.tokens else bounds
        names = tuple(target.label for target in matched.targets)
        weights = sum(math.prod(target.shape) for unit in units for target in unit.targets)
        removed = removed if is_certain else (0, removed[1])
        previews.append(StepPreview(matched.step, names, weights, removed, matched.needs_texts))
    return Preview(tuple(previews), small_loads(model, steps))


class _Known:
    """What is known of every tensor from step to step."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self._totals: dict[frozenset[tuple[str, str | None]], Range] = {}
        """Entries alive in the tensors of a step together: tighter bounds than the sum of the tensors' own."""

    def remove(self, matched: MatchedStep, chosen: Sequence[Unit]) -> Range:
        """Return the least and the most entries that a step removes of units, and take them from the bounds."""
        units = [[self.ledger.of(target) for target in unit.targets] for unit in chosen]
        targets = [target for unit in chosen for target in unit.targets]
        tensors = [tensor for unit in units for tensor in unit]
        together = frozenset((target.name, target.role) for target in targets)
        alive = self._totals.get(together) or (sum(b.alive[0] for b in tensors), sum(b.alive[1] for b in tensors))
        if matched.method.makes_masks:
            removed = _anything(tensors)
        else:
            removed = matched.scope.preview(matched.step, matched.granularity, chosen, units, alive)
        touched = {target.name for target in targets}
        kept = {others: total for others, total in self._totals.items() if touched.isdisjoint(n for n, _ in others)}
        self._totals = kept | {together: (alive[0] - removed[1], alive[1] - removed[0])}
        return removed


def _anything(tensors: list[Bounds]) -> Range:
    """A user's own torch class may prune nothing or everything."""
    most = sum(bounds.alive[1] for bounds in tensors)
    for bounds in tensors:
        bounds.lose_entries(0, bounds.alive[1])
    return 0, most


class _OpenCuts:
    """The layers of which the steps so far remove some, where texts will say which; and those assumed to be gone.

    Layers are alike, so that it does not matter for a step over all of them which are gone. Of any other step only the
    most that it can remove is known.
    """

    def __init__(self) -> None:
        """Start with nothing gone."""
        self._among: dict[str, int] = {}
        """By the name of a tensor, the layer that it is part of and that may be gone."""
        self._gone: frozenset[int] = frozenset()

    def add(self, matched: MatchedStep) -> Cut:
        """Add a step that takes something out; return what is certain to go: of tokens, the last ones are assumed."""
        unit = matched.units[0]
        if matched.removes_tokens:
            return self._tokens(matched)
        if not isinstance(unit, LayerUnit):
            return Cut()
        there = [number for number in unit.members if number not in self._gone]
        amount = min(matched.step.amount_of(len(there)), len(there))
        if amount == len(unit.members):
            return Cut(tuple(unit.members))
        if amount:
            self._among |= {one.name: number for number in there for one in unit.members[number]}
            self._gone |= frozenset(there[len(there) - amount :])
        return Cut()

    @staticmethod
    def _tokens(matched: MatchedStep) -> Cut:
        size = len(matched.targets[0].parameter)
        left = size - matched.step.amount_of(size)
        return Cut(tokens=Cut.packed(torch.arange(left))) if 0 < left < size else Cut()

    def units(self, matched: MatchedStep, ledger: Ledger) -> tuple[Sequence[Unit], bool]:
        """Return the units of a step that are assumed to be alive, and whether their number and sizes are certain."""
        if not self._among:
            return matched.units, True
        touched: dict[int, list[tuple[int, int]]] = {}
        for target in matched.targets:
            if (layer := self._among.get(target.name)) is not None:
                touched.setdefault(layer, []).append(ledger.of(target).alive)
        if not touched:
            return matched.units, True
        if (
            matched.removes_layers
            or touched.keys() != set(self._among.values())
            or len(set(map(tuple, touched.values()))) > 1
        ):
            return matched.units, False
        alive = [unit for unit in matched.units if self._among.get(unit.targets[0].name) not in self._gone]
        return alive, True

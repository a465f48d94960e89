"""How much a recipe would prune: exact where counts decide it, a range where steps overlap. Reads no weight."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from torch import nn

from ..checkpoint.irregular import Loads
from ..recipe import Recipe
from ..step import Step
from .bounds import Bounds, Ledger, Range
from .shapes import small_loads
from .steps import match_steps, naming_step


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


@dataclass(frozen=True)
class Preview:
    """What a recipe would do, step by step."""

    steps: tuple[StepPreview, ...]
    loads: Loads | None = None
    """What would load a small export: "plain" for transformers alone, "bertprune" for that package beside it; None
    where the family is not known. In global scope, layers are expected to lose unequal numbers of neurons."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "steps": [
                asdict(step) | {"step": step.step.model_dump(mode="json", exclude_defaults=True)} for step in self.steps
            ],
            "loads": self.loads,
        }


def preview_recipe(model: nn.Module, recipe: Recipe, missing: frozenset[str] = frozenset()) -> Preview:
    """Check a recipe against a model, on the meta device too, and bound what each step would prune.

    Pure; reads no weight, only the masks of a model that is pruned already. Raises RecipeError.
    """
    bounds = Ledger()
    totals: dict[frozenset[tuple[str, str | None]], Range] = {}
    """Entries alive in the tensors of a step together: tighter bounds than the sum of the tensors' own."""
    previews = []
    all_matched = match_steps(model, recipe, missing)
    for number, matched in enumerate(all_matched, start=1):
        names = tuple(target.label for target in matched.targets)
        units = [[bounds.of(target) for target in unit.targets] for unit in matched.units]
        tensors = [tensor for unit in units for tensor in unit]
        together = frozenset((target.name, target.role) for target in matched.targets)
        alive = totals.get(together) or (sum(b.alive[0] for b in tensors), sum(b.alive[1] for b in tensors))
        if matched.method.makes_masks:
            removed = _anything(tensors)
        else:
            with naming_step(recipe, number):
                removed = matched.scope.preview(matched.step, matched.granularity, matched.units, units, alive)
        touched = {target.name for target in matched.targets}
        totals = {others: total for others, total in totals.items() if touched.isdisjoint(name for name, _ in others)}
        totals[together] = (alive[0] - removed[1], alive[1] - removed[0])
        weights = sum(math.prod(target.shape) for target in matched.targets)
        previews.append(StepPreview(matched.step, names, weights, removed, matched.needs_texts))
    return Preview(tuple(previews), small_loads(model, all_matched))


def _anything(tensors: list[Bounds]) -> Range:
    """A user's own torch class may prune nothing or everything."""
    most = sum(bounds.alive[1] for bounds in tensors)
    for bounds in tensors:
        bounds.lose_entries(0, bounds.alive[1])
    return 0, most

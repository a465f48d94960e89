"""Bring a recipe together with a model, and find out whether it is sound, before any weight is read."""

from dataclasses import dataclass
from typing import Any

from torch import nn

from ..errors import RecipeError
from ..model.targets import MAX_ALTERNATIVES, Target, alternatives, find_targets
from ..recipe import Recipe, Step
from ..scores import Method, named


@dataclass(frozen=True)
class Plan:
    """A step that has been brought together with a model and found sound."""

    step: Step
    method: Method
    options: dict[str, Any]
    targets: tuple[Target, ...]


def plan(model: nn.Module, recipe: Recipe, missing: frozenset[str] = frozenset()) -> list[Plan]:
    """Check every step against the model: names, options, selections, shapes. Reads no weight.

    Pure. Raises RecipeError, naming the step where there are several.
    """
    _refuse_many_globs(recipe)
    plans = []
    for number, step in enumerate(recipe.steps, start=1):
        try:
            method = named(step.method)
            made = Plan(step, method, method.checked(step), find_targets(model, step.select, missing))
            _check_shapes(made)
        except RecipeError as error:
            where = f"step {number}: " if len(recipe.steps) > 1 else ""
            raise type(error)(f"{where}{error}") from None
        plans.append(made)
    return plans


def _refuse_many_globs(recipe: Recipe) -> None:
    """Refuse what would take minutes although each step by itself takes a second."""
    left = MAX_ALTERNATIVES
    for step in recipe.steps:
        left -= alternatives(step.select)
        if left < 0:
            raise RecipeError(f"the globs of all steps stand for more than {MAX_ALTERNATIVES:,} in all")


def amount(step: Step, alive: int, where: str) -> int:
    """Return how many a step removes of those that are alive `where`. Raises RecipeError where there are not enough."""
    wanted = step.amount_of(alive)
    if wanted > alive:
        raise RecipeError(f"{step.method}: {wanted:,} were to go, but only {alive:,} are alive in {where}")
    return wanted


def _check_shapes(made: Plan) -> None:
    """Refuse slices of vectors, and axes that a tensor does not have."""
    if made.method.removes == "element":
        return
    for target in made.targets:
        dims, dim = target.parameter.dim(), made.options.get("dim", 0)
        if dims < 2:
            raise RecipeError(f"{made.method.name}: {target.name} has no slices, it is a vector")
        if not -dims <= dim < dims:
            raise RecipeError(f"{made.method.name}: dim {dim} is out of range for {target.name} with {dims} dimensions")

"""Match the steps of a recipe with a model, and refuse what cannot run before any weight is read."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from ..errors import RecipeError
from ..model.globs import MAX_GLOBS, count_globs
from ..model.targets import Target, find_targets
from ..recipe import Recipe
from ..scores import Method, find_method
from ..step import Step
from .granularity import GRANULARITIES, Granularity
from .scope import SCOPES, Scope


@dataclass(frozen=True)
class MatchedStep:
    """A step whose names, options and selection fit a model: score × granularity × scope, on its targets."""

    step: Step
    method: Method
    """The score."""
    options: dict[str, Any]
    """The method's options, defaults filled in."""
    granularity: Granularity
    scope: Scope
    targets: tuple[Target, ...]


def match_steps(model: nn.Module, recipe: Recipe, missing: frozenset[str] = frozenset()) -> list[MatchedStep]:
    """Check every step against the model: names, options, selections, shapes. Reads no weight.

    `missing` names parameters that the checkpoint lacks. Raises RecipeError, naming the step where there are several.
    """
    _refuse_many_globs(recipe.steps)
    matched = []
    for number, step in enumerate(recipe.steps, start=1):
        try:
            matched.append(_match(model, step, missing))
        except RecipeError as error:
            if len(recipe.steps) == 1:
                raise
            raise error.within("step {number}: {error}", code="recipe.step", number=number) from None
    return matched


def _match(model: nn.Module, step: Step, missing: frozenset[str]) -> MatchedStep:
    method = find_method(step.method)
    options = method.check_options(step)
    granularity = GRANULARITIES[method.removes](options)
    targets = find_targets(model, step.select, missing)
    for target in targets:
        granularity.check(method.name, target)
    return MatchedStep(step, method, options, granularity, SCOPES[step.scope], targets)


def _refuse_many_globs(steps: Sequence[Step]) -> None:
    """Refuse recipes whose globs expand too far together, although each step alone is within the limit."""
    if sum(count_globs(step.select) for step in steps) > MAX_GLOBS:
        raise RecipeError(
            "the braces in the globs of all steps expand to more than {most:,} globs; write fewer",
            code="recipe.too_many_globs", most=MAX_GLOBS,
        )  # fmt: skip

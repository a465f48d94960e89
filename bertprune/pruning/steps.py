"""Match the steps of a recipe with a model, and refuse what cannot run before any weight is read."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, get_args

import torch
from torch import nn

from ..errors import RecipeError, SelectionError, shown
from ..model.globs import MAX_GLOBS, count_globs
from ..model.hooks import MaskDtype
from ..model.targets import Owner, Target
from ..recipe import Recipe
from ..scores import Method, find_method, make_hook
from ..step import Kind, Step, parse_granularity
from .granularity import GRANULARITIES, Granularity, LayerUnit, Unit
from .scope import PATTERN, SCOPES, Scope


@dataclass(frozen=True)
class MatchedStep:
    """A step whose names, options and selection fit a model: score × granularity × scope, on its targets."""

    step: Step
    method: Method
    """The score."""
    options: dict[str, Any]
    """The method's options, defaults filled in."""
    kind: Kind
    """The kind of the granularity."""
    granularity: Granularity
    scope: Scope
    units: tuple[Unit, ...]

    @property
    def needs_texts(self) -> bool:
        """Whether the step reads calibration texts."""
        if self.removes_layers:
            unit = self.units[0]
            return isinstance(unit, LayerUnit) and 0 < self.step.amount_of(len(unit.members)) < len(unit.members)
        return self.method.needs_texts or self.step.reconstruct

    @property
    def removes_layers(self) -> bool:
        """Whether the step takes whole layers out of the model."""
        return self.kind == "layer"

    @property
    def removes_tokens(self) -> bool:
        """Whether the step takes tokens out of the model and its tokenizer."""
        return self.kind == "token"

    @property
    def cuts(self) -> bool:
        """Whether the step takes something out, which the steps after it no longer see, rather than mask it."""
        return self.removes_layers or self.removes_tokens

    @property
    def targets(self) -> tuple[Target, ...]:
        """The tensors of all units."""
        return tuple(target for unit in self.units for target in unit.targets)


def check_seed(seed: Any) -> None:
    """Refuse what is not a seed. Raises RecipeError."""
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**63:
        raise RecipeError("a seed is an integer from 0 to 2^63 - 1, not {seed}", code="recipe.seed", seed=shown(seed))


def check_mask_dtype(name: Any) -> None:
    """Refuse an unknown dtype of masks. Raises RecipeError."""
    if not (isinstance(name, str) and name in get_args(MaskDtype)):
        raise RecipeError(
            "mask_dtype must be {known}, not {given}",
            code="recipe.mask_dtype", known=" or ".join(get_args(MaskDtype)), given=shown(name),
        )  # fmt: skip


def match_steps(
    model: nn.Module, recipe: Recipe, missing: frozenset[str] = frozenset(), done: int = 0
) -> list[MatchedStep]:
    """Check every step against the model, after those that are `done`: names, options, selections, shapes.

    `missing` names parameters that the checkpoint lacks. Reads no weight. Raises RecipeError, naming the step where
    there are several.
    """
    _refuse_many_globs(recipe.steps)
    matched = []
    for number, step in enumerate(recipe.steps[done:], start=done + 1):
        with naming_step(recipe, number):
            matched.append(_match(model, step, missing))
    return matched


@contextmanager
def naming_step(recipe: Recipe, number: int) -> Iterator[None]:
    """Say in an error from inside in which of several steps it happened. Raises RecipeError."""
    try:
        yield
    except RecipeError as error:
        if len(recipe.steps) == 1:
            raise
        raise error.within("step {step}", code="place.step", step=number) from error.__cause__


def _match(model: nn.Module, step: Step, missing: frozenset[str]) -> MatchedStep:
    method = find_method(step.method)
    options = method.check_options(step)
    kind, numbers = _granularity_of(step, method)
    _check_combination(step, method, kind)
    granularity = GRANULARITIES[kind](options, *numbers)
    units = tuple(granularity.units(method.name, model, step.select, missing))
    scope = PATTERN if kind == "pattern" else SCOPES[step.scope]
    matched = MatchedStep(step, method, options, kind, granularity, scope, units)
    for target in matched.targets:
        _refuse_no_floats(target)
    if isinstance(units[0], LayerUnit):
        (amount,) = scope.amounts(step, [granularity.groups(units[0], [], [])], units)
        units[0].check(step, int(amount))
    elif matched.needs_texts and not matched.cuts:
        for unit in units:
            check_linear(unit.targets[0], method.name)
    if method.makes_masks:
        make_hook(method, matched.targets[0].label, step, options)
    if method.built_in and kind == "slice" and step.options and not method.draws:
        _try_on_shapes(matched)
    return matched


def _granularity_of(step: Step, method: Method) -> tuple[Kind, tuple[int, ...]]:
    """Return what a step prunes together. Raises RecipeError where its method cannot."""
    given = None if step.granularity is None else parse_granularity(step.granularity)
    kind, numbers = given or (method.granularities[0], ())
    if kind not in method.granularities:
        raise RecipeError(
            "{method} does not prune by {granularity}; it prunes by {known}",
            code="method.granularity", method=method.name, granularity=step.granularity,
            known=", ".join(method.granularities),
        )  # fmt: skip
    if given is None and kind in ("pattern", "block"):
        raise RecipeError(
            "{method} prunes by {kind}: say by which, such as granularity: {example}",
            code="method.which_granularity", method=method.name, kind=kind,
            example="2:4" if kind == "pattern" else "block:4x4",
        )  # fmt: skip
    return kind, numbers


def _check_combination(step: Step, method: Method, kind: Kind) -> None:
    """Refuse a scope or a reconstruction that has no meaning with a granularity. Raises RecipeError."""
    scopes = method.scopes_by(kind)
    if step.scope not in scopes:
        raise RecipeError(
            "scope {scope} has no meaning with granularity {granularity}; it has {known}",
            code="recipe.scope_of_granularity", scope=step.scope, granularity=step.granularity or kind,
            known=", ".join(scopes),
        )  # fmt: skip
    if step.reconstruct and not method.reconstructs(kind):
        raise RecipeError(
            "{method} by {granularity} cannot be reconstructed: nothing that stays could make up for it",
            code="recipe.reconstruct", method=method.name, granularity=step.granularity or kind,
        )  # fmt: skip


def check_linear(target: Target, method: str) -> None:
    """Refuse a tensor that is not the weight of a linear layer: only that has inputs. Raises SelectionError."""
    if linear_owner(target) is None:
        raise SelectionError(
            "{method} needs the inputs of a linear layer, and {tensor} has none; leave it out of the selection",
            code="calibration.not_linear", method=method, tensor=target.label,
        )  # fmt: skip


def linear_owner(target: Target) -> Owner | None:
    """Return the linear layer of which a target is the weight; None where it is none's."""
    owners = (owner for owner in target.owners if owner.tensor == "weight" and isinstance(owner.module, nn.Linear))
    return next(owners, None)


def _refuse_no_floats(target: Target) -> None:
    values = target.parameter
    if values.layout != torch.strided:
        raise SelectionError(
            "{tensor} is stored as {layout}; only dense tensors can be pruned",
            code="prune.layout", tensor=target.label, layout=str(values.layout),
        )  # fmt: skip
    if not values.is_floating_point() or values.is_quantized or values.dtype.itemsize < 2:  # float8 has no arithmetic
        raise SelectionError(
            "{tensor} holds {dtype} values; only floating-point tensors of 16 bits or more can be pruned",
            code="prune.dtype", tensor=target.label, dtype=str(values.dtype),
        )  # fmt: skip


def _try_on_shapes(matched: MatchedStep) -> None:
    """Call a function of ours with shapes alone, one of each: some of torch's norms exist for some shapes only."""
    for target in {target.parameter.shape: target for target in reversed(matched.targets)}.values():
        empty = nn.Parameter(torch.empty_like(target.parameter, device="meta"), requires_grad=False)
        unit = Unit((replace(target, parameter=empty, mask=None),), "")
        groups = matched.granularity.groups(unit, [None], [empty.numel()])
        groups.scores(matched.method, matched.options, torch.Generator(), {})


def _refuse_many_globs(steps: Sequence[Step]) -> None:
    """Refuse recipes whose globs together expand to too many, although each step alone is within the limit."""
    if sum(count_globs(step.select) for step in steps) > MAX_GLOBS:
        raise RecipeError(
            "the braces in the globs of all steps expand to more than {most:,} globs; write fewer",
            code="recipe.too_many_globs", most=MAX_GLOBS,
        )  # fmt: skip

"""Decide what a recipe prunes: compute its masks without changing the model."""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import NoEffectWarning, SelectionError
from ..model.targets import Target
from ..parallel import Progress, choose_map, silent
from ..recipe import Recipe
from ..scores import Method, make_mask
from ..step import Step
from .granularity import Groups
from .rank import TensorScores, count_true
from .steps import MatchedStep, check_seed, match_steps, naming_step


@dataclass(frozen=True, slots=True)
class TensorOutcome:
    """What one step did to one tensor, in entries, and in slices where the method removes slices."""

    name: str
    size: int
    alive_before: int
    removed: int
    slices_before: int | None = None
    slices_removed: int | None = None


@dataclass(frozen=True)
class StepOutcome:
    """What one step did."""

    step: Step
    tensors: tuple[TensorOutcome, ...]
    method: Method
    """The method as it was when the step ran: another one may be registered under its name since."""

    @property
    def alive_before(self) -> int:
        """Count the entries that were alive in the step's tensors."""
        return sum(tensor.alive_before for tensor in self.tensors)

    @property
    def removed(self) -> int:
        """Count the entries that the step removed."""
        return sum(tensor.removed for tensor in self.tensors)


@dataclass(eq=False)
class Decision:
    """The masks that a recipe makes, and the steps that made them."""

    outcomes: list[StepOutcome] = field(default_factory=list)
    targets: dict[str, Target] = field(default_factory=dict)
    """Every tensor that a step touched, by name."""
    masks: dict[str, Tensor] = field(default_factory=dict)
    """What is left alive of each: bool, the tensor's shape."""
    history: dict[str, list[Step]] = field(default_factory=dict)
    """The steps that touched each, in order."""


def decide(
    model: nn.Module,
    recipe: Recipe,
    seed: int = 0,
    missing: frozenset[str] = frozenset(),
    progress: Progress = silent,
) -> Decision:
    """Compute the masks of a recipe on a model, from one generator, step by step.

    Pure: neither the model nor the global random state is touched. Raises RecipeError.
    """
    check_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    steps = match_steps(model, recipe, missing)
    _refuse_unprunable({target.name: target.parameter for step in steps for target in step.targets})
    decision = Decision()
    for number, matched in enumerate(steps):
        progress(number / len(steps), str(matched.step))
        for name in dict.fromkeys(target.name for target in matched.targets):
            decision.history.setdefault(name, []).append(matched.step)
        for target in matched.targets:
            decision.targets[target.name] = target
            if target.mask is not None and target.name not in decision.masks:
                decision.masks[target.name] = target.mask != 0
        with naming_step(recipe, number + 1):
            decision.outcomes.append(_run(matched, decision.masks, generator))
    progress(1.0, "masks computed")
    return decision


def _run(matched: MatchedStep, masks: dict[str, Tensor], generator: torch.Generator) -> StepOutcome:
    """Run one step, score × granularity × scope, and replace its targets' masks in `masks`."""
    before = _count_alive(matched.targets, masks)
    slices: Sequence[tuple[int, int] | tuple[()]] = [()] * len(before)
    if matched.method.makes_masks:
        useful = _mask_by_torch_class(matched, masks, generator)
    else:
        useful, counted = _mask_by_scores(matched, before, masks, generator)
        slices = slices if matched.granularity.single else counted
    after = _count_alive(matched.targets, masks)
    results = zip(matched.targets, before, after, slices, strict=True)
    outcome = StepOutcome(
        matched.step,
        tuple(TensorOutcome(t.name, math.prod(t.shape), n, n - left, *counts) for t, n, left, counts in results),
        matched.method,
    )
    if not useful:
        warnings.warn(_no_effect(outcome), stacklevel=2)
    return outcome


def _no_effect(outcome: StepOutcome) -> NoEffectWarning:
    """Return the warning for a step that changes no output: it removes nothing, or only what is zero already."""
    if outcome.removed == 0:
        return NoEffectWarning("{step} pruned nothing", code="prune.no_effect", step=str(outcome.step))
    return NoEffectWarning(
        "{step} pruned only values that are zero already", code="prune.only_zeros", step=str(outcome.step)
    )


def _mask_by_scores(
    matched: MatchedStep, before: Sequence[int], masks: dict[str, Tensor], generator: torch.Generator
) -> tuple[bool, list[tuple[int, int]]]:
    """Replace masks by ranking scores.

    Return whether that removes a value that is not zero; and, by tensor, how many groups were alive and are removed.
    """
    counts = iter(before)
    groups = [
        matched.granularity.groups(
            unit, [_current(t, masks) for t in unit.targets], [next(counts) for _ in unit.targets]
        )
        for unit in matched.units
    ]
    amounts = matched.scope.amounts(matched.step, groups, matched.units)
    scores = (_score(matched, generator, *pair) for pair in zip(groups, amounts, strict=True))
    kept = matched.scope.keep(groups, scores, amounts)
    useful, slices = False, []
    for unit, group, keep in zip(matched.units, groups, kept, strict=True):
        for target, mask in zip(unit.targets, group.masks(keep), strict=True):
            useful |= _replace(target, mask, masks, useful)
            slices.append((group.alive, group.alive - count_true(keep)))
    return useful, slices


def _score(matched: MatchedStep, generator: torch.Generator, group: Groups, pruned: int) -> TensorScores:
    if matched.method.draws and not pruned:  # torch draws no random numbers where nothing is pruned
        return group.unscored()
    return group.scores(matched.method, matched.options, generator)


def _mask_by_torch_class(matched: MatchedStep, masks: dict[str, Tensor], generator: torch.Generator) -> bool:
    """Let a subclass of torch's BasePruningMethod make the masks, as torch's PruningContainer does.

    Return whether that removes a value that is not zero.
    """
    useful = False
    seed = int(torch.randint(2**62, (), generator=generator))
    for target in matched.targets:
        weight = target.parameter.detach()
        mask = _current(target, masks)
        old = torch.ones_like(weight, dtype=torch.bool) if mask is None else mask
        new = make_mask(matched.method, target.label, matched.step, matched.options, weight, old, seed)
        useful |= _replace(target, new, masks, useful)
    return useful


def _count_alive(targets: Sequence[Target], masks: Mapping[str, Tensor]) -> list[int]:
    def count(target: Target) -> int:
        mask = _current(target, masks) if target.name in masks else None
        return math.prod(target.shape) if mask is None else count_true(mask)

    sizes = (mask.numel() for target in targets if (mask := masks.get(target.name)) is not None)
    return choose_map(sizes)(count, targets)


def _current(target: Target, masks: Mapping[str, Tensor]) -> Tensor | None:
    """Return what a step may prune of a tensor: what is alive, in the rows that are meant; None for everything."""
    mask, rows = masks.get(target.name), target.row_mask()
    if rows is None:
        return mask
    return rows.expand(target.parameter.shape).contiguous() if mask is None else mask & rows


def _replace(target: Target, mask: Tensor, masks: dict[str, Tensor], known_useful: bool) -> bool:
    """Put a step's mask, which keeps nothing outside the rows that are meant, in the place of the one before.

    Return whether that removes a value that is not zero, which is not looked up where it is known of the step.
    """
    rows, old = target.row_mask(), masks.get(target.name)
    if rows is not None:
        mask = mask | (~rows if old is None else old & ~rows)
    masks[target.name] = mask
    return known_useful or _loses_values(target, old, mask)


def _loses_values(target: Target, old: Tensor | None, new: Tensor) -> bool:
    lost = ~new if old is None else old & ~new
    return bool((lost & (target.parameter.detach() != 0)).any())


def _refuse_unprunable(tensors: Mapping[str, Tensor]) -> None:
    for name, values in tensors.items():
        if values.is_meta:
            raise SelectionError(
                "{tensor} is on the meta device and has no values to prune; load the weights first",
                code="prune.meta", tensor=name,
            )  # fmt: skip
    finite = choose_map(values.numel() for values in tensors.values())(_is_finite, tensors.values())
    for name, is_finite in zip(tensors, finite, strict=True):
        if not is_finite:
            raise SelectionError(
                "{tensor} holds NaN or infinite values; repair the checkpoint before pruning it",
                code="prune.not_finite", tensor=name,
            )  # fmt: skip


def _is_finite(values: Tensor) -> bool:
    """Check the sum of a tensor; where that is not finite, which large values can cause, check its extremes."""
    values = values.detach()
    if values.dtype in (torch.float32, torch.float64):
        with np.errstate(all="ignore"):
            if math.isfinite(values.numpy(force=True).sum()):
                return True
    return not values.numel() or all(map(math.isfinite, values.aminmax()))

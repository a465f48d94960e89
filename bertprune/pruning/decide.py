"""Decide what a recipe prunes: compute its masks without changing the model."""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.prune import PruningContainer

from ..errors import NoEffectWarning, RecipeError, SelectionError
from ..model.targets import Target
from ..parallel import Progress, choose_map, silent
from ..recipe import Recipe
from ..seeded import Seeded
from ..step import Step
from .granularity import Groups
from .rank import TensorScores, count_true
from .steps import MatchedStep, match_steps


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
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**63:
        raise RecipeError("a seed is an integer from 0 to 2^63 - 1, not {seed!r}", code="recipe.seed", seed=seed)
    generator = torch.Generator().manual_seed(seed)
    steps = match_steps(model, recipe, missing)
    _refuse_unprunable({target.name: target.parameter for step in steps for target in step.targets})
    decision = Decision()
    for number, matched in enumerate(steps):
        progress(number / len(steps), str(matched.step))
        for target in matched.targets:
            decision.targets[target.name] = target
            decision.history.setdefault(target.name, []).append(matched.step)
            if target.mask is not None and target.name not in decision.masks:
                decision.masks[target.name] = target.mask != 0
        decision.outcomes.append(_run(matched, decision.masks, generator))
    progress(1.0, "masks computed")
    return decision


def _run(matched: MatchedStep, masks: dict[str, Tensor], generator: torch.Generator) -> StepOutcome:
    """Run one step, score × granularity × scope, and replace its targets' masks in `masks`."""
    targets, before = matched.targets, _count_alive(matched.targets, masks)
    slices: list[tuple[int, int] | tuple[()]] = [()] * len(targets)
    if matched.method.makes_masks:
        _mask_by_torch_class(matched, masks, generator)
    else:
        pairs = zip(targets, before, strict=True)
        groups = [matched.granularity.groups(target, masks.get(target.name), alive) for target, alive in pairs]
        kept = matched.scope.choose(matched.step, groups, partial(_score, matched, generator))
        for target, group, keep in zip(targets, groups, kept, strict=True):
            masks[target.name] = group.mask(keep)
        if not matched.granularity.single:
            counts = zip(groups, kept, strict=True)
            slices = [(group.alive, group.alive - count_true(keep)) for group, keep in counts]
    after = _count_alive(targets, masks)
    results = zip(targets, before, after, slices, strict=True)
    outcome = StepOutcome(
        matched.step,
        tuple(TensorOutcome(t.name, t.parameter.numel(), n, n - left, *counts) for t, n, left, counts in results),
    )
    if outcome.removed == 0:
        warning = NoEffectWarning("{step} pruned nothing", code="prune.no_effect", step=str(matched.step))
        warnings.warn(warning, stacklevel=2)
    return outcome


def _score(matched: MatchedStep, generator: torch.Generator, group: Groups, pruned: int) -> TensorScores:
    if matched.method.draws and not pruned:  # torch draws no random numbers where nothing is pruned
        return group.unscored()
    return group.scores(matched.method, matched.options, generator)


def _mask_by_torch_class(matched: MatchedStep, masks: dict[str, Tensor], generator: torch.Generator) -> None:
    """Let a subclass of torch's BasePruningMethod make the masks, as torch's PruningContainer does."""
    seed = int(torch.randint(2**62, (), generator=generator))
    for target in matched.targets:
        weight = target.parameter.detach()
        mask = masks.get(target.name)
        old = torch.ones_like(weight, dtype=torch.bool) if mask is None else mask
        hook = matched.method.rule(amount=matched.step.amount, **matched.options)
        hook._tensor_name = target.owners[0].tensor
        try:
            with Seeded(seed):
                new = PruningContainer(hook).compute_mask(weight * old, old)  # type: ignore[no-untyped-call]
        except (ValueError, TypeError, AttributeError, IndexError, AssertionError) as error:
            raise RecipeError(
                "{method}: {tensor}: {error}",
                code="method.failed_on", method=matched.method.name, tensor=target.name, error=str(error),
            ) from error  # fmt: skip
        masks[target.name] = (new != 0) & old


def _count_alive(targets: Sequence[Target], masks: Mapping[str, Tensor]) -> list[int]:
    def count(target: Target) -> int:
        return count_true(masks[target.name]) if target.name in masks else target.parameter.numel()

    sizes = (mask.numel() for target in targets if (mask := masks.get(target.name)) is not None)
    return choose_map(sizes)(count, targets)


def _refuse_unprunable(tensors: Mapping[str, Tensor]) -> None:
    for name, values in tensors.items():
        if values.is_meta:
            raise SelectionError(
                "{tensor} is on the meta device and has no values to prune; load the weights first",
                code="prune.meta", tensor=name,
            )  # fmt: skip
        if not values.is_floating_point() or values.is_quantized or values.layout != torch.strided:
            raise SelectionError(
                "{tensor} holds {dtype} values; only dense floating-point tensors can be pruned",
                code="prune.dtype", tensor=name, dtype=str(values.dtype),
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

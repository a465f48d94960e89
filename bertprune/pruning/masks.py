"""Decide what a recipe removes from a model: masks come out, nothing is changed."""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.prune import PruningContainer

from ..errors import NoEffectWarning, RecipeError, SelectionError
from ..model.targets import Target
from ..parallel import Progress, shared, silent
from ..recipe import Recipe, Step
from ..seeded import Seeded
from .elements import drop_elements
from .outcome import StepOutcome, TensorOutcome
from .plan import Plan, plan
from .scores import count_true
from .slices import drop_slices


@dataclass(eq=False)
class Decision:
    """The masks that a recipe makes, and how it came to them."""

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
    generator = torch.Generator().manual_seed(_checked_seed(seed))
    plans = plan(model, recipe, missing)
    _refuse_unprunable({target.name: target.parameter for made in plans for target in made.targets})
    decision = Decision()
    for number, made in enumerate(plans):
        progress(number / len(plans), str(made.step))
        for target in made.targets:
            decision.targets[target.name] = target
            decision.history.setdefault(target.name, []).append(made.step)
            if target.mask is not None and target.name not in decision.masks:
                decision.masks[target.name] = target.mask != 0
        decision.outcomes.append(_take(made, decision.masks, generator))
    progress(1.0, "masks are made")
    return decision


def _checked_seed(seed: int) -> int:
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**63:
        raise RecipeError(f"a seed is an integer from 0 to 2^63 - 1, not {seed!r}")
    return seed


def _refuse_unprunable(tensors: Mapping[str, Tensor]) -> None:
    for name, values in tensors.items():
        if values.is_meta:
            raise SelectionError(f"{name} is on the meta device: it has no values to prune")
        if not values.is_floating_point() or values.is_quantized or values.layout != torch.strided:
            raise SelectionError(f"{name} holds {values.dtype} values: only dense floating-point tensors are pruned")
    work = shared(values.numel() for values in tensors.values())
    for name, finite in zip(tensors, work(_is_finite, tensors.values()), strict=True):
        if not finite:
            raise SelectionError(f"{name} holds NaN or infinite values: mend the checkpoint before pruning it")


def _is_finite(values: Tensor) -> bool:
    """Look at a tensor's sum, which a NaN or an infinity spoils, and closer only where it is no number itself."""
    values = values.detach()
    if values.dtype in (torch.float32, torch.float64):
        with np.errstate(all="ignore"):
            if math.isfinite(values.numpy(force=True).sum()):
                return True
    return not values.numel() or all(map(math.isfinite, values.aminmax()))


def _take(made: Plan, masks: dict[str, Tensor], generator: torch.Generator) -> StepOutcome:
    """Run one step: rank, drop, and keep the new masks in `masks`."""
    before = _alive(made, masks)
    if made.method.decides_itself:
        slices = _by_torch_class(made, masks, generator)
    elif made.method.removes == "slice":
        slices = drop_slices(made, masks, generator)
    else:
        slices = drop_elements(made, masks, before, generator)
    after = _alive(made, masks)
    outcome = StepOutcome(
        made.step,
        tuple(
            TensorOutcome(t.name, t.parameter.numel(), before[t.name], before[t.name] - after[t.name], *two)
            for t, two in zip(made.targets, slices, strict=True)
        ),
    )
    if outcome.removed == 0:
        warnings.warn(f"nothing was removed by {made.step}", NoEffectWarning, stacklevel=2)
    return outcome


def _alive(made: Plan, masks: Mapping[str, Tensor]) -> dict[str, int]:
    def count(target: Target) -> int:
        return count_true(masks[target.name]) if target.name in masks else target.parameter.numel()

    work = shared(mask.numel() for target in made.targets if (mask := masks.get(target.name)) is not None)
    return {target.name: alive for target, alive in zip(made.targets, work(count, made.targets), strict=True)}


def _by_torch_class(
    made: Plan, masks: dict[str, Tensor], generator: torch.Generator
) -> Sequence[tuple[int | None, int | None]]:
    """Let a subclass of torch's BasePruningMethod make the masks, as torch's container would have it."""
    seed = int(torch.randint(2**62, (), generator=generator))
    for target in made.targets:
        weight = target.parameter.detach()
        mask = masks.get(target.name)
        old = torch.ones_like(weight, dtype=torch.bool) if mask is None else mask
        rule = made.method.rule(amount=_torch_amount(made.step), **made.options)
        rule._tensor_name = target.owners[0].tensor
        try:
            with Seeded(seed):
                new = PruningContainer(rule).compute_mask(weight * old, old)  # type: ignore[no-untyped-call]
        except (ValueError, TypeError, AttributeError, IndexError, AssertionError) as error:
            raise RecipeError(f"{made.method.name}: {target.name}: {error}") from error
        masks[target.name] = (new != 0) & old
    return [(None, None)] * len(made.targets)


def _torch_amount(step: Step) -> int | float:
    return step.count if step.count is not None else float(step.fraction or 0.0)

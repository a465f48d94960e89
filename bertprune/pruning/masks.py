"""Decide what a recipe removes from a model: masks come out, nothing is changed."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.utils.prune import PruningContainer

from ..checkpoint.seeded import Seeded
from ..errors import NoEffectWarning, RecipeError, SelectionError
from ..progress import Progress, silent
from ..recipe import Recipe, Step
from .outcome import StepOutcome, TensorOutcome
from .plan import Plan, plan
from .rank import Scores, count_true, drop_lowest
from .select import Target


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
    decision = Decision()
    for number, made in enumerate(plans):
        progress(number / len(plans), str(made.step))
        for target in made.targets:
            _refuse_unprunable(target)
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


def _refuse_unprunable(target: Target) -> None:
    values = target.parameter
    if values.is_meta:
        raise SelectionError(f"{target.name} is on the meta device: it has no values to prune")
    if not values.is_floating_point() or values.is_quantized or values.layout != torch.strided:
        raise SelectionError(f"{target.name} holds {values.dtype} values: only dense floating-point tensors are pruned")
    if values.numel() and not all(map(torch.isfinite, values.detach().aminmax())):
        raise SelectionError(f"{target.name} holds NaN or infinite values: mend the checkpoint before pruning it")


def _take(made: Plan, masks: dict[str, Tensor], generator: torch.Generator) -> StepOutcome:
    """Run one step: rank, drop, and keep the new masks in `masks`."""
    before = {target.name: _alive(target, masks.get(target.name)) for target in made.targets}
    if made.method.decides_itself:
        slices = _by_torch_class(made, masks, generator)
    elif made.method.removes == "slice":
        slices = _slices(made, masks, generator)
    else:
        slices = _elements(made, masks, before, generator)
    outcome = StepOutcome(
        made.step,
        tuple(
            TensorOutcome(t.name, t.parameter.numel(), before[t.name], before[t.name] - _alive(t, masks[t.name]), *two)
            for t, two in zip(made.targets, slices, strict=True)
        ),
    )
    if outcome.removed == 0:
        warnings.warn(f"nothing was removed by {made.step}", NoEffectWarning, stacklevel=2)
    return outcome


def _alive(target: Target, mask: Tensor | None) -> int:
    return target.parameter.numel() if mask is None else count_true(mask)


def _amount(step: Step, alive: int, where: str) -> int:
    wanted = step.amount_of(alive)
    if wanted > alive:
        raise RecipeError(f"{step.method}: {wanted:,} were to go, but only {alive:,} are alive in {where}")
    return wanted


def _elements(
    made: Plan, masks: dict[str, Tensor], alive: dict[str, int], generator: torch.Generator
) -> list[tuple[None, None]]:
    def scores(target: Target) -> Scores:
        return _element_scores(made, target, masks.get(target.name), generator)

    if made.step.scope == "global":
        wanted = _amount(made.step, sum(alive.values()), "all selected tensors together")
        flat = drop_lowest([scores(target) for target in made.targets], wanted)
        masks.update({t.name: mask.view(t.parameter.shape) for t, mask in zip(made.targets, flat, strict=True)})
    else:
        amounts = [_amount(made.step, alive[target.name], target.name) for target in made.targets]
        for target, wanted in zip(made.targets, amounts, strict=True):
            masks[target.name] = drop_lowest([scores(target)], wanted)[0].view(target.parameter.shape)
    return [(None, None)] * len(made.targets)


def _element_scores(made: Plan, target: Target, mask: Tensor | None, generator: torch.Generator) -> Scores:
    """Prepare the scores of single entries: piece by piece where the rule allows it, whole elsewhere."""
    weight = target.parameter.detach()
    alive = None if mask is None else mask.reshape(-1)
    if made.method.elementwise:
        return Scores(
            target.name, weight.reshape(-1), alive, lambda w: made.method.score(target.name, w, **made.options)
        )
    living = weight if mask is None else weight * mask
    scores = made.method.score(target.name, living, generator=generator, mask=mask, **made.options)
    return Scores(target.name, _shaped(made, target, scores, tuple(weight.shape)).reshape(-1), alive)


def _shaped(made: Plan, target: Target, scores: Tensor, shape: tuple[int, ...]) -> Tensor:
    if tuple(scores.shape) != shape:
        what = f"{made.method.name}: scores of {target.name}"
        raise RecipeError(f"{what} must have the shape {shape}, not {tuple(scores.shape)}")
    return scores


def _slices(made: Plan, masks: dict[str, Tensor], generator: torch.Generator) -> list[tuple[int, int]]:
    """Drop whole slices; those in which nothing is alive are neither scored nor counted, as in torch."""
    dim = made.options["dim"]
    living = [_living_slices(target, masks.get(target.name), dim) for target in made.targets]
    numbers = [len(places) for places in living]
    everywhere = "all selected tensors together"
    together = made.step.scope == "global"
    amounts = [
        _amount(made.step, number, f"{target.name} (slices along dim {dim})")
        for target, number in zip(made.targets, [] if together else numbers, strict=not together)
    ]
    scores = [
        _slice_scores(made, target, masks.get(target.name), places, generator)
        for target, places in zip(made.targets, living, strict=True)
    ]
    if together:
        kept = drop_lowest(scores, _amount(made.step, sum(numbers), f"{everywhere} (slices along dim {dim})"))
    else:
        kept = [drop_lowest([score], wanted)[0] for score, wanted in zip(scores, amounts, strict=True)]
    for target, places, keep in zip(made.targets, living, kept, strict=True):
        masks[target.name] = _without(target, masks.get(target.name), dim, places[~keep])
    return [(number, int((~keep).sum())) for number, keep in zip(numbers, kept, strict=True)]


def _living_slices(target: Target, mask: Tensor | None, dim: int) -> Tensor:
    """Return the indices along `dim` where something is alive."""
    shape = target.parameter.shape
    if mask is None:
        return torch.arange(shape[dim], device=target.parameter.device)
    others = [axis for axis in range(len(shape)) if axis != dim % len(shape)]
    return mask.sum(dim=others).nonzero().flatten()


def _slice_scores(
    made: Plan, target: Target, mask: Tensor | None, places: Tensor, generator: torch.Generator
) -> Scores:
    dim = made.options["dim"]
    weight = target.parameter.detach()
    if mask is not None:
        weight = weight * mask
        mask = mask.index_select(dim, places)
    if len(places) < weight.shape[dim]:
        weight = weight.index_select(dim, places)
    scores = made.method.score(target.name, weight, generator=generator, mask=mask, **made.options)
    return Scores(target.name, _shaped(made, target, scores, (len(places),)))


def _without(target: Target, mask: Tensor | None, dim: int, places: Tensor) -> Tensor:
    values = target.parameter
    new = torch.ones(values.shape, dtype=torch.bool, device=values.device) if mask is None else mask.clone()
    return new.index_fill_(dim, places, False)


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

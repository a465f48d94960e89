"""`bertprune.apply`: prune a model that the user holds."""

from collections.abc import Iterable

from torch import nn

from ..model.hooks import MaskDtype, attach
from ..parallel import Progress, silent
from ..recipe import Recipe
from ..step import Step
from .decide import StepOutcome, decide


def apply(
    model: nn.Module,
    recipe: Recipe | Step,
    seed: int = 0,
    *,
    missing: Iterable[str] = (),
    mask_dtype: MaskDtype = "bool",
    progress: Progress = silent,
) -> tuple[StepOutcome, ...]:
    """Prune a model that you hold, in place, as `torch.nn.utils.prune` would leave it.

    Each pruned module then has `weight_orig` (parameter), `weight_mask` (buffer), `weight` (derived) and a forward
    pre-hook. All steps are decided before the first change, so a refused recipe leaves the model as it was.

    Args:
        model: any module with values (not on the meta device); already pruned tensors are pruned further.
        recipe: a `Recipe`, or a single `Step`.
        seed: seeds all random choices, from 0 to 2^63 - 1; the global random state is not touched.
        missing: names of parameters that must not be pruned.
        mask_dtype: "bool", or "float" for masks of the weights' dtype, as torch makes them.
        progress: called with the share done (0 to 1) and a few words; may raise to cancel.

    Returns:
        What each step did, in entries and, for structured methods, in slices.

    Raises:
        RecipeError: the recipe does not fit the model.

    Warns:
        NoEffectWarning: a step pruned nothing.

    Example:
        >>> import bertprune as bp, torch
        >>> model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 4))
        >>> step = bp.Step(method="l1_unstructured", fraction=0.25, scope="global", select="*")
        >>> outcome = bp.apply(model, step)[0]
        >>> outcome.alive_before, outcome.removed
        (32, 8)
        >>> [name for name, _ in model[0].named_buffers()]
        ['weight_mask']
    """
    decision = decide(model, Recipe.of(recipe), seed, frozenset(missing), progress)
    attach(decision.targets, decision.masks, decision.history, mask_dtype)
    return tuple(decision.outcomes)

"""`bertprune.apply`: prune a model that the user holds."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import nn

from ..errors import RecipeError, SelectionError, shortened, shown
from ..model.cuts import cut_model
from ..model.given import given_model
from ..model.hooks import MaskDtype, attach
from ..model.targets import every_target
from ..parallel import Progress, check_progress, silent
from ..recipe import Recipe, RecipeLike
from ..scores import find_method
from .choose import Decision
from .decide import decide
from .outcomes import StepOutcome, hook_makers
from .steps import check_mask_dtype, naming_step


def apply(
    model: nn.Module,
    recipe: RecipeLike,
    seed: int = 0,
    *,
    missing: Iterable[str] = (),
    mask_dtype: MaskDtype = "bool",
    calibration: Iterable[Mapping[str, Any]] | None = None,
    progress: Progress = silent,
) -> tuple[StepOutcome, ...]:
    """Prune a model that you hold, in place, as `torch.nn.utils.prune` would leave it.

    Each pruned module then has `weight_orig` (parameter), `weight_mask` (buffer), `weight` (derived) and a forward
    pre-hook. Layers that a step removes leave the model, and its config says so. All steps are decided before the first
    change, so a refused recipe leaves the model as it was.

    Args:
        model: Any module with values (not on the meta device); already pruned tensors are pruned further.
        recipe: A `Recipe`, or whatever `Recipe.of` takes for one: a step, a list of steps, plain data, a file's path.
        seed: Seeds all random choices, from 0 to 2^63 - 1; the global random state is not touched.
        missing: Names of parameters that must not be pruned; the model must have each of them.
        mask_dtype: "bool", or "float" for masks of the weights' dtype, as torch makes them.
        calibration: For steps whose method reads inputs or gradients, or that reconstruct: batches as the model takes
            them, mappings of tensors whose first axis is the text, with an `attention_mask` where they are padded. One
            text in five is held back.
        progress: Called with the share done (0 to 1) and a few words; may raise to cancel.

    Returns:
        What each step did, in entries and, for structured methods, in slices.

    Raises:
        RecipeError: The recipe does not fit the model, or needs calibration.
        DataError: The calibration does not consist of batches.
        BertpruneError: `model` is not a model.

    Warns:
        NoEffectWarning: A step pruned nothing.

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
    model = given_model(model, "bp.apply")
    check_mask_dtype(mask_dtype)
    check_progress(progress)
    recipe, batches = Recipe.of(recipe), None
    _refuse_tokens(recipe)
    if calibration is not None:
        from ..data.held_back import given_batches  # loads transformers, so only where texts are read

        batches = given_batches(calibration)
    decision = decide(model, recipe, seed, _protected(model, missing), progress, batches)
    with _new_values(decision):
        attach(model, decision.masks, decision.history, mask_dtype, makers=hook_makers(decision.outcomes))
    cut_model(model, decision.cut)
    return tuple(decision.outcomes)


def _refuse_tokens(recipe: Recipe) -> None:
    """Refuse to remove tokens from a model alone, whose tokenizer would not know of it. Raises RecipeError."""
    for number, step in enumerate(recipe.steps, start=1):
        with naming_step(recipe, number):
            if "token" in (step.granularity, find_method(step.method).removes):
                raise RecipeError(
                    "a model alone has no tokenizer to cut with it: use bp.prune(checkpoint, …)",
                    code="prune.tokens_of_model",
                )


@contextmanager
def _new_values(decision: Decision) -> Iterator[None]:
    """Give the parameters their new values, in place, so that an optimizer still knows them; back after an error."""
    changed = {name: decision.targets[name].parameter for name in decision.values}
    old = {name: parameter.data for name, parameter in changed.items()}
    for name, parameter in changed.items():
        parameter.data = decision.values[name]
    try:
        yield
    except BaseException:
        for name, parameter in changed.items():
            parameter.data = old[name]
        raise


def _protected(model: nn.Module, names: Iterable[str]) -> frozenset[str]:
    """Return the names that must not be pruned. Raises SelectionError where the model lacks one."""
    given = [names] if isinstance(names, str) else () if names is None else names
    if not (isinstance(given, Iterable) and all(isinstance(name, str) for name in given)):
        raise SelectionError(
            "missing must be a list of parameter names, not {given}", code="selection.missing", given=shown(names)
        )
    protected = frozenset(given)
    known = {owner.name for target in every_target(model) for owner in target.owners}
    for name in sorted(protected - known):
        raise SelectionError(
            "missing names {name!r}, but the model has no such parameter",
            code="selection.unknown_missing", name=shortened(name, 80),
        )  # fmt: skip
    return protected

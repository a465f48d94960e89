"""Change a model: hooks on, hooks off. Nothing else in bertprune does."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Literal

from torch import Tensor, nn
from torch.nn.utils import prune

from ..errors import SelectionError
from ..model.hooks import hook_of
from ..model.targets import Owner, Target, every_target, find_targets
from ..parallel import Progress, shared, silent
from ..recipe import Recipe, Selection, Step
from .masked import Made, dense, derived, masked
from .masks import decide
from .memory import Fresh
from .outcome import StepOutcome

MaskDtype = Literal["bool", "float"]


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

    Each pruned module then has `weight_orig` (parameter), `weight_mask` (buffer), `weight` (derived) and a
    forward pre-hook. All steps are decided before the first change, so a refused recipe leaves the model as it was.
    `missing` names parameters that must not be touched; `mask_dtype="float"` gives masks of the weights' dtype, as
    torch makes them. Returns what each step did. Raises RecipeError.
    """
    decision = decide(model, Recipe.of(recipe), seed, frozenset(missing), progress)
    attach(decision.targets, decision.masks, decision.history, mask_dtype)
    return tuple(decision.outcomes)


def bake(model: nn.Module, select: Selection | str | Sequence[str] | None = None) -> nn.Module:
    """Make pruning permanent, in place: masked values become zeros, hooks and masks go. Returns the model.

    Bakes every pruned tensor, or those of a selection (a `Selection`, a glob, a list of globs). Tied tensors stay
    tied. Source: `torch.nn.utils.prune.remove`. Raises SelectionError where nothing selected is pruned.
    """
    chosen = every_target(model) if select is None else find_targets(model, _as_selection(select))
    pruned = [target for target in chosen if target.mask is not None]
    if select is not None and not pruned:
        raise SelectionError(f"{_as_selection(select)}: nothing that matches is pruned")
    for target in pruned:
        for owner in target.owners:
            prune.remove(owner.module, owner.tensor)  # type: ignore[no-untyped-call]
    return model


def _as_selection(select: Selection | str | Sequence[str]) -> Selection:
    return select if isinstance(select, Selection) else Selection(include=select)


def attach(
    targets: Mapping[str, Target],
    masks: Mapping[str, Tensor],
    history: Mapping[str, Sequence[Step]],
    mask_dtype: MaskDtype = "bool",
    product: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> None:
    """Put masks and the hooks of the steps that made them on tensors, in place, for each of their owners.

    All by target name; those that have a history are changed, in its order. `product` works out the derived values,
    as `masked` does by default.
    """
    # masks stay, products go with the first forward pass: in the same regions, masks would keep all of their memory
    for_masks, for_products = Fresh(spare=True), Fresh(spare=True)
    work_out = product or partial(masked, memory=for_products)

    def made(name: str) -> Made:
        original = targets[name].parameter
        mask = dense(masks[name], for_masks)
        values = work_out(original, mask)
        return Made(original, mask if mask_dtype == "bool" else mask.to(original.dtype), values)

    work = shared(targets[name].parameter.numel() for name in history)
    ready = work(made, history)
    for name, one, result in zip(history, ready, derived(ready), strict=True):
        _attach(targets[name], history[name], one.mask, result)


def _attach(target: Target, history: Sequence[Step], stored: Tensor, result: Tensor) -> None:
    for owner in target.owners:
        hook = _stacked(owner, [hook_of(step, stored, owner.tensor) for step in history])
        if target.mask is None:
            owner.module.register_parameter(owner.tensor + "_orig", target.parameter)
            del owner.module._parameters[owner.tensor]
        owner.module.register_buffer(owner.tensor + "_mask", stored)
        setattr(owner.module, owner.tensor, result)
        owner.module.register_forward_pre_hook(hook)


def _stacked(owner: Owner, new: Sequence[prune.BasePruningMethod]) -> prune.BasePruningMethod:
    """Take the old hook off; return what stands for it and the new ones: a container where there are several."""
    old = [
        (key, hook)
        for key, hook in owner.module._forward_pre_hooks.items()
        if isinstance(hook, prune.BasePruningMethod) and hook._tensor_name == owner.tensor
    ]
    for key, _ in old:
        del owner.module._forward_pre_hooks[key]
    all_hooks = [hook for _, hook in old] + list(new)
    if len(all_hooks) == 1:
        return all_hooks[0]
    first = all_hooks[0]
    container = first if isinstance(first, prune.PruningContainer) else prune.PruningContainer(first)
    for hook in all_hooks[1:]:
        container.add_pruning_method(hook)
    return container

"""Put pruning hooks on a model: the only place, with `bake`, where bertprune changes a user's model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils import prune

from ..errors import RecipeError
from ..step import Step
from .direct_reads import hook_direct_reads
from .records import pruning_hooks
from .targets import Owner, Target, targets_by_name

MaskDtype = Literal["bool", "float"]
Made = Step | str
"""What made a hook: a step, or, where no step is known, the name of the hook's class."""

Maker = Callable[..., prune.BasePruningMethod]
"""A torch class, or what calls one: it takes the amount and the step's options."""

TORCH_METHODS: Mapping[str, Maker] = {
    "random_unstructured": prune.RandomUnstructured,
    "l1_unstructured": prune.L1Unstructured,
    "random_structured": prune.RandomStructured,
    "ln_structured": partial(prune.LnStructured, n=2),  # a step may leave n out, torch may not
}
"""What makes torch's own hook for each of torch's own methods."""

HOOK_MAKERS = dict(TORCH_METHODS)
"""What makes the hook after a local step, by the name that a method has now: a torch class, torch's own or a user's."""
_NORMS = ("fro", "nuc")


class MaskHook(prune.CustomFromMask):
    """torch's hook for a ready-made mask; its subclasses carry the name of the method that made it.

    `weight_orig * mask` equals torch's `mask.to(dtype) * weight_orig` to the bit, and keeps no float copy of the mask.
    """

    def apply_mask(self, module: Any) -> Tensor:
        """Return the pruned tensor of the module; see torch."""
        pruned: Tensor = getattr(module, self._tensor_name + "_orig") * getattr(module, self._tensor_name + "_mask")
        return pruned

    def __reduce__(self) -> tuple[Any, ...]:
        # Subclasses are made on the fly, so copies and pickles must make them again.
        return _named_hook, (type(self).__name__, self.mask, self._tensor_name)


def attach(
    model: nn.Module,
    masks: Mapping[str, Tensor],
    history: Mapping[str, Sequence[Made]],
    mask_dtype: MaskDtype = "bool",
    values: Mapping[str, Tensor] | None = None,
    *,
    makers: Mapping[str, Maker | None] = HOOK_MAKERS,
    derive: bool = True,
) -> None:
    """Put masks, and the hooks of the steps that made them, on every owner of a model's tensors, in place.

    By target name; the targets that have a history are changed. An owner with a mask of its own keeps that too. Where
    there are new `values`, they become a parameter of their own in the old one's place, at every owner. `makers` are
    what made the hooks of the steps' methods; a step without one leaves a MaskHook.
    `derive=False` leaves the derived tensors (`weight`) to the first forward pass, whose hook makes them anyway: enough
    for a model that is only counted. Everything is made before the first change, so that an error leaves the model
    unchanged.
    """
    targets, changes = targets_by_name(model), list[Callable[[], None]]()
    for name, made in history.items():
        target = targets[name]
        if values is not None and name in values:
            target = replace(target, parameter=nn.Parameter(values[name], target.parameter.requires_grad))
        with torch.inference_mode(target.parameter.is_inference()):  # a parameter stays trainable
            hooks = [partial(_hook, one, makers=makers) for one in made]
            changes += _changes(target, masks[name].contiguous(), hooks, mask_dtype, derive)
    for change in changes:
        change()
    hook_direct_reads(model)


def _changes(
    target: Target, mask: Tensor, hooks: Sequence[Maker], mask_dtype: MaskDtype, derive: bool
) -> list[Callable[[], None]]:
    """Make the masks, derived tensors and hooks of a target; return what puts them on each of its owners."""
    mask = mask.clone() if mask.is_inference() else mask
    one_mask = len({id(owner.mask) for owner in target.owners}) == 1
    ready: dict[int, tuple[Tensor, Tensor | None]] = {}
    changes: list[Callable[[], None]] = []
    for owner in target.owners:
        own = None if one_mask else owner.mask
        if id(own) not in ready:
            kept = mask if own is None else mask & (own != 0)
            stored = kept if mask_dtype == "bool" else kept.to(target.parameter.dtype)
            ready[id(own)] = stored, _derive(target.parameter, stored) if derive else None
        stored, derived = ready[id(own)]
        new = [hook(stored, owner.tensor) for hook in hooks]
        changes.append(partial(_put, owner, target.parameter, stored, new, derived))
    return changes


def _derive(parameter: nn.Parameter, mask: Tensor) -> Tensor:
    with torch.enable_grad():
        return parameter * mask.to(parameter.device)  # a model on the meta device has masks all the same


def _put(
    owner: Owner,
    parameter: nn.Parameter,
    mask: Tensor,
    new: Sequence[prune.BasePruningMethod],
    derived: Tensor | None,
) -> None:
    module, tensor, is_new = owner.module, owner.tensor, owner.mask is None
    hook = _container([*take_off(owner), *new])
    module.register_parameter(f"{tensor}_orig", parameter)
    if is_new:
        del module._parameters[tensor]
    module.register_buffer(f"{tensor}_mask", mask)
    if derived is not None:
        setattr(module, tensor, derived)
    module.register_forward_pre_hook(hook)


def take_off(owner: Owner) -> list[prune.BasePruningMethod]:
    """Remove the pruning hooks of one tensor from its module, and return them."""
    found = pruning_hooks(owner.module, owner.tensor)
    for key in found:
        del owner.module._forward_pre_hooks[key]
    return list(found.values())


def _container(hooks: Sequence[prune.BasePruningMethod]) -> prune.BasePruningMethod:
    """Return one hook that applies all of them: torch's container where there are several."""
    first, *others = hooks
    if not others:
        return first
    container = first if isinstance(first, prune.PruningContainer) else prune.PruningContainer(first)
    for hook in others:
        container.add_pruning_method(hook)
    return container


def _hook(
    made: Made, mask: Tensor, tensor: str, makers: Mapping[str, Maker | None] = HOOK_MAKERS
) -> prune.BasePruningMethod:
    """Return the hook for a step: a torch class after a local step of such a method, a named MaskHook elsewhere."""
    if isinstance(made, str):
        return _named_hook(made, mask, tensor)
    step, make = made, makers.get(made.method)
    if make is None or step.scope != "local":
        return _named_hook(hook_name(step), mask, tensor)
    if make is TORCH_METHODS.get(step.method):
        _check_torch_options(step)
    try:
        hook = make(amount=step.amount, **step.options)
    except Exception as error:  # from a class that a user wrote
        raise RecipeError("{method}: {error}", code="method.failed", method=step.method, error=str(error)) from error
    hook._tensor_name = tensor
    return hook


def hook_name(step: Step) -> str:
    """Return the name of the hook that a step leaves where no class of torch's makes it."""
    return "".join(part.capitalize() for part in step.method.split("_"))


def can_make(step: Step) -> bool:
    """Return whether the hook of a step can be made by the methods that are here."""
    try:
        _hook(step, torch.ones(0, dtype=torch.bool), "weight")
    except RecipeError:
        return False
    return True


def _check_torch_options(step: Step) -> None:
    """Refuse options that torch's classes accept, and fail on when they are used. Raises RecipeError."""
    n, dim = step.options.get("n", 2), step.options.get("dim", -1)
    if type(dim) is not int or (type(n) not in (int, float) and n not in _NORMS):
        raise RecipeError(
            "{method}: n must be a number, fro or nuc, and dim an integer, not {options}",
            code="method.torch_options", method=step.method, options=dict(step.options),
        )  # fmt: skip


def _named_hook(name: str, mask: Tensor, tensor: str) -> MaskHook:
    hook = _hook_class(name)(mask)
    hook._tensor_name = tensor
    return hook


@lru_cache(maxsize=256)
def _hook_class(name: str) -> type[MaskHook]:
    return type(name, (MaskHook,), {"__module__": __name__})

"""Put pruning hooks on a model and take them off. Nothing else in bertprune changes a model's modules."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils import prune

from ..errors import RecipeError, SelectionError
from ..selection import Selection, describe
from ..step import Step
from .targets import Owner, Target, every_target, find_targets

MaskDtype = Literal["bool", "float"]

TORCH_METHODS: Mapping[str, Callable[..., prune.BasePruningMethod]] = {
    "random_unstructured": prune.RandomUnstructured,
    "l1_unstructured": prune.L1Unstructured,
    "random_structured": prune.RandomStructured,
    "ln_structured": partial(prune.LnStructured, n=2),  # a step may leave n out, torch may not
}
"""What makes torch's own hook for each of torch's own methods; it takes the amount and the step's options."""

_HOOK_MAKERS = dict(TORCH_METHODS)
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


def register_hook_class(method: str, hook: type[prune.BasePruningMethod]) -> None:
    """Use a user's own torch class as the hook after local steps of the method of that name."""
    _HOOK_MAKERS[method] = hook


def attach(
    targets: Mapping[str, Target],
    masks: Mapping[str, Tensor],
    history: Mapping[str, Sequence[Step]],
    mask_dtype: MaskDtype = "bool",
    *,
    derive: bool = True,
) -> None:
    """Put masks, and the hooks of the steps that made them, on every owner of the targets, in place.

    All by target name; the targets that have a history are changed. `derive=False` leaves the derived tensors
    (`weight`) to the first forward pass, whose hook makes them anyway: enough for a model that is only counted.
    """
    for name, steps in history.items():
        target, mask = targets[name], masks[name].contiguous()
        stored = mask if mask_dtype == "bool" else mask.to(target.parameter.dtype)
        with torch.enable_grad():
            derived = target.parameter * stored if derive else None
        for owner in target.owners:
            _attach(owner, target, stored, [_hook(step, stored, owner.tensor) for step in steps], derived)


def bake(model: nn.Module, select: Selection | str | Sequence[str] | None = None) -> nn.Module:
    """Make pruning permanent, in place: masked values become zeros, masks and hooks are removed.

    Tied tensors stay tied. Source: `torch.nn.utils.prune.remove`.

    Args:
        model: a model pruned by bertprune or by plain torch.
        select: which tensors to bake: a `Selection`, a glob over module paths, or a list of globs; all by default.

    Returns:
        The same model.

    Raises:
        SelectionError: nothing that is selected is pruned.

    Example:
        >>> import bertprune as bp, torch
        >>> layer = torch.nn.Linear(2, 2)
        >>> _ = bp.apply(layer, bp.Step(method="l1_unstructured", fraction=0.5, select="*"))
        >>> [name for name, _ in bp.bake(layer).named_parameters()]
        ['bias', 'weight']
    """
    if select is None:
        chosen = every_target(model)
    else:
        select = select if isinstance(select, Selection) else Selection(include=select)
        chosen = find_targets(model, select)
    pruned = [target for target in chosen if target.mask is not None]
    if select is not None and not pruned:
        raise SelectionError(
            "{select}: no matching tensor is pruned", code="selection.not_pruned", select=describe(select)
        )
    for target in pruned:
        for owner in target.owners:
            prune.remove(owner.module, owner.tensor)  # type: ignore[no-untyped-call]
    return model


def _attach(
    owner: Owner, target: Target, mask: Tensor, new: Sequence[prune.BasePruningMethod], derived: Tensor | None
) -> None:
    module, tensor = owner.module, owner.tensor
    hook = _container([*_take_off(owner), *new])
    if target.mask is None:
        module.register_parameter(tensor + "_orig", target.parameter)
        del module._parameters[tensor]
    module.register_buffer(tensor + "_mask", mask)
    if derived is not None:
        setattr(module, tensor, derived)
    module.register_forward_pre_hook(hook)


def _take_off(owner: Owner) -> list[prune.BasePruningMethod]:
    """Remove the pruning hooks of one tensor from its module, and return them."""
    hooks = owner.module._forward_pre_hooks
    found = {
        key: hook
        for key, hook in hooks.items()
        if isinstance(hook, prune.BasePruningMethod) and hook._tensor_name == owner.tensor
    }
    for key in found:
        del hooks[key]
    return list(found.values())


def _container(hooks: Sequence[prune.BasePruningMethod]) -> prune.BasePruningMethod:
    """Return one hook that stands for all: torch's container where there are several."""
    first, *others = hooks
    if not others:
        return first
    container = first if isinstance(first, prune.PruningContainer) else prune.PruningContainer(first)
    for hook in others:
        container.add_pruning_method(hook)
    return container


def _hook(step: Step, mask: Tensor, tensor: str) -> prune.BasePruningMethod:
    """Return the hook for a step: a torch class after a local step of such a method, a named MaskHook elsewhere."""
    make = _HOOK_MAKERS.get(step.method)
    if make is None or step.scope != "local":
        return _named_hook("".join(part.capitalize() for part in step.method.split("_")), mask, tensor)
    if step.method in TORCH_METHODS:
        _check_torch_options(step)
    try:
        hook = make(amount=step.amount, **step.options)
    except (TypeError, ValueError) as error:
        raise RecipeError("{method}: {error}", code="method.failed", method=step.method, error=str(error)) from error
    hook._tensor_name = tensor
    return hook


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

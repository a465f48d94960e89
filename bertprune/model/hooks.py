"""The forward pre-hooks that a step leaves on a module."""

from functools import lru_cache
from typing import Any

from torch import Tensor
from torch.nn.utils.prune import BasePruningMethod, CustomFromMask

from ..errors import RecipeError
from ..recipe import Step
from ..scores import methods


class MaskHook(CustomFromMask):
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


def hook_of(step: Step, mask: Tensor, tensor: str) -> BasePruningMethod:
    """Return the hook for a step: torch's own class after a local torch method, a named MaskHook elsewhere.

    A method that is not registered here, such as one of a checkpoint from elsewhere, leaves a MaskHook too.
    """
    method = methods().get(step.method)
    if method is None or method.hook is None or step.scope == "global":
        return _named_hook("".join(part.capitalize() for part in step.method.split("_")), mask, tensor)
    amount = step.count if step.count is not None else step.fraction
    try:
        hook: BasePruningMethod = method.hook(amount=amount, **method.checked(step))  # type: ignore[call-arg]
    except (TypeError, ValueError) as error:
        raise RecipeError(f"{method.name}: {error}") from error
    hook._tensor_name = tensor
    return hook


def _named_hook(name: str, mask: Tensor, tensor: str) -> MaskHook:
    hook = _hook_class(name)(mask)
    hook._tensor_name = tensor
    return hook


@lru_cache(maxsize=256)
def _hook_class(name: str) -> type[MaskHook]:
    return type(name, (MaskHook,), {"__module__": __name__})

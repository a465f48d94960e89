"""The values and masks of a model, under the names that its tensors have without hooks."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .names import full_name, pruned_names


@dataclass(frozen=True, eq=False)
class State:
    """A state dict, split into dense values and masks; a tied tensor stands under each of its names."""

    dense: dict[str, Tensor]
    """The values before masks: those of `weight_orig` where a tensor is pruned."""
    masks: dict[str, Tensor]
    """The masks by the same names, as the model holds them; only of pruned tensors."""


def state_of(model: nn.Module) -> State:
    """Split the state dict of a model, pruned by bertprune, by plain torch, or not; nothing is copied."""
    dense: dict[str, Tensor] = dict(model.state_dict())
    masks = {}
    for path, module in model.named_modules(remove_duplicate=False):
        for local in pruned_names(module):
            name = full_name(path, local)
            dense[name] = dense.pop(f"{name}_orig")
            masks[name] = dense.pop(f"{name}_mask")
    return State(dense, masks)


def as_bool(mask: Tensor) -> Tensor | None:
    """Return a mask of any dtype as bool, or None where it holds other values than 0 and 1."""
    if mask.dtype == torch.bool:
        return mask
    kept = mask != 0
    return kept if torch.equal(kept.to(mask.dtype), mask) else None

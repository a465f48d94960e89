"""Copies of a model that may be pruned; torch's own `deepcopy` fails on the tensors that its hooks derive."""

import copy
from collections.abc import Iterator
from typing import TypeVar

import torch
from torch import Tensor, nn

from .names import pruned_names

Model = TypeVar("Model", bound=nn.Module)


def twin(model: Model) -> Model:
    """Copy the modules but none of the tensors, so that hooks can be put on without touching the original."""
    tensors = [*model.parameters(), *model.buffers(), *(tensor for _, _, tensor in _derived(model))]
    return copy.deepcopy(model, {id(tensor): tensor for tensor in tensors})


def copied(model: Model) -> Model:
    """Copy a model with hooks and masks; nothing is shared, tied tensors stay tied, derived ones are derived again."""
    placeholder = object()
    mine = copy.deepcopy(model, {id(tensor): placeholder for _, _, tensor in _derived(model)})
    made: dict[tuple[int, int], Tensor] = {}
    for module in mine.modules():
        for name in pruned_names(module):
            if vars(module).get(name) is placeholder:
                dense, mask = module._parameters[f"{name}_orig"], module._buffers[f"{name}_mask"]
                assert dense is not None and mask is not None
                key = id(dense), id(mask)
                if key not in made:
                    with torch.enable_grad():
                        made[key] = dense * mask
                setattr(module, name, made[key])
    return mine


def _derived(model: nn.Module) -> Iterator[tuple[nn.Module, str, Tensor]]:
    """Yield each tensor that a pruning hook has derived, with its module and its name there."""
    for module in model.modules():
        for name in pruned_names(module):
            if isinstance(tensor := vars(module).get(name), Tensor):
                yield module, name, tensor

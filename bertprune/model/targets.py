"""The tensors of a model that can be pruned; a tied tensor is one target with several owners."""

from dataclasses import dataclass
from functools import cached_property, reduce
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .names import full_name, pruned_names


class Owner(NamedTuple):
    """One use of a tensor: the module's path, the module, and the parameter's name in it."""

    path: str
    module: nn.Module
    tensor: str

    @property
    def name(self) -> str:
        """The full name of the tensor at this owner, without pruning's suffix (`weight`)."""
        return full_name(self.path, self.tensor)

    @property
    def mask(self) -> Tensor | None:
        """The mask at this owner; None where the tensor is not pruned there."""
        return self.module._buffers[f"{self.tensor}_mask"] if self.tensor in pruned_names(self.module) else None


@dataclass(frozen=True, eq=False)
class Target:
    """A tensor that can be pruned, with all modules that share it."""

    owners: tuple[Owner, ...]
    parameter: nn.Parameter
    """The dense values: `weight`, or `weight_orig` if it is pruned."""
    mask: Tensor | None
    """What its owners keep together: 0 where each has a mask that removes the value; None where one has none."""
    role: str | None = None
    """The role of the part that is meant, in a fused projection; None for the whole tensor."""
    rows: tuple[slice, ...] = ()
    """The rows of that part; empty for the whole tensor."""

    @cached_property
    def name(self) -> str:
        """The name at its first owner, in the order of `named_modules`."""
        return self.owners[0].name

    @property
    def label(self) -> str:
        """The name, with the role of a part: `layers.0.attn.Wqkv.weight (attention.key)`."""
        return f"{self.name} ({self.role})" if self.role else self.name

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the tensor, or of the part that is meant."""
        height = sum(rows.stop - rows.start for rows in self.rows)
        return (height, *self.parameter.shape[1:]) if self.rows else tuple(self.parameter.shape)

    def row_mask(self) -> Tensor | None:
        """Mark the rows of the part that is meant, in the tensor's number of dimensions; None for the whole tensor."""
        if not self.rows:
            return None
        marked = torch.zeros(len(self.parameter), dtype=torch.bool, device=self.parameter.device)
        for rows in self.rows:
            marked[rows] = True
        return marked.view(-1, *[1] * (self.parameter.dim() - 1))

    @property
    def aliases(self) -> tuple[str, ...]:
        """The names at its other owners."""
        return tuple(owner.name for owner in self.owners[1:])


def every_target(model: nn.Module, *, shared_modules: bool = False) -> tuple[Target, ...]:
    """List all parameters of the model as targets, tied ones once, in the order of `named_modules`.

    With `shared_modules`, a module that the model holds at several paths is an owner at each of them.
    """
    found: dict[int, tuple[nn.Parameter, list[Owner]]] = {}
    for path, module in model.named_modules(remove_duplicate=not shared_modules):
        names = {f"{local}_orig": local for local in pruned_names(module)}
        for key, parameter in module._parameters.items():
            if parameter is not None:
                local = names.get(key, key)
                found.setdefault(id(parameter), (parameter, []))[1].append(Owner(path, module, local))
    return tuple(Target(tuple(owners), parameter, _joint_mask(owners)) for parameter, owners in found.values())


def _joint_mask(owners: list[Owner]) -> Tensor | None:
    """Return the mask of all owners; where they differ, a value is kept that one of them keeps."""
    masks = {id(mask): mask for mask in (owner.mask for owner in owners)}
    if len(masks) == 1:
        return masks.popitem()[1]
    given = [mask for mask in masks.values() if mask is not None]
    return reduce(torch.logical_or, given) if len(given) == len(masks) else None


def targets_by_name(model: nn.Module) -> dict[str, Target]:
    """Map the name of each target of `every_target` to the target."""
    return {target.name: target for target in every_target(model)}

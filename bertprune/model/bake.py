"""Make pruning permanent: masked values become zeros, and masks and hooks go."""

import warnings
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..errors import SelectionError, UntiedWarning
from ..selection import Selection, describe
from .direct_reads import hook_direct_reads
from .given import given_model
from .hooks import take_off
from .matching import find_targets
from .targets import Owner, Target, every_target

_Group = tuple[Tensor, list[Owner]]
"""Baked values, and the owners that get them."""


def bake(model: nn.Module, select: Selection | str | Sequence[str] | None = None) -> nn.Module:
    """Make pruning permanent, in place: masked values become zeros, masks and hooks are removed.

    Outputs do not change. Tied tensors stay tied unless the masks of their owners leave different values, for example
    after torch has pruned only one of them further. Source: `torch.nn.utils.prune.remove`.

    Args:
        model: A model pruned by bertprune or by plain torch.
        select: Which tensors to bake: a `Selection`, a glob over module paths, or a list of globs; all by default.

    Returns:
        The same model.

    Raises:
        SelectionError: Nothing that is selected is pruned, or it is on the meta device.
        BertpruneError: `model` is not a model.

    Warns:
        UntiedWarning: The masks of a tied tensor leave its owners different values; baked, it becomes several tensors.

    Example:
        >>> import bertprune as bp, torch
        >>> layer = torch.nn.Linear(2, 2)
        >>> _ = bp.apply(layer, bp.Step(method="l1_unstructured", fraction=0.5, select="*"))
        >>> [name for name, _ in bp.bake(layer).named_parameters()]
        ['bias', 'weight']
    """
    model = given_model(model, "bp.bake")
    pruned = _pruned(model, select)
    baked = [(target, _by_value(target)) for target in pruned]
    for target, groups in baked:
        _bake(target, groups)
    hook_direct_reads(model)
    for _, groups in baked:  # last, since a warning may be turned into an error
        if len(groups) > 1:
            warnings.warn(_untied(groups[0][1][0], groups[1][1][0]), stacklevel=2)
    return model


def _pruned(model: nn.Module, select: Selection | str | Sequence[str] | None) -> list[Target]:
    """Return what is to be baked. Raises SelectionError."""
    if select is None:
        chosen = every_target(model)
    else:
        select = select if isinstance(select, Selection) else Selection(include=select)
        chosen = find_targets(model, select)
        _refuse_parts(chosen)
    pruned = [target for target in chosen if any(owner.mask is not None for owner in target.owners)]
    if select is not None and not pruned:
        raise SelectionError(
            "{select}: no matching tensor is pruned", code="selection.not_pruned", select=describe(select)
        )
    if empty := next((target for target in pruned if target.parameter.is_meta), None):
        raise SelectionError(
            "{tensor} is on the meta device and has no values to bake; load the weights first",
            code="bake.meta", tensor=empty.name,
        )  # fmt: skip
    return pruned


def _refuse_parts(targets: Sequence[Target]) -> None:
    """Refuse to bake a part of a fused projection: its mask is that of the whole tensor. Raises SelectionError."""
    if part := next((target for target in targets if target.role), None):
        raise SelectionError(
            "{tensor} holds several projections, which can only be baked together; select it by type or by glob",
            code="bake.part", tensor=part.name,
        )  # fmt: skip


def _by_value(target: Target) -> list[_Group]:
    """Group the owners by what baking gives them; those without a mask, for whom nothing changes, come first."""
    products: dict[int, Tensor] = {}
    groups: list[_Group] = []
    for owner in sorted(target.owners, key=lambda owner: owner.mask is not None):
        if id(mask := owner.mask) not in products:
            products[id(mask)] = _masked(target.parameter, mask)
        value = products[id(mask)]
        same = (owners for other, owners in groups if other is value or torch.equal(other, value))
        if (owners := next(same, None)) is None:
            groups.append((value, [owner]))
        else:
            owners.append(owner)
    return groups


def _masked(parameter: nn.Parameter, mask: Tensor | None) -> Tensor:
    with torch.inference_mode(parameter.is_inference()):  # a parameter stays trainable
        dense = parameter.detach()
        return dense if mask is None else dense * mask


def _bake(target: Target, groups: list[_Group]) -> None:
    """Replace a tensor by its masked values; the first group of owners keeps the parameter, as in torch."""
    with torch.inference_mode(target.parameter.is_inference()):
        target.parameter.data = groups[0][0]
        for number, (value, owners) in enumerate(groups):
            parameter = nn.Parameter(value, target.parameter.requires_grad) if number else target.parameter
            for owner in owners:
                _unprune(owner, parameter)


def _untied(one: Owner, other: Owner) -> UntiedWarning:
    return UntiedWarning(
        "{tensor} and {other} were one tensor under different masks; baked, they are two",
        code="bake.untied", tensor=one.name, other=other.name,
    )  # fmt: skip


def _unprune(owner: Owner, parameter: nn.Parameter) -> None:
    """Put a plain parameter in the place of a pruned tensor, as `torch.nn.utils.prune.remove` does."""
    if owner.mask is None:
        return
    module, tensor = owner.module, owner.tensor
    take_off(owner)
    vars(module).pop(tensor, None)
    del module._parameters[f"{tensor}_orig"], module._buffers[f"{tensor}_mask"]
    module.register_parameter(tensor, parameter)

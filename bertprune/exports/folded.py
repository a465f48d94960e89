"""What a neuron or a head gives to the next matrix where all that it reads is masked: a constant, from its biases."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from ..model.coupled import Coupled
from ..model.families import Encoder, encoder, layers, places

_ACTIVATIONS = ("hidden_act", "hidden_activation", "activation", "dense_act_fn")
"""The keys under which the configs of the families name the activation of the feed-forward part."""

Read = Callable[[str], Tensor]
"""Gives the masked values of a tensor by its name."""


def constants(one: Coupled, model: nn.Module, read: Read) -> Tensor:
    """Return what each column of the output matrix is multiplied by where that is constant, and NaN elsewhere."""
    base = encoder(model)
    assert base is not None
    return _of_neurons(one, base, read) if one.kind == "neuron" else _of_heads(one, model, base, read)


def _of_neurons(one: Coupled, base: Encoder, read: Read) -> Tensor:
    """Work out the activation of the bias; of a gate, the first input is activated and multiplied by the second."""
    from transformers.activations import ACT2FN

    activation = ACT2FN[next(getattr(base.config, key) for key in _ACTIVATIONS if hasattr(base.config, key))]
    parts = list(_parts(one, read))
    with torch.no_grad():
        first = activation(parts[0][1])
    unknown = torch.full_like(first, torch.nan)
    if len(parts) == 1:
        return torch.where(parts[0][0], first, unknown)
    (empty, _), (other_empty, other) = parts
    nothing = (empty & (first == 0)) | (other_empty & (other == 0))
    return torch.where(nothing, 0.0, torch.where(empty & other_empty, first * other, unknown))


def _parts(one: Coupled, read: Read) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield which rows of each input are wholly masked, and its bias; a gate has two inputs, in one matrix or two."""
    biases = {target.name: target for target, _ in one.inputs if target.parameter.dim() == 1}
    for target, _ in one.inputs:
        if target.parameter.dim() == 2:
            rows = read(target.name)
            bias = target.name.removesuffix("weight") + "bias"
            added = read(bias) if bias in biases else torch.zeros(len(rows))
            empty = ~rows.any(dim=1)
            yield from zip(torch.split(empty, one.number), torch.split(added, one.number), strict=True)


def _of_heads(one: Coupled, model: nn.Module, base: Encoder, read: Read) -> Tensor:
    """Work out the bias of the values, since the weights of attention sum to one."""
    rows, added = _values(one, model, base, read)
    if getattr(base.config, "rotary_value", False):  # turned by its position, a bias is no constant
        added = torch.where(added == 0, added, torch.nan)
    constant = torch.where(rows.any(dim=1), torch.nan, added)
    heads = constant.view(-1, base.head_size).repeat_interleave(base.shared_heads, dim=0)
    return heads.reshape(-1)


def _values(one: Coupled, model: nn.Module, base: Encoder, read: Read) -> tuple[Tensor, Tensor]:
    """Return the matrix and the bias that give the values."""
    where = places(model)
    paths = (target.name.removesuffix(".weight") for target, _ in one.inputs if target.parameter.dim() == 2)
    path = next(path for path in paths if "attention.value" in where[path].roles)
    matrix = read(f"{path}.weight")
    parts = where[path].rows("attention.value", len(matrix))
    own = {target.name for target, _ in one.inputs}
    layer, _ = layers(model)[one.layer]
    apart = [f"{layer}.{name}" for name, role in base.family.biases.items() if role == "attention.value"]
    rows = torch.cat([matrix[part] for part in parts])
    if f"{path}.bias" in own:
        bias = read(f"{path}.bias")
        return rows, torch.cat([bias[part] for part in parts])
    return rows, read(apart[0]) if apart else torch.zeros(len(rows))

"""Make the matrices of a model's layers smaller: each layer has its own number of neurons and heads."""

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from .coupled import COLUMNS, ROWS, Coupling
from .families import Encoder, encoder, layers, places

_BY_ROLE: tuple[dict[str, Coupling], dict[str, Coupling]] = (
    {role: kind for kind, roles in ROWS.items() for role in roles},
    {role: kind for kind, role in COLUMNS.items()},
)
"""What the rows of a matrix belong to by its role, and what its columns."""
_COUNTS = ("intermediate_size", "num_attention_heads", "n_heads", "all_head_size", "inner_dim")
"""What the modules around the matrices call the number of neurons or heads, or the width of all heads."""


def resize(model: nn.Module, neurons: Sequence[int], heads: Sequence[int]) -> None:
    """Give each layer of a model that has just been built its number of neurons and heads, in place.

    Which of the initial values stay does not matter, so the meta device works too. Heads that share their keys and
    values count as one.
    """
    base, found = encoder(model), layers(model)
    if base is None or not len(neurons) == len(heads) == len(found):
        raise ValueError(
            f"{len(found)} layers were built, for {len(neurons)} numbers of neurons and {len(heads)} heads"
        )
    shares = {"neuron": [(n, base.neurons) for n in neurons], "head": [(n, base.heads) for n in heads]}
    around: dict[nn.Module, tuple[int, int]] = {}
    for path, place in places(model).items():
        module = model.get_submodule(path)
        if place.layer is None or not isinstance(module, nn.Linear):
            continue
        for dim, kinds in enumerate(_BY_ROLE):
            if kind := kinds.get(place.roles[0] if place.roles else ""):
                share = shares[kind][place.layer]
                _cut(module, dim, share)
                around[model.get_submodule(path.rpartition(".")[0])] = share
    for module, share in around.items():
        _recount(module, share)
    _cut_vectors(found, base, shares["head"])


def _cut(linear: nn.Linear, dim: int, share: tuple[int, int]) -> None:
    """Keep a share of the rows or of the columns."""
    linear.weight = _shorter(linear.weight, dim, share)
    if dim == 0 and linear.bias is not None:
        linear.bias = _shorter(linear.bias, dim, share)
    linear.out_features, linear.in_features = linear.weight.shape


def _shorter(parameter: Tensor, dim: int, share: tuple[int, int]) -> nn.Parameter:
    kept, full = share
    length = parameter.shape[dim] * kept // full
    return nn.Parameter(parameter.detach().narrow(dim, 0, length).clone(), parameter.requires_grad)


def _recount(module: nn.Module, share: tuple[int, int]) -> None:
    kept, full = share
    for name in _COUNTS:
        if isinstance(number := getattr(module, name, None), int):
            setattr(module, name, number * kept // full)


def _cut_vectors(found: Mapping[int, tuple[str, nn.Module]], base: Encoder, shares: Sequence[tuple[int, int]]) -> None:
    """Shorten the vectors that are added to a projection, and are no bias of its module."""
    for (_, layer), share in zip(found.values(), shares, strict=True):
        for inner in base.family.biases:
            path, _, local = inner.rpartition(".")
            owner = layer.get_submodule(path)
            setattr(owner, local, _shorter(owner.get_parameter(local), 0, share))

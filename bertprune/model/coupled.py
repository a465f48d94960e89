"""Heads and neurons: rows of some matrices and columns of another that go together, so that shapes could shrink."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from ..errors import SelectionError
from ..selection import Selection
from .families import Encoder, Place, encoder, layers, places
from .family_tables import KNOWN_FAMILIES
from .matching import computed_tensor, is_computed, matching_paths, refuse_adapters
from .targets import Target, every_target

Coupling = Literal["neuron", "head"]

ROWS: Mapping[Coupling, tuple[str, ...]] = {
    "neuron": ("ffn.intermediate",),
    "head": ("attention.query", "attention.key", "attention.value"),
}
COLUMNS: Mapping[Coupling, str] = {"neuron": "ffn.output", "head": "attention.output"}


@dataclass(frozen=True, eq=False)
class Coupled:
    """The heads, or the neurons, of one layer."""

    kind: Coupling
    layer: int
    uses: int
    """How many layers of a forward pass share this one."""
    number: int
    """How many there are."""
    output: Target
    """The matrix whose columns go."""
    columns: Tensor
    """Which of them each of its columns belongs to."""
    inputs: tuple[tuple[Target, Tensor], ...]
    """The tensors whose rows go, biases included, and which of them each row belongs to."""
    vectors: tuple[str, ...]
    """The names of vectors, as long as the columns, that are added to projections: never masked, cut where shapes
    shrink."""

    @property
    def targets(self) -> tuple[Target, ...]:
        """All tensors, the output first."""
        return (self.output, *(target for target, _ in self.inputs))


def find_coupled(
    model: nn.Module, kind: Coupling, selection: Selection, missing: Iterable[str] = ()
) -> tuple[Coupled, ...]:
    """Return the heads or neurons of each layer in which the selection matches a module that they are part of.

    What the selection excludes, and what the checkpoint lacks, leaves out its whole layer. Meta tensors work too.
    Raises SelectionError where the family is not known, or nothing matches.
    """
    refuse_adapters(model)
    where, base = places(model), encoder(model)
    if base is None:
        raise SelectionError(
            "the heads and neurons of {model} are not known, only those of models with one encoder of these families:"
            " {families}",
            code="selection.unknown_coupling", model=type(model).__name__, families=KNOWN_FAMILIES,
        )  # fmt: skip
    targets = {owner.name: target for target in every_target(model) for owner in target.owners}
    modules = _modules(model, kind, where, targets)
    numbered = layers(model)
    matched = matching_paths(model, selection)
    chosen, spared = matched.chosen, matched.spared
    unavailable = frozenset(missing)
    found = []
    for layer, paths in modules.items():
        if chosen.isdisjoint(paths) or not spared.isdisjoint(paths):
            continue
        vectors = tuple(f"{numbered[layer][0]}.{inner}" for inner in base.family.biases) if kind == "head" else ()
        one = _couple(kind, layer, {path: where[path] for path in paths}, targets, base, vectors)
        if unavailable.isdisjoint(name for target in one.targets for name in (target.name, *target.aliases)):
            found.append(one)
    if not found:
        raise SelectionError(
            "the selection matches no module that {kind}s are part of: select one of the roles {roles}",
            code="selection.no_coupling", kind=kind, roles=", ".join((*ROWS[kind], COLUMNS[kind])),
        )  # fmt: skip
    matched.check(modules.values())
    return tuple(found)


def _modules(
    model: nn.Module, kind: Coupling, where: Mapping[str, Place], targets: Mapping[str, Target]
) -> dict[int, list[str]]:
    """List the modules that heads or neurons are part of, by layer."""
    modules: dict[int, list[str]] = {}
    for path, place in where.items():
        if place.layer is None or set(place.roles).isdisjoint((*ROWS[kind], COLUMNS[kind])):
            continue
        if f"{path}.weight" in targets or is_computed(model.get_submodule(path), "weight"):
            modules.setdefault(place.layer, []).append(path)
    return modules


def _couple(
    kind: Coupling,
    layer: int,
    where: Mapping[str, Place],
    targets: Mapping[str, Target],
    base: Encoder,
    vectors: tuple[str, ...],
) -> Coupled:
    outputs = [path for path, place in where.items() if place.role == COLUMNS[kind]]
    if len(outputs) != 1:
        raise SelectionError(
            "layer {layer} has {number} modules with the role {role}: its {kind}s cannot be told apart",
            code="selection.several_outputs", layer=layer, number=len(outputs), role=COLUMNS[kind], kind=kind,
        )  # fmt: skip
    for path in where:
        if f"{path}.weight" not in targets:
            raise computed_tensor(f"{path}.weight")
    output = targets[f"{outputs[0]}.weight"]
    width = output.parameter.shape[1]
    groups = torch.arange(width, device="cpu") if kind == "neuron" else _heads(width, base)
    number = int(groups.max()) + 1 if width else 0
    inputs = []
    for path, place in where.items():
        if path == outputs[0]:
            continue
        weight = targets[f"{path}.weight"]
        rows = _rows(place, len(weight.parameter), groups, number)
        if rows is None:
            raise SelectionError(
                "{tensor} has {rows:,} rows, which do not fit the {width:,} columns of {output}",
                code="selection.rows_of_groups", tensor=weight.name, rows=len(weight.parameter), width=width,
                output=output.name,
            )  # fmt: skip
        inputs.append((weight, rows))
        if (bias := targets.get(f"{path}.bias")) is not None:
            inputs.append((bias, rows))
    return Coupled(kind, layer, where[outputs[0]].uses, number, output, groups, tuple(inputs), vectors)


def _heads(width: int, base: Encoder) -> Tensor:
    """Number the columns by head; heads that share their keys and values are one."""
    return torch.arange(width, device="cpu") // (base.head_size * base.shared_heads)


def _rows(place: Place, height: int, groups: Tensor, number: int) -> Tensor | None:
    """Number the rows of a matrix as the columns of the output are numbered; None where they do not fit."""
    width = len(groups)
    if place.is_fused and place.by_head:  # each head has its rows of every projection
        return torch.arange(height, device="cpu") // (height // number) if height == width * len(place.roles) else None
    if height and height % width == 0:  # several projections, or both inputs of a gate, one below the other
        return groups.repeat(height // width)
    return (
        torch.arange(height, device="cpu") // (height // number)
        if number and height % number == 0 and height < width
        else None
    )

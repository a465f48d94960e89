"""Which layers of an encoder a selection matches, with the tensors that leave the model with each."""

from torch import nn

from ..errors import SelectionError
from ..selection import Selection
from .families import encoder, layers, places
from .family_tables import KNOWN_FAMILIES, Family
from .matching import matching_paths, refuse_adapters
from .targets import Target, every_target


def find_layers(model: nn.Module, selection: Selection) -> tuple[dict[int, tuple[Target, ...]], int]:
    """Return the layers in which the selection matches a module, by number, and how many others there are.

    What the selection excludes leaves out its whole layer. A first layer that is built otherwise than the others stays,
    and must not be asked for. Raises SelectionError.
    """
    refuse_adapters(model)
    base = encoder(model)
    if base is None:
        raise SelectionError(
            "the layers of {model} are not known, only those of models with one encoder of these families: {families}",
            code="selection.unknown_layers", model=type(model).__name__, families=KNOWN_FAMILIES,
        )  # fmt: skip
    if base.family.shared_by is not None:
        raise SelectionError(
            "the layers of {family} share their weights, so that none can be removed by itself",
            code="selection.shared_layers", family=base.family.title,
        )  # fmt: skip
    tensors = _tensors_of_layers(model)
    chosen = _chosen(model, selection, frozenset(tensors))
    if base.family.first_differs and 0 in chosen:
        _refuse_first(selection, chosen, frozenset(tensors), base.family)
        chosen -= {0}
    found = {number: targets for number, targets in tensors.items() if number in chosen}
    return found, len(tensors) - len(found)


def _tensors_of_layers(model: nn.Module) -> dict[int, tuple[Target, ...]]:
    where = {path: place.layer for path, place in places(model).items()}
    found: dict[int, list[Target]] = {number: [] for number in layers(model)}
    for target in every_target(model):
        number = where.get(target.owners[0].path)
        if number is not None:
            found[number].append(target)
    return {number: tuple(targets) for number, targets in found.items()}


def _chosen(model: nn.Module, selection: Selection, known: frozenset[int]) -> frozenset[int]:
    matched, inside = matching_paths(model, selection), dict[int, list[str]]()
    for path, place in places(model).items():
        if place.layer is not None:
            inside.setdefault(place.layer, []).append(path)
    chosen = frozenset(
        number
        for number in known
        if not matched.chosen.isdisjoint(inside[number]) and matched.spared.isdisjoint(inside[number])
    )
    if not chosen:
        raise SelectionError("the selection matches no layer of the encoder", code="selection.no_layer")
    matched.check(inside.values())
    return chosen


def _refuse_first(selection: Selection, chosen: frozenset[int], known: frozenset[int], family: Family) -> None:
    if selection.layers or chosen != known or len(known) == 1:
        raise SelectionError(
            "layer 0 of {family} cannot be removed: it is built differently, and no other can take its place",
            code="selection.first_layer", family=family.title,
        )  # fmt: skip

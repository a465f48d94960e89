"""The grid of roles × layers as a component of the page, and its cells as a selection."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import gradio as gr

import bertprune as bp

from .i18n import say
from .theme import component
from .trouble import PageError

Cell = tuple[str, int | None]
"""A role and a layer; None for what is in no layer."""

ROLES = (
    "attention.query", "attention.key", "attention.value", "attention.output", "ffn.intermediate", "ffn.output",
    "embeddings.word", "embeddings.position", "embeddings.token_type", "pooler", "head",
)  # fmt: skip
_TEXTS = ("grid", "all", "every", "roles", "layer", "outside", "info")


def cell_grid() -> gr.HTML:
    """Make the component; its value is that of `grid_value`, with the selected cells in `on`."""
    return component("cells", "cells")


def cells_of(root: bp.ModuleNode) -> dict[Cell, list[str]]:
    """Read the roles and layers from a tree, with the paths of the modules that have matrices."""
    found: dict[Cell, list[str]] = defaultdict(list)
    for node in root.walk():
        matrices = node.own_parameters and not node.children and "Norm" not in node.type
        for role in node.place.roles if matrices and node.place else ():
            found[role, node.place.layer].append(node.path)
    return dict(sorted(found.items(), key=lambda one: (ROLES.index(one[0][0]), -1 if one[0][1] is None else one[0][1])))


def grid_value(language: str, there: Iterable[Cell], on: Iterable[Cell]) -> dict[str, Any]:
    """Write a model's cells, and which of them are selected, as the data that the component draws."""
    layers: dict[str, list[int]] = {}
    for role, layer in there:
        layers.setdefault(role, []).extend([] if layer is None else [layer])
    return {
        "rows": [{"role": role, "layers": its} for role, its in layers.items()],
        "layers": sorted({layer for its in layers.values() for layer in its}),
        "on": [list(cell) for cell in on],
        "text": {key: say(language, f"cells_{key}") for key in _TEXTS},
    }


def chosen(value: Any) -> tuple[Cell, ...]:
    """Read the selected cells from what the browser sends; anything else is ignored."""
    sent = value.get("on") if isinstance(value, dict) else None
    pairs = [tuple(one) for one in sent if isinstance(one, list)] if isinstance(sent, list) else []
    return tuple(dict.fromkeys(pair for pair in pairs if _is_cell(pair)))


def _is_cell(pair: tuple[Any, ...]) -> bool:
    return len(pair) == 2 and pair[0] in ROLES and (pair[1] is None or type(pair[1]) is int)


def default_cells(there: Iterable[Cell]) -> list[Cell]:
    """Return the default selection: the tutorial's query, key and value, or else the first role."""
    cells = list(there)
    qkv = [cell for cell in cells if cell[0] in ("attention.query", "attention.key", "attention.value")]
    return qkv or [cell for cell in cells if cell[0] == cells[0][0]]


def to_selection(cells: Iterable[Cell], there: Mapping[Cell, list[str]]) -> dict[str, tuple[Any, ...]]:
    """Write selected cells as a selection: by roles and layers where possible, else by the modules' paths."""
    wanted = [cell for cell in there if cell in set(cells)]
    roles = tuple(dict.fromkeys(role for role, _ in wanted))
    layers = tuple(sorted({layer for _, layer in wanted if layer is not None}))
    if wanted == [cell for cell in there if cell[0] in roles]:
        return {"roles": roles}
    if wanted == [(role, layer) for role in roles for layer in layers]:
        return {"roles": roles, "layers": layers}
    return _by_path(wanted, roles, there)


def _by_path(wanted: list[Cell], roles: tuple[str, ...], there: Mapping[Cell, list[str]]) -> dict[str, tuple[Any, ...]]:
    """Write selected cells by path, and by role too where a fused projection is selected in part."""
    include, paths = tuple(_folded(wanted, there)), {path for cell in wanted for path in there[cell]}
    others = {role for (role, layer), its in there.items() if (role, layer) not in wanted and not paths.isdisjoint(its)}
    if not others:
        return {"include": include}
    if not others.isdisjoint(roles):
        raise PageError("choose_parts")
    return {"roles": roles, "include": include}


def _folded(wanted: Iterable[Cell], there: Mapping[Cell, list[str]]) -> list[str]:
    """Write the paths of modules as patterns; those that differ only by their layer share one: `layer.{0,2}.key`."""
    numbers: dict[tuple[str, str], list[int]] = defaultdict(list)
    for path, layer in dict.fromkeys((path, cell[1]) for cell in wanted for path in there[cell]):
        before, found, after = path.partition(f".{layer}.")
        numbers[(before, after) if found else (path, "")] += [layer] if found and layer is not None else []
    return [
        (f"{before}.{many[0]}.{after}" if len(many) == 1 else f"{before}.{{{','.join(map(str, many))}}}.{after}")
        if many
        else before
        for (before, after), many in numbers.items()
    ]

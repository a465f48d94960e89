"""What the form of a step offers: the tutorial's recipes, a method's options, what it prunes together, and where."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import bertprune as bp

from .errors import PageError

_EXAMPLES = {"pattern": ("2:4", "4:8"), "block": ("block:4x4", "block:16x16")}
"""What is offered of granularities that have numbers; others of the kind can be typed."""


def kind_of(granularity: str) -> str:
    """Return the kind of a granularity as a step gives it: `pattern` for N:M, `block` with any numbers."""
    if granularity.startswith("block:"):
        return "block"
    return "pattern" if ":" in granularity else granularity


def granularities(method: Any) -> list[str]:
    """List what a method can prune together, its own first."""
    return [one for kind in method.granularities for one in _EXAMPLES.get(kind, (kind,))]


def granularity_of(method: Any, chosen: str | None) -> str:
    """Return what is chosen where the method can prune by it, and the method's own elsewhere."""
    given = (chosen or "").strip()
    return given if kind_of(given) in method.granularities else granularities(method)[0]


def can_reconstruct(method: Any, granularity: str) -> bool:
    """Return whether to offer it; torch's methods, which prune one thing, stay as simple as in torch."""
    return len(granularities(method)) > 1 and bool(method.reconstructs(kind_of(granularity)))


def reads_texts(method: str, reconstruct: bool, everything: bool = False) -> bool:
    """Return whether a step by the method of that name reads calibration texts; none for layers that all go."""
    found = bp.methods().get(method)
    if found is not None and everything and found.removes == "layer":
        return False
    return found is not None and (found.needs_texts or reconstruct)


def as_number(typed: Any) -> float | int | None:
    """Read a number as it is typed; None where it is none."""
    try:
        return int(str(typed).strip())
    except ValueError:
        pass
    try:
        return float(str(typed).strip())
    except ValueError:
        return None


def whole_number(sent: Any) -> int:
    """Read the number of a card or a run; 0, which none has, where it is none."""
    number = as_number(sent)
    return number if isinstance(number, int) else 0


@dataclass(frozen=True)
class OptionField:
    """One option of a method as a field of the page."""

    name: str
    kind: str
    """`integer`, `number`, `boolean`, `choice` or `text`."""
    default: Any = None
    help: str = ""
    choices: tuple[Any, ...] = ()
    required: bool = False


def option_fields(method: Any) -> tuple[OptionField, ...]:
    """Read a method's options from their JSON schema."""
    schema = method.options.model_json_schema()
    required = schema.get("required", ())
    return tuple(_field(name, spec, name in required) for name, spec in schema.get("properties", {}).items())


def _field(name: str, spec: Mapping[str, Any], required: bool) -> OptionField:
    kinds = {one.get("type") for one in spec.get("anyOf", [spec])}
    choices = tuple(spec.get("enum", ()))
    if choices:
        kind = "choice"
    elif "string" in kinds or not kinds & {"integer", "number", "boolean"}:
        kind = "text"
    else:
        kind = next(kind for kind in ("number", "integer", "boolean") if kind in kinds)
    default = spec.get("default")
    if isinstance(default, float) and not math.isfinite(default):
        kind = "text"
    return OptionField(name, kind, default, spec.get("description", ""), choices, required)


def option_value(option: OptionField, typed: Any) -> Any:
    """Convert a typed value as the method's schema asks."""
    if not isinstance(typed, str):
        return typed
    if option.kind == "choice":
        return next((one for one in option.choices if str(one) == typed), typed)
    if option.kind == "text" and isinstance(option.default, str):
        return typed
    number = as_number(typed)
    if number is None:
        return typed
    if option.kind == "number" and isinstance(option.default, float):
        return float(number)
    # a whole number stays whole where the default is one (`n: 2`), as torch tells the two apart
    return int(number) if isinstance(number, float) and number.is_integer() and math.isfinite(number) else number


Cell = tuple[str, int | None]
"""A role and a layer; None for what is in no layer."""

ROLES = (
    "attention.query", "attention.key", "attention.value", "attention.output", "ffn.intermediate", "ffn.output",
    "embeddings.word", "embeddings.position", "embeddings.token_type", "pooler", "head",
)  # fmt: skip


def cells_of(root: bp.ModuleNode) -> dict[Cell, list[str]]:
    """Read the roles and layers from a tree, with the paths of the modules that have matrices."""
    found: dict[Cell, list[str]] = defaultdict(list)
    for node in root.walk():
        matrices = node.own_parameters and not node.children and "Norm" not in node.type
        for role in node.place.roles if matrices and node.place else ():
            found[role, node.place.layer].append(node.path)
    return dict(sorted(found.items(), key=lambda one: (ROLES.index(one[0][0]), -1 if one[0][1] is None else one[0][1])))


def cells_in(value: Any) -> tuple[Cell, ...]:
    """Read cells from what the browser sends; anything else is ignored."""
    pairs = [tuple(one) for one in value if isinstance(one, list)] if isinstance(value, list) else []
    return tuple(dict.fromkeys(pair for pair in pairs if _is_cell(pair)))


def _is_cell(pair: tuple[Any, ...]) -> bool:
    return len(pair) == 2 and pair[0] in ROLES and (pair[1] is None or type(pair[1]) is int)


def layers_of(there: Iterable[Cell]) -> tuple[int, ...]:
    """Return the numbers of the layers."""
    return tuple(sorted({layer for _, layer in there if layer is not None}))


def default_cells(there: Iterable[Cell]) -> list[Cell]:
    """Return the default selection: the tutorial's query, key and value, or else the first role."""
    cells = list(there)
    qkv = [cell for cell in cells if cell[0] in ("attention.query", "attention.key", "attention.value")]
    return qkv or [cell for cell in cells if cell[0] == cells[0][0]]


def to_selection(cells: Iterable[Cell], there: Mapping[Cell, list[str]]) -> dict[str, tuple[Any, ...]]:
    """Write selected cells as a selection: by roles and layers where possible, else by the modules' paths."""
    wanted = [cell for cell in there if cell in set(cells)]
    roles = tuple(dict.fromkeys(role for role, _ in wanted))
    layers = layers_of(wanted)
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


_KEY: dict[str, Any] = {"roles": ["attention.key"], "layers": [0]}
_RANDOM: dict[str, Any] = {"method": "random_unstructured", "fraction": 0.3, "select": _KEY}
_BIAS: dict[str, Any] = {"method": "l1_unstructured", "count": 50, "select": {**_KEY, "tensor": "bias"}}
_COLUMNS: dict[str, Any] = {
    "method": "ln_structured", "fraction": 0.3, "options": {"n": 2, "dim": 1}, "select": _KEY,
}  # fmt: skip
_QKV: dict[str, Any] = {"roles": ["attention.query", "attention.key", "attention.value"]}
PRESETS: dict[str, tuple[dict[str, Any], ...]] = {
    "random": (_RANDOM,),
    "bias": (_RANDOM, _BIAS),
    "columns": (_RANDOM, _BIAS, _COLUMNS),
    "types": tuple(
        {"method": "l1_unstructured", "fraction": share, "select": {"types": [kind]}}
        for kind, share in (("Embedding", 0.2), ("Linear", 0.4))
    ),
    "global": ({"method": "l1_unstructured", "fraction": 0.2, "scope": "global", "select": _QKV},),
}
"""The tutorial's steps as recipes, by role and layer so that they fit every family; in its order."""


def preset(name: str) -> bp.Recipe:
    return bp.Recipe(steps=[bp.Step(**step) for step in PRESETS[name]])

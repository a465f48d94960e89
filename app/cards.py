"""A card of the recipe: the fields of one step as they are typed, which may be wrong, and the step that they make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import bertprune as bp

from .errors import PageError, naming_field
from .offers import (
    Cell,
    as_number,
    can_reconstruct,
    cells_in,
    cells_of,
    default_cells,
    granularities,
    granularity_of,
    kind_of,
    layers_of,
    option_fields,
    option_value,
    to_selection,
)

COUPLED = ("neuron", "head", "layer", "token")
"""What is pruned together over several tensors, and so chosen by layer."""
_LONGEST = 2_000
"""Characters of a field."""
_TYPED = "where include exclude tensor method amount percent count scope granularity".split()
"""The fields that are text as it was typed or chosen."""


@dataclass(frozen=True)
class Form:
    """The fields of one step."""

    where: str = "roles"
    """`roles`, `module`, `types`, `pattern`, or `given` for a selection that no other way can show."""
    cells: tuple[Cell, ...] = ()
    layers: tuple[int, ...] | None = None
    """Which layers lose neurons or heads, or go; None stands for all."""
    types: tuple[str, ...] = ()
    include: str = ""
    exclude: str = ""
    module: str = ""
    given: bp.Selection | None = None
    tensor: str = "weight"
    method: str = "l1_unstructured"
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, hash=False)
    """The values typed for the options of each method."""
    amount: str = "fraction"
    percent: Any = 20
    count: Any = None
    scope: str = "local"
    granularity: str = ""
    """Empty for the method's own."""
    reconstruct: bool = False


@dataclass(frozen=True)
class Card:
    """One step of the recipe, by a number that stays when it is moved."""

    number: int
    form: Form


def first_form(root: bp.ModuleNode, module: str = "") -> Form:
    """Return the fields of a new step: the tutorial's query, key and value, a fifth of their weights."""
    there = cells_of(root)
    return Form(cells=tuple(default_cells(there)) if there else (), module=module)


def make_step(form: Form, root: bp.ModuleNode) -> bp.Step:
    """Make the step of some fields, for a model's modules. Raises BertpruneError."""
    with naming_field("step"):
        return bp.Step(
            method=form.method,
            scope=form.scope,
            select=_selection(form, root),
            options=_options(form),
            **_together(form),
        )


def form_of(step: bp.Step, root: bp.ModuleNode, module: str = "") -> Form:
    """Return the fields that make a step; where no choice shows its selection, that is kept as it is."""
    method = bp.methods().get(step.method)
    form = Form(
        module=module,
        tensor=step.select.tensor,
        method=step.method,
        options={step.method: dict(step.options)} if step.options else {},
        amount="fraction" if step.count is None else "count",
        percent=20 if step.fraction is None else as_number(f"{100 * step.fraction:.10g}"),
        count=step.count,
        scope=step.scope,
        granularity=step.granularity or "",
        reconstruct=step.reconstruct,
    )
    if method is not None and step.granularity == method.granularities[0]:
        form = replace(form, granularity="")
    for one in _ways(step.select, cells_of(root), form):
        if _makes(one, step, root):
            return one
    return replace(form, where="given", given=step.select)


def _ways(select: bp.Selection, there: dict[Cell, list[str]], form: Form) -> list[Form]:
    """Return the fields by which a selection might be chosen."""
    cells = [cell for cell in there if cell[0] in select.roles and (not select.layers or cell[1] in select.layers)]
    first, *_ = (*select.include, "")
    lines = {"include": "\n".join(select.include), "exclude": "\n".join(select.exclude)}
    return [
        replace(form, cells=tuple(cells), layers=tuple(sorted(select.layers)) or None),
        replace(form, where="types", types=tuple(select.types)),
        replace(form, where="module", module="" if first == "*" else first),
        replace(form, where="pattern", **lines),
    ]


def _makes(form: Form, step: bp.Step, root: bp.ModuleNode) -> bool:
    try:
        made = make_step(form, root)
    except bp.BertpruneError:
        return False
    return made.model_copy(update={"granularity": step.granularity}) == step


def kind(form: Form) -> str:
    """Return the kind of what a step prunes together."""
    method = bp.methods().get(form.method)
    return "element" if method is None else kind_of(_granularity(form, method))


def _granularity(form: Form, method: Any) -> str:
    """Return what is typed where there is a choice, as it is typed; the method's own elsewhere."""
    typed = form.granularity.strip() if len(granularities(method)) > 1 else ""
    return typed or granularity_of(method, None)


def _together(form: Form) -> dict[str, Any]:
    """Read what is pruned together, how much of it, and whether what stays is adjusted; hidden fields say nothing."""
    method = bp.methods().get(form.method)
    if method is None:
        return _amount(form)
    asked = _granularity(form, method)
    amount = {} if kind_of(asked) == "pattern" else _amount(form)
    own = asked == method.granularities[0]
    reconstruct = form.reconstruct and can_reconstruct(method, asked)
    return {"granularity": None if own else asked, "reconstruct": reconstruct, **amount}


def _selection(form: Form, root: bp.ModuleNode) -> bp.Selection:
    if form.where == "given" and form.given is not None:
        return form.given
    if kind(form) in COUPLED:
        return bp.Selection(layers=() if kind(form) == "token" else _layers(form, root))
    given, missing = _chosen(form, root)
    if missing:
        raise PageError(f"choose_{form.where}")
    return bp.Selection(**given, tensor=form.tensor.strip() or "weight")


def _layers(form: Form, root: bp.ModuleNode) -> tuple[int, ...]:
    there = layers_of(cells_of(root))
    chosen = there if form.layers is None else tuple(layer for layer in form.layers if layer in there)
    if there and not chosen:
        raise PageError("choose_layers")
    return () if chosen == there else chosen


def _chosen(form: Form, root: bp.ModuleNode) -> tuple[dict[str, Any], bool]:
    """Return the fields of the selection, and whether nothing was chosen."""
    if form.where == "types":
        return {"types": form.types}, not form.types
    if form.where == "module":  # the root has no path, and everything is below it
        return {"include": (form.module, f"{form.module}.*") if form.module else ("*",)}, False
    if form.where == "pattern":
        include, exclude = _patterns(form.include), _patterns(form.exclude)
        return {"include": include, "exclude": exclude}, not include
    given = to_selection(form.cells, cells_of(root))
    return given, not any(given.values())


def _patterns(text: str) -> tuple[str, ...]:
    """Split at line ends and blanks; commas belong to braces."""
    return tuple(text.split())


def _amount(form: Form) -> dict[str, Any]:
    number = as_number(form.percent if form.amount == "fraction" else form.count)
    if form.amount == "fraction":
        if number is None or not 0 < number <= 100:
            raise PageError("amount_percent")
        return {"fraction": float(f"{number / 100:.10g}")}
    if number is None or not 1 <= number < 2**63 or number != int(number):
        raise PageError("amount_count")
    return {"count": int(number)}


def set_field(form: Form, name: str, value: Any, root: bp.ModuleNode) -> Form:
    """Change one field to what the browser sends; what is none of its values is ignored."""
    if name in ("cells", "layers", "types"):
        return _toggled(form, name, value, root)
    if name.startswith("option."):
        return _with_option(form, name.removeprefix("option."), value)
    if name == "reconstruct":
        return replace(form, reconstruct=value is True)
    text = str(value)[:_LONGEST]
    if name in _TYPED:
        return _fitting(replace(form, **{name: text}))
    return form


def _fitting(form: Form) -> Form:
    """Choose another scope where the method, with what it prunes together, does not have the one that was chosen."""
    method = bp.methods().get(form.method)
    if method is None:
        return form
    if kind_of(form.granularity or granularity_of(method, None)) not in method.granularities:
        form = replace(form, granularity="")
    scopes = method.scopes_by(kind(form))
    return form if form.scope in scopes or not scopes else replace(form, scope=scopes[0])


def _toggled(form: Form, name: str, value: Any, root: bp.ModuleNode) -> Form:
    """Switch cells, layers or types on or off."""
    sent, on = (value.get("of"), value.get("on") is True) if isinstance(value, dict) else ([], False)
    there = cells_of(root)
    if name == "cells":
        known, given = tuple(there), cells_in(sent)
    else:
        known = layers_of(there) if name == "layers" else tuple(sorted({node.type for node in root.walk()}))
        given = tuple(one for one in known if isinstance(sent, list) and one in sent)
    now = known if getattr(form, name) is None else getattr(form, name)
    return replace(form, **{name: tuple(one for one in known if (on if one in given else one in now))})


def _with_option(form: Form, name: str, typed: Any) -> Form:
    """Store a typed value among the options; an empty field means the default."""
    rest = {key: old for key, old in form.options.get(form.method, {}).items() if key != name}
    kept = rest if typed is None or typed == "" else {**rest, name: typed if isinstance(typed, bool) else str(typed)}
    return replace(form, options={**form.options, form.method: kept})


def _options(form: Form) -> dict[str, Any]:
    """Read the options of the method as its schema asks."""
    typed, method = dict(form.options.get(form.method, {})), bp.methods().get(form.method)
    known = {one.name: one for one in option_fields(method)} if method is not None else {}
    return {name: option_value(known[name], value) if name in known else value for name, value in typed.items()}

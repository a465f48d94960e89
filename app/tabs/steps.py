"""A step in words, and the fields of a card that is open: they are the step."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from markupsafe import Markup

import bertprune as bp

from ..cards import COUPLED, Form, kind
from ..html import check, entry, field, joined, note, percent, select, tag
from ..i18n import say, say_or
from ..offers import (
    Cell,
    OptionField,
    can_reconstruct,
    cells_of,
    granularities,
    granularity_of,
    kind_of,
    layers_of,
    option_fields,
)


def amount(language: str, step: bp.Step) -> str:
    if step.fraction is not None:
        return percent(step.fraction, 2).replace(".00%", "%")
    # N:M is its own amount
    return str(step.granularity) if step.count is None else say(language, "amount_of", count=f"{step.count:,}")


def granularity_name(language: str, granularity: str) -> str:
    """Name what is pruned together; N:M and blocks by their numbers."""
    kind, _, numbers = granularity.rpartition(":")
    if kind == "block":
        return say(language, "blocks_of", size=numbers.replace("x", " × "))
    if kind:
        return say(language, "pattern_of", kept=kind, of=numbers)
    return say_or(language, f"together_{granularity}", granularity)


def manner(language: str, step: bp.Step) -> str:
    """Write what a step prunes together, who is compared with whom, and whether what stays is adjusted."""
    together = [granularity_name(language, step.granularity)] if step.granularity and not step.is_pattern else []
    scope = [] if step.is_pattern else [say(language, f"scope_{step.scope}")]
    return " · ".join([*together, *scope, *([say(language, "step_reconstructed")] if step.reconstruct else [])])


def selection(language: str, select: bp.Selection) -> str:
    """Describe what a step selects, in a few words."""
    parts = []
    for name in ("roles", "layers", "types", "include", "exclude"):
        if values := getattr(select, name):
            parts.append(f"{say(language, f'select_{name}')} {', '.join(map(str, values))}")
    if select.tensor != "weight":
        parts.append(f"{say(language, 'select_tensor')} {select.tensor}")
    return " · ".join(parts) or say(language, "where_everything")


def step_line(language: str, step: bp.Step) -> str:
    """Write a step in one line: its method, amount, manner and options."""
    options = "".join(f", {key}={value}" for key, value in step.options.items())
    return f"{step.method} {amount(language, step)} · {manner(language, step)}{options}".replace(" · ,", ",")


def recipe_line(language: str, recipe: bp.Recipe) -> str:
    """Write a recipe in one line: its first step, and how many follow."""
    if not recipe.steps:
        return say(language, "runs_dense")
    first, *more = recipe.steps
    others = f" {say(language, 'compare_more', count=len(more))}" if more else ""
    return step_line(language, first) + others


def method_card(language: str, method: Any) -> Markup:
    """Describe a method in one line, with its paper."""
    words = say_or(language, f"method_{method.name}", method.summary)
    # where there are several, they are a choice of the form
    single = len(method.granularities) == 1
    removes = tag("span", say(language, f"removes_{method.removes}"), cls="bp-kind") if single else ""
    paper = (
        tag("a", say(language, "method_paper"), href=method.paper, target="_blank", rel="noreferrer")
        if str(method.paper or "").startswith("https://")
        else ""
    )
    return tag("p", words, " ", removes, " ", paper, cls="bp-method")


def method_title(language: str, method: Any) -> str:
    """Write a method's title, with the name that recipes use."""
    return f"{say_or(language, f'title_{method.name}', method.title)} · {method.name}"


_SET = {"data_set": "1"}
_WAYS = ("roles", "types", "module", "pattern")


def fields_of(language: str, form: Form, root: bp.ModuleNode) -> Markup:
    """Write the fields of a step: how, how much, where."""
    how = tag("div", _method(language, form), _amounts(language, form))
    return tag("div", how, _where(language, form, root), cls="bp-fields")


def _method(language: str, form: Form) -> Markup:
    known = bp.methods()
    method = known.get(form.method)
    options = [(method_title(language, one), name) for name, one in known.items()]
    if method is None:
        return _choice(language, "method", [*options, (form.method, form.method)], form.method)
    offered = granularities(method)
    chosen = form.granularity.strip() or offered[0]
    parts = [_choice(language, "method", options, form.method), method_card(language, method)]
    if len(offered) > 1:
        parts.append(_granularity(language, form, offered, chosen))
    parts += [_option(language, one, form.options.get(form.method, {}).get(one.name)) for one in option_fields(method)]
    if can_reconstruct(method, granularity_of(method, chosen)):
        info = say(language, "reconstruct_info")
        parts.append(check("reconstruct", form.reconstruct, say(language, "reconstruct"), info, **_SET))
    return tag("div", *parts)


def _choice(
    language: str, name: str, options: Iterable[tuple[object, object]], value: object, info: str = ""
) -> Markup:
    return field(say(language, name), select(name, options, value, **_SET), info)


def _granularity(language: str, form: Form, offered: Sequence[str], chosen: str) -> Markup:
    """Offer what is pruned together; sizes of one's own can be typed in place of those of the examples."""
    known = [*offered] if chosen in offered else [*offered, chosen]
    named = [(granularity_name(language, one), one) for one in known]
    parts = [_choice(language, "granularity", named, chosen)]
    if kind_of(chosen) in ("pattern", "block"):
        info = say(language, "granularity_info")
        parts.append(field(say(language, "granularity_size"), entry("granularity", chosen, data_set="1"), info))
    return joined(parts)


def _option(language: str, option: OptionField, typed: Any) -> Markup:
    """Write the field of one of the method's own options."""
    name, info = f"option.{option.name}", say_or(language, f"option_{option.name}", option.help)
    value = option.default if typed is None else typed
    if option.kind == "boolean":
        return check(name, value is True, option.name, info, **_SET)
    if option.kind == "choice":
        return field(option.name, select(name, [(one, one) for one in option.choices], value, **_SET), info)
    return field(option.name, entry(name, value, **_SET), info)


def _amounts(language: str, form: Form) -> Markup:
    """Write how much goes, and who is compared with whom; N:M is its own amount."""
    method = bp.methods().get(form.method)
    scopes = () if method is None else method.scopes_by(kind(form))
    parts = []
    if kind(form) != "pattern":
        ways = [(say(language, f"amount_{one}"), way) for one, way in (("fraction", "fraction"), ("number", "count"))]
        parts.append(_choice(language, "amount", ways, form.amount))
        parts.append(_fraction(language, form) if form.amount == "fraction" else _count(language, form))
    if len(scopes) > 1:
        named = [(say(language, f"scope_{scope}"), scope) for scope in scopes]
        parts.append(_choice(language, "scope", named, form.scope, say(language, "scope_info")))
    return tag("div", *parts)


def _fraction(language: str, form: Form) -> Markup:
    typed = entry("percent", form.percent, inputmode="decimal", size="5", **_SET)
    slide = entry(
        "percent", form.percent, "range", min="1", max="100", step="1", aria_label=say(language, "percent"), **_SET
    )
    slide = Markup(str(slide).replace('data-key="percent"', 'data-key="percent-range"'))
    info = say(language, "percent_info")
    return tag("div", field(say(language, "percent"), typed, info), slide, cls="bp-fraction")


def _count(language: str, form: Form) -> Markup:
    typed = entry("count", form.count, inputmode="numeric", **_SET)
    return field(say(language, "count"), typed, say(language, "count_info"))


def _where(language: str, form: Form, root: bp.ModuleNode) -> Markup:
    """Write where it prunes: by layers for what goes together over several tensors, by roles, types or names."""
    if kind(form) == "token":
        return tag("div", note(say(language, "where_tokens")))
    coupled = kind(form) in COUPLED
    ways = ["roles"] if coupled else list(_WAYS)
    ways += ["given"] if form.given is not None else []
    named = [(say(language, "where_layers" if coupled and way == "roles" else f"where_{way}"), way) for way in ways]
    chosen = "given" if form.where == "given" else ("roles" if coupled else form.where)
    parts = [_choice(language, "where", named, chosen)] if len(ways) > 1 else []
    if chosen == "given" and form.given is not None:
        return tag("div", *parts, tag("p", tag("code", selection(language, form.given)), cls="bp-names"))
    if coupled:
        return tag("div", *parts, _layers(language, form, layers_of(cells_of(root))))
    tensor = field(say(language, "tensor"), select("tensor", _tensors(form), form.tensor, **_SET))
    return tag("div", *parts, _chosen_way(language, form, root), tensor)


def _tensors(form: Form) -> list[tuple[str, str]]:
    return [(one, one) for one in dict.fromkeys(("weight", "bias", form.tensor))]


def _chosen_way(language: str, form: Form, root: bp.ModuleNode) -> Markup:
    if form.where == "types":
        return _types(language, form, root)
    if form.where == "module":
        name = form.module or say(language, "inspect_root")
        return note(say(language, "where_module_is", module=name))
    if form.where == "pattern":
        include = entry("include", form.include, "lines", placeholder="encoder.layer.{0,1}.attention.*", **_SET)
        exclude = entry("exclude", form.exclude, "lines", placeholder="*.LayerNorm", **_SET)
        info = say(language, "include_info")
        return joined([field(say(language, "include"), include, info), field(say(language, "exclude"), exclude)])
    return _grid(language, cells_of(root), form.cells)


def _types(language: str, form: Form, root: bp.ModuleNode) -> Markup:
    there = Counter(node.type for node in root.walk() if node.own_parameters)
    boxes = [
        check("types", name in form.types, f"{name} ({count})", **_toggling("types", [name], f"type-{name}"))
        for name, count in there.most_common()
    ]
    return tag("fieldset", tag("legend", say(language, "types")), *boxes, cls="bp-list")


def _layers(language: str, form: Form, there: Sequence[int]) -> Markup:
    on = there if form.layers is None else form.layers
    switches = [_switch("layers", [one], one in on, str(one), f"{say(language, 'cells_layer')} {one}") for one in there]
    whole = _switch(
        "layers", list(there), set(on) >= set(there), say(language, "cells_all"), say(language, "cells_every")
    )
    name = say(language, "where_layers")
    shown = tag("div", whole, *switches, cls="bp-switches", role="group", aria_label=name)
    return tag("div", tag("span", name, cls="bp-name"), shown)


def _grid(language: str, there: dict[Cell, list[str]], chosen: Sequence[Cell]) -> Markup:
    """Write the model's roles × layers as switches; names of rows and columns switch all of theirs."""
    if not there:
        return note(say(language, "facts_prunable_none"))
    on, layers = set(chosen), layers_of(there)
    roles = tuple(dict.fromkeys(role for role, _ in there))

    def switch(cells: list[Cell], text: str, label: str) -> Markup:
        return _switch("cells", [list(cell) for cell in cells], set(cells) <= on, text, label)

    head = [tag("th", switch(list(there), say(language, "cells_all"), say(language, "cells_all")), scope="col")]
    for layer in layers:
        column = [cell for cell in there if cell[1] == layer]
        name = f"{say(language, 'cells_layer')} {layer}, {say(language, 'cells_roles')}"
        head.append(tag("th", switch(column, str(layer), name), scope="col"))
    rows = [tag("tr", *head)]
    for role in roles:
        every = [cell for cell in there if cell[0] == role]
        name = tag("th", switch(every, role, f"{role}, {say(language, 'cells_every')}"), scope="row")
        rows.append(tag("tr", name, *_row(language, role, every, layers, switch)))
    table = tag("table", tag("tbody", *rows), aria_label=say(language, "cells_grid"))
    return joined([tag("div", table, cls="bp-cells", tabindex="0", role="group"), note(say(language, "cells_info"))])


def _row(language: str, role: str, every: list[Cell], layers: Sequence[int], switch: Any) -> list[Markup]:
    if every[0][1] is None:
        wide = {"colspan": str(max(1, len(layers)))}
        return [tag("td", switch(every, "", f"{role}, {say(language, 'cells_outside')}"), **wide)]
    cells = []
    for layer in layers:
        known = (role, layer) in every
        label = f"{role}, {say(language, 'cells_layer')} {layer}"
        cells.append(tag("td", switch([(role, layer)], "", label) if known else ""))
    return cells


def _switch(name: str, of: list[Any], on: bool, text: str, label: str) -> Markup:
    given = _toggling(name, of, f"{name}-{label}")
    pressed = {"aria_pressed": "true" if on else "false"}
    return tag("button", text, type="button", cls="bp-switch", aria_label=label, title=label, **given, **pressed)


def _toggling(name: str, of: list[Any], key: str) -> dict[str, str]:
    """Return the attributes of what switches some of a field's values on or off."""
    return {"data_toggle": name, "data_of": json.dumps(of), "data_key": key}


def between(language: str, low: int, high: int) -> str:
    """Write a number, or from where to where it may be."""
    return f"{low:,}" if low == high else say(language, "preview_range", low=f"{low:,}", high=f"{high:,}")

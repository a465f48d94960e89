"""Make steps of the fields' values, and preview what they would prune."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from markupsafe import Markup

import bertprune as bp

from ..cells import cells_of, chosen, to_selection
from ..offers import can_reconstruct, granularities, granularity_of, kind_of
from ..plan import Plan
from ..presets import preset
from ..session import Shelf, Source
from ..trouble import PageError, error_text, naming_field
from ..views.recipe import preview_line, refusal, step_list

Options = Mapping[str, Mapping[str, Any]]
"""The values typed for the options of each method."""


@dataclass(frozen=True)
class Form:
    """The fields from which a step is made, in the order of the page."""

    where: str = "roles"
    """`roles`, `module`, `types` or `pattern`."""
    cells: Any = None
    """The value of the grid of roles × layers."""
    types: Sequence[str] = ()
    include: str = ""
    exclude: str = ""
    tensor: str = "weight"
    method: str = "l1_unstructured"
    options: Options = field(default_factory=dict)
    amount: str = "fraction"
    percent: float | None = 20
    count: float | None = None
    scope: str = "local"
    granularity: str | None = None
    reconstruct: bool = False
    module: str = ""


FIELDS = len(fields(Form)) - 1
"""How many fields the page sends; the module is chosen in the tree."""


def make_step(form: Form, root: bp.ModuleNode) -> bp.Step:
    """Make a step of the fields' values, for a model's modules. Raises BertpruneError."""
    with naming_field("step"):
        return bp.Step(
            method=form.method,
            scope=form.scope,
            select=_selection(form, root),
            options=dict(form.options.get(form.method, {})),
            **_together(form),
        )


def _together(form: Form) -> dict[str, Any]:
    """Read what is pruned together, how much of it, and whether what stays is adjusted; hidden fields say nothing."""
    method = bp.methods().get(form.method)
    if method is None:
        return _amount(form)
    typed = (form.granularity or "").strip() if len(granularities(method)) > 1 else ""
    asked = typed or granularity_of(method, None)
    amount = {} if kind_of(asked) == "pattern" else _amount(form)
    own = asked == method.granularities[0]
    reconstruct = form.reconstruct and can_reconstruct(method, asked)
    return {"granularity": None if own else asked, "reconstruct": reconstruct, **amount}


def _selection(form: Form, root: bp.ModuleNode) -> bp.Selection:
    given: dict[str, Any]
    if form.where == "roles":
        given = to_selection(chosen(form.cells), cells_of(root))
        missing = not any(given.values())
    elif form.where == "types":
        given = {"types": tuple(form.types)}
        missing = not form.types
    elif form.where == "module":
        # the root has no path, and everything is below it
        given = {"include": (form.module, f"{form.module}.*") if form.module else ("*",)}
        missing = False
    else:
        given = {"include": _patterns(form.include), "exclude": _patterns(form.exclude)}
        missing = not given["include"]
    if missing:
        raise PageError(f"choose_{form.where}")
    return bp.Selection(**given, tensor=(form.tensor or "").strip() or "weight")


def _patterns(text: str | None) -> tuple[str, ...]:
    """Split at line ends and blanks; commas belong to braces."""
    return tuple((text or "").split())


def _amount(form: Form) -> dict[str, Any]:
    if form.amount == "fraction":
        if form.percent is None or not 0 < form.percent <= 100:
            raise PageError("amount_percent")
        return {"fraction": float(f"{form.percent / 100:.10g}")}
    if form.count is None or not 1 <= form.count < 2**63 or form.count != int(form.count):
        raise PageError("amount_count")
    return {"count": int(form.count)}


def look_ahead(language: str, shelf: Shelf, source: Source, plan: Plan, form: Form) -> Markup:
    """Preview what the step in the fields would prune after the steps of the plan; or say what is wrong with it."""
    if not source:
        return Markup("")
    try:
        step = make_step(form, shelf.tree(source))
        return preview_line(language, _seen(shelf, source, plan.add(step).recipe)[-1])
    except bp.BertpruneError as error:
        return refusal(error_text(language, error))


def show_steps(language: str, shelf: Shelf, source: Source, plan: Plan) -> Markup:
    """List the steps, each with what it would prune; with the error where the recipe does not fit the model."""
    if not source or not plan.steps:
        return step_list(language, plan.steps, None)
    try:
        return step_list(language, plan.steps, _seen(shelf, source, plan.recipe))
    except bp.BertpruneError as error:
        return step_list(language, plan.steps, None, error_text(language, error))


def _seen(shelf: Shelf, source: Source, recipe: bp.Recipe) -> Sequence[Any]:
    def make() -> tuple[Any, int]:
        with naming_field("step"):
            return bp.preview(shelf.checkpoint(source), shelf.admitted(recipe)).steps, 20_000

    return shelf.keep((source, "preview", recipe), make)


def add_step(shelf: Shelf, source: Source, plan: Plan, form: Form) -> Plan:
    """Append the step in the fields to the plan, if it fits the model. Raises BertpruneError."""
    if not source:
        raise PageError("open_nothing")
    longer = plan.add(make_step(form, shelf.tree(source)))
    _seen(shelf, source, longer.recipe)
    return longer


def change_steps(plan: Plan, do: str, at: int = -1) -> Plan:
    """Change the steps by a button of the list."""
    if do in ("up", "down"):
        return plan.move(at, -1 if do == "up" else 1)
    if do == "remove":
        return plan.remove(at) if 0 <= at < len(plan.steps) else plan
    return {"undo": plan.undo, "redo": plan.redo, "clear": plan.clear}[do]()


def take_preset(plan: Plan, name: str) -> Plan:
    """Replace the steps by a recipe of the tutorial; undo restores them."""
    return plan.to(preset(name))


def read_yaml(shelf: Shelf, plan: Plan, text: str | None) -> Plan:
    """Replace the steps by those of a recipe in YAML. Raises BertpruneError."""
    if not (text or "").strip():
        raise PageError("yaml_empty")
    with naming_field("yaml"):
        return plan.to(shelf.admitted(bp.Recipe.from_yaml(text or "")))


def open_yaml(shelf: Shelf, plan: Plan, file: str) -> Plan:
    """Replace the steps by those of a recipe's file. Raises BertpruneError."""
    with naming_field("yaml"):
        return plan.to(shelf.admitted(bp.Recipe.load(file)))


def kept_plan(kept: Any) -> Plan:
    """Read the recipe that the browser kept; an empty plan where it kept none that can be read."""
    text = kept.get("recipe") if isinstance(kept, dict) else None
    try:
        return Plan(bp.Recipe.from_yaml(text)) if isinstance(text, str) and text.strip() else Plan()
    except bp.BertpruneError:
        return Plan()


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


def option_value(field_: OptionField, typed: Any) -> Any:
    """Convert a typed value as the method's schema asks; None means the default."""
    if typed is None or typed == "":
        return None
    if field_.kind == "integer" and float(typed).is_integer():
        return int(typed)
    if field_.kind == "number":
        return float(typed) if not float(typed).is_integer() else _whole(field_, typed)
    if field_.kind == "text" and not isinstance(field_.default, str):
        return _number_in(str(typed).strip())
    return typed


def _whole(field_: OptionField, typed: Any) -> Any:
    """Keep a whole number whole where the default is one (`n: 2`), as torch tells the two apart."""
    return float(typed) if isinstance(field_.default, float) else int(typed)


def _number_in(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text

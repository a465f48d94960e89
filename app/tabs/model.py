"""The first view: what to do, open a checkpoint, what it is, and the module that is selected in it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from markupsafe import Markup

import bertprune as bp

from ..cards import first_form, form_of, make_step
from ..html import (
    Part,
    button,
    entry,
    facts,
    field,
    form,
    heading,
    joined,
    link,
    next_step,
    note,
    percent,
    short_number,
    size_of,
    tag,
)
from ..i18n import say, translate_error
from ..making import with_recipe
from ..offers import PRESETS, cells_of, layers_of, preset
from ..opening import first_module, name_of, offered, open_given, open_upload
from ..runs import EMBEDDED, Source
from ..store import Progress, Store
from ..visit import Change, Visit, add_step, open_source, select_module
from ..visitors import Visitor
from .inspector import inspector

BUDGETS = ("0.5", "0.33", "0.25")
"""Shares of the multiply-accumulates that stay."""


def show_start(store: Store, visit: Visit) -> Markup:
    """Write what this is, and three ways to begin."""
    language = visit.language
    off = "" if visit.given.are_own(visit.source) or visit.given.file is not None else say(language, "texts_wanted")
    budgets = [
        button(say(language, f"budget_{one}"), "plan", via="search", macs=one, primary=not at, off=off)
        for at, one in enumerate(BUDGETS)
    ]
    if off:
        budgets += [note(off), link(say(language, "texts_give"), "recipe")]
    demo = " " + say(language, "start_demo") if visit.source.given == EMBEDDED[0] else ""
    tutorial = [button(say(language, f"preset_{name}"), "preset", name=name) for name in PRESETS]
    ways = [("smaller", tag("div", *budgets, cls="bp-actions")), ("tutorial", tag("div", *tutorial, cls="bp-list"))]
    built = button(say(language, "start_build_do"), "add", first="1")
    return tag(
        "section",
        tag("p", say(language, "start_what"), demo, cls="bp-lead"),
        tag("div", *(_way(language, name, inner) for name, inner in [*ways, ("build", built)]), cls="bp-ways"),
    )


def _way(language: str, name: str, inner: Markup) -> Markup:
    title, words = say(language, f"start_{name}"), say(language, f"start_{name}_what")
    return tag("section", tag("h2", title), tag("p", words), inner, cls="bp-way")


def show_open(store: Store, visit: Visit) -> Markup:
    """Write the box in which a checkpoint is named, and the examples of the package."""
    language, hosted = visit.language, store.settings.hosted
    info = say(language, "open_info_hosted" if hosted else "open_info")
    typed = field(say(language, "open_field"), entry("given", "", placeholder="klue/bert-base"), info, "bp-wide")
    named = [
        button(say(language, f"source_{name.replace('-', '_')}"), "open", via="open", given=name) for name in offered()
    ]
    return tag(
        "section",
        heading(say(language, "open_title")),
        form(typed, button(say(language, "open"), "open", via="open", primary=True)),
        tag("div", *named, cls="bp-actions"),
    )


def show_facts(store: Store, visit: Visit) -> Markup:
    """Write what is open: what it is for, its family and size, and what of it can be pruned."""
    language, source = visit.language, visit.source
    checkpoint, name = store.checkpoint(source), name_of(store, source)
    known = checkpoint.facts
    asked = "own" if source.is_embedded else _kind(known.architecture)
    stored = f"{size_of(known.bytes)} ({known.bytes:,} B)" if known.bytes else say(language, "facts_none")
    pairs = [
        ("purpose", purpose(language, known.architecture)),
        ("architecture", f"{known.model_type} · {known.architecture}"),
        ("parameters", f"{known.parameters:,} ({short_number(known.parameters)})"),
        ("prunable", _prunable(language, store.tree(source))),
        ("dtype", known.dtype),
        ("bytes", stored),
        ("texts", say(language, f"facts_texts_{asked}")),
    ]
    if checkpoint.revision:
        pairs.append(("revision", checkpoint.revision))
    notes = joined(note(translate_error(language, one)) for one in known.notes)
    shown = facts((say(language, f"facts_{key}"), value) for key, value in pairs)
    going_on = next_step(say(language, "next_recipe"), "recipe")
    title = tag("h2", name)
    return joined(
        [tag("section", title, shown, notes, aria_label=say(language, "facts_title"), cls="bp-card"), going_on]
    )


def purpose(language: str, architecture: str) -> str:
    """Say what a model of an architecture is for."""
    return say(language, f"purpose_{_kind(architecture)}")


def _kind(architecture: str) -> str:
    kinds = {"ForSequenceClassification": "classes", "ForMaskedLM": "language", "Model": "embedding"}
    return next((kind for end, kind in kinds.items() if architecture.endswith(end)), "other")


def _prunable(language: str, root: bp.ModuleNode) -> str:
    there = cells_of(root)
    if not there:
        return say(language, "facts_prunable_none")
    layers = len(layers_of(there))
    paths = {path for (_, layer), paths in there.items() if layer is not None for path in paths}
    inside = sum(node.own_parameters for node in root.walk() if node.path in paths)
    share = percent(inside / root.parameters, 0) if root.parameters else percent(0, 0)
    return say(language, "facts_prunable_of", layers=layers, weights=short_number(inside), share=share)


def show_module(store: Store, visit: Visit) -> Markup:
    """Show the selected module before pruning."""
    node = node_at(store, visit.source, visit.module)
    return inspector(visit.language, node, {"before": store.before(visit.source)})


def node_at(store: Store, source: Source, path: str) -> bp.ModuleNode:
    """Return the module of a path, or the whole model."""
    root = store.tree(source)
    return next((node for node in root.walk() if node.path == path), root)


def opened(store: Store, visit: Visit, source: Source) -> Visit:
    """Make a source the open checkpoint; the steps mean in it what they meant before."""
    root = store.tree(source)
    if visit.source and visit.cards:
        old = store.tree(visit.source)
        visit = replace(visit, cards=tuple(replace(card, form=_moved(card.form, old, root)) for card in visit.cards))
    return open_source(visit, source, name_of(store, source), first_module(root))


def _moved(fields: Any, old: bp.ModuleNode, new: bp.ModuleNode) -> Any:
    try:
        return form_of(make_step(fields, old), new, fields.module)
    except bp.BertpruneError:
        return fields


def open_checkpoint(store: Store, visitor: Visitor, asked: dict[str, Any], report: Progress) -> Change:
    """Open what was typed or uploaded; of several at once, the last that was asked for counts."""
    still = visitor.choose("open")
    files = asked.get("files")
    report(0.0, "")
    source = open_given(store, str(asked.get("given") or "")) if files is None else open_upload(store, files)

    def change(visit: Visit) -> Visit:
        if not still():
            store.forget(source)
            return visit
        return opened(store, visit, source)

    return change


def add(store: Store, visit: Visit, asked: dict[str, Any]) -> Visit:
    """Append a step; the first of the arrival only where there is none."""
    if asked.get("first") and visit.cards:
        return visit
    return add_step(visit, first_form(store.tree(visit.source), visit.module))


def take_preset(store: Store, visit: Visit, asked: dict[str, Any]) -> Visit:
    """Load a recipe of the tutorial, and select the first module that it prunes."""
    name = str(asked.get("name"))
    if name not in PRESETS:
        return visit
    recipe = preset(name)
    visit = with_recipe(store, visit, recipe, f"preset_{name}")
    try:
        first = bp.preview(store.checkpoint(visit.source), recipe).steps[0].targets[0].rpartition(".")[0]
    except bp.BertpruneError:  # the card says why it does not fit
        return visit
    return replace(visit, module=first)


def choose_module(store: Store, visit: Visit, asked: dict[str, Any]) -> Visit:
    path = str(asked.get("module"))
    known = any(node.path == path for node in store.tree(visit.source).walk())
    return select_module(visit, path) if known else visit


PARTS = (
    Part("start", show_start, ("source", "given")),
    Part("open", show_open, ()),
    Part("facts", show_facts, ("source",)),
    Part("inspector", show_module, ("source", "module"), lambda store, visit: not store.has("before", visit.source)),
)
ACTS = {"add": add, "preset": take_preset, "module": choose_module}

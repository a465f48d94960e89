"""From a budget to a recipe and its run, and a sweep over many recipes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from math import isclose
from typing import Any

from markupsafe import Markup

import bertprune as bp

from ..errors import PageError, naming_field
from ..html import Part, button, check, entry, field, form, joined, note, picture, scrolling, select, tag
from ..i18n import say, translate_error
from ..making import make_run, with_recipe
from ..offers import as_number
from ..opening import check_texts
from ..runs import RunKey, Source, Texts
from ..store import Progress, Store
from ..visit import Change, Visit, note_run
from ..visitors import Gate, Visitor
from .cost import data_of, is_measurable
from .cost_html import figure_name
from .model import BUDGETS
from .steps import method_title, recipe_line

_ASKED = {"levels": "0.3 0.5 0.7 0.9", "granularity": "neuron", "score.magnitude": True, "score.fisher": True}
"""The fields of a sweep to begin with."""
_SWEPT = 200
"""Texts on which each recipe of a sweep is measured, drawn alike for all."""
_MOST_SWEPT = 24
SECONDS = 10
"""After how many seconds of trying nothing more is tried."""


def plan(store: Store, visitor: Visitor, asked: dict[str, Any], report: Progress) -> Change:
    """Turn a budget into cards, and prune by them."""
    visit = visitor.visit
    texts = visit.given.all_of(visit.source)
    macs = as_number(asked.get("macs"))
    recipe = planned(store, visit.source, macs, texts, lambda share, words: report(0.9 * share, words))
    name = f"budget_{asked['macs']}" if asked["macs"] in BUDGETS else "budget_own"
    shown = with_recipe(store, replace(visit, cards=()), recipe, name)
    steps = bp.Recipe(steps=recipe.steps)
    key = RunKey(visit.source, steps, 0, visit.given.chosen(visit.source, steps))
    with store.gate.work():
        landed = make_run(store, key, shown.cards, lambda share, words: report(0.9 + 0.1 * share, words))

    def change(now: Visit) -> Visit:
        if now.source == visit.source:
            now = replace(with_recipe(store, now, steps, name), seed=0)
        return note_run(landed(now), key, planned=recipe.forecast)

    return change


def planned(store: Store, source: Source, macs: Any, texts: Texts | None, report: Progress) -> bp.Recipe:
    """Return what a budget allows. Raises BertpruneError."""
    if isinstance(macs, bool) or not isinstance(macs, int | float) or not 0 < macs < 1:
        raise PageError("plan_budget")
    check_texts(texts)
    read = None if texts is None else texts.read()
    with naming_field("plan"), store.gate.search() as let_others_go_first:

        def watched(share: float, words: str) -> None:
            report(share, words)
            let_others_go_first()

        return bp.plan(store.checkpoint(source), macs=float(macs), calibration=read, seconds=SECONDS, progress=watched)


@dataclass(frozen=True)
class Swept:
    """A sweep, and the checkpoint that it is of."""

    source: Source
    found: Any
    asked: dict[str, Any]
    """The fields as they were sent."""


def show_sweep(store: Store, visit: Visit) -> Markup:
    """Offer a sweep over scores and amounts, and draw the last one; each of its points can become a run."""
    language, swept = visit.language, visit.sweep
    asked = _ASKED if swept is None else swept.asked
    scores = [name for name, method in bp.methods().items() if "neuron" in method.granularities]
    boxes = [
        check(f"score.{name}", asked.get(f"score.{name}") is True, method_title(language, bp.methods()[name]))
        for name in scores
    ]
    kinds = [(say(language, f"together_{one}"), one) for one in ("neuron", "head", "element")]
    off = "" if is_measurable(visit) else say(language, "cost_no_data")
    box = form(
        field(say(language, "granularity"), select("granularity", kinds, asked.get("granularity"))),
        tag("fieldset", tag("legend", say(language, "sweep_scores")), *boxes, cls="bp-list"),
        field(say(language, "sweep_levels"), entry("levels", asked.get("levels"))),
        button(say(language, "sweep_do"), "sweep", via="search", off=off),
        tag("span", say(language, "sweep_info", most=_SWEPT), cls="bp-note"),
    )
    shown = _swept(language, swept) if swept is not None else ""
    title = tag("summary", say(language, "sweep_title"))
    opened = {"open": ""} if swept is not None else {}
    return tag("details", title, box, shown, data_key="sweep-box", **opened)


def _swept(language: str, swept: Swept) -> Markup:
    """Draw a sweep; its points, and their names below, become runs when they are clicked."""
    found, figure = swept.found, swept.found.figure()
    places, lines, points = _places(figure, found), [], []
    _name_axes(language, figure.axes[0], found)
    for row in found.rows:
        if row.measured is None:
            lines.append(tag("li", row.name, ": ", tag("span", translate_error(language, row.error), cls="bp-bad")))
        elif row.recipe is not None and row.recipe.steps:
            value = row.measured.quality.value
            said = f" {figure_name(language, found.measure)} " + ("–" if value is None else f"{value:.4f}")
            words = recipe_line(language, row.recipe)
            lines.append(tag("li", button(words, "swept", via="work", name=row.name), said))
            if place := places.get(row.name):
                given = {"cls": "bp-map-cell bp-point", "label": words + said, "style": place}
                points.append(button("", "swept", via="work", name=row.name, **given))
    about = say(language, "sweep_about", name=found.checkpoint, count=f"{found.examples:,}", data=found.data)
    style = f"max-width:{figure.bbox.width:.0f}px"
    drawn = tag("div", picture(figure, about), *points, cls="bp-map-inside", style=style)
    return joined([note(about), tag("div", scrolling(drawn, about), cls="bp-map"), tag("ul", *lines)])


def _name_axes(language: str, axes: Any, found: Any) -> None:
    """Write at the axes what they are in the visitor's language; the rest stands above the picture."""
    unit = ", %" if axes.get_ylabel().endswith("%") else ""
    axes.set_ylabel(figure_name(language, found.measure) + unit)
    axes.set_xlabel(say(language, f"sweep_{found.axis}"))
    axes.set_title("")


def _places(figure: Any, found: Any) -> dict[str, str]:
    """Return where the rows of a sweep are in its picture, as the styles of buttons."""
    axes, (wide, high), dense = figure.axes[0], figure.bbox.size, found.rows[0].measured
    axes.get_xlim(), axes.get_ylim()  # until then the scales are not fixed
    drawn = [point for line in axes.lines if line.get_linestyle() != "--" for point in line.get_xydata()]
    places = {}
    for row in found.rows[1:]:
        one = row.measured
        if one is None or one.quality.value is None:
            continue
        sizes = (100 * (one.macs or 0) / (dense.macs or 1), one.bytes / 1e6, 100 * one.sparsity)
        values = (one.quality.value, 100 * one.quality.value)
        for x, y in drawn:
            if any(isclose(x, size) for size in sizes) and any(isclose(y, value) for value in values):
                left, bottom = axes.transData.transform((x, y)) / (wide, high)
                places[row.name] = f"left:{left:.3%};top:{1 - bottom:.3%}"
    return places


def sweep(store: Store, visitor: Visitor, asked: dict[str, Any], report: Progress) -> Change:
    """Prune by many recipes and measure each, one after the other."""
    visit = visitor.visit
    levels = [as_number(one) for one in str(asked.get("levels") or "").replace(",", " ").split()]
    methods = [name.removeprefix("score.") for name, on in asked.items() if name.startswith("score.") and on is True]
    if not levels or not methods or not all(isinstance(one, int | float) and 0 < one <= 1 for one in levels):
        raise PageError("sweep_empty")
    if len(levels) * len(methods) > _MOST_SWEPT:
        raise PageError("sweep_many", most=_MOST_SWEPT)
    granularity = str(asked.get("granularity"))
    recipes = bp.grid(
        method=methods, granularity=granularity, fraction=[float(one) for one in levels if one is not None]
    )
    texts = visit.given.all_of(visit.source)
    if any(bp.methods()[name].needs_texts for name in methods if name in bp.methods()):
        check_texts(texts)
    with _InTurn(store.gate) as executor:
        found = bp.sweep(
            store.checkpoint(visit.source), recipes, data_of(visit), limit=store.settings.max_rows, sample=_SWEPT,
            calibration=None if texts is None else texts.read(), executor=executor, progress=report,
        )  # fmt: skip
    swept = Swept(visit.source, found, asked)
    return lambda now: replace(now, sweep=swept) if now.source == swept.source else now


class _InTurn(ThreadPoolExecutor):
    """Does one recipe of a sweep after the other, each as a search of its own, so that others go in between."""

    def __init__(self, gate: Gate) -> None:
        super().__init__(1)
        self._gate = gate

    def submit(self, do: Callable[..., Any], /, *values: Any, **named: Any) -> Future[Any]:
        """Do something once its turn has come."""

        def in_turn() -> Any:
            with self._gate.search():
                return do(*values, **named)

        return super().submit(in_turn)


def run_swept(store: Store, visitor: Visitor, asked: dict[str, Any], report: Progress) -> Change:
    """Make a run of a point of the sweep."""
    visit, name = visitor.visit, str(asked.get("name"))
    found = [row for row in visit.sweep.found.rows if row.name == name] if visit.sweep is not None else []
    if not found or found[0].recipe is None:
        raise PageError("sweep_gone")
    source, recipe = visit.sweep.source, bp.Recipe(steps=found[0].recipe.steps)
    key = RunKey(source, recipe, 0, visit.given.chosen(source, recipe))
    cards = with_recipe(store, replace(visit, cards=()), recipe).cards
    return make_run(store, key, cards, report)


PARTS = (Part("sweep", show_sweep, ("source", "sweep", "data"), lambda store, visit: visit.sweep is not None),)

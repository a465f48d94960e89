"""The runs of the visit as a table, and two of them side by side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from markupsafe import Markup

import bertprune as bp

from ..errors import error_text
from ..html import (
    Part,
    button,
    facts,
    heading,
    joined,
    note,
    percent,
    plus_minus,
    scrolling,
    size_of,
    table,
    tag,
)
from ..i18n import say
from ..offers import whole_number
from ..runs import Run
from ..store import Store
from ..visit import Visit, choose_run, delete_run, find_run, replace_steps, rows
from .cost_html import figure_name
from .result_html import module_link, of_comparison, points, shares
from .steps import recipe_line


def show_runs(store: Store, visit: Visit) -> Markup:
    """List the runs: each checkpoint as it was opened first."""
    language = visit.language
    body = [_row(visit, run) for run in rows(visit)]
    names = ("number", "model", "recipe", "sparsity", "macs", "quality", "speed", "size", "loads", "do")
    sortable = ("sparsity", "macs", "quality", "speed", "size")
    heads = [_head(language, name, name in sortable) for name in names]
    table = tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *body))
    listed = scrolling(table, say(language, "runs_title"), "bp-runs")
    only = note(say(language, "runs_none")) if all(run.is_dense for run in visit.runs) else ""
    return joined([heading(say(language, "runs_title")), listed, only])


def _head(language: str, name: str, sortable: bool) -> Markup:
    words = say(language, f"runs_{name}")
    inner = tag("button", words, type="button", cls="bp-sort", data_sort="1") if sortable else words
    return tag("th", inner, scope="col", cls="num" if sortable else "")


def _row(visit: Visit, run: Run) -> Markup:
    language, shown = visit.language, run.number == visit.run
    number = "" if run.is_dense else str(run.number)
    opened = button(
        recipe_line(language, run.key.recipe), "run", cls="bp-link", run=run.number, key=f"run-{run.number}"
    )
    seed = "" if run.is_dense else tag("span", f" · {say(language, 'recipe_seed')} {run.key.seed}", cls="bp-dim")
    cells = [
        (number, ""), (run.name, ""), (joined([opened, seed]), ""), *_figures(visit, run),
        (_loads(language, run), ""), (_actions(visit, run), ""),
    ]  # fmt: skip
    drawn = [
        tag("td", cell, **({"data_value": value} if value else {}), cls="num" if value else "") for cell, value in cells
    ]
    return tag("tr", *drawn, **({"aria_current": "true"} if shown else {}))


def _figures(visit: Visit, run: Run) -> Iterator[tuple[object, str]]:
    """Yield sparsity, MACs, quality, speed and size, each with the number to sort by."""
    language, count = visit.language, run.count
    yield ("–", "-1") if count is None else (shares(language, count), f"{count.sparsity:.6f}")
    stays = run.macs[1] / run.macs[0] if run.macs and run.macs[0] else None
    yield ("–", "-1") if stays is None else (percent(stays, 1), f"{stays:.6f}")
    yield _quality(visit, run) or ("–", "-1")
    timing = run.speed.timings[-1].ratio if run.speed is not None else None
    yield ("–", "-1") if timing is None else (f"{timing.value:.2f}×", f"{timing.value:.4f}")
    built = run.exports[-1] if run.exports else None
    if built is None:
        yield "–", "-1"
    else:
        yield figure_of(size_of(built.bytes), form_name(language, built)), str(built.bytes)


def _quality(visit: Visit, run: Run) -> tuple[Markup, str] | None:
    """Return the first figure of a measurement, and on what it was measured; of a dense model, from its latest run."""
    own = run.quality is not None
    beside = [one for one in reversed(visit.runs) if one.key.source == run.key.source and one.quality is not None]
    for report in [run.quality] if own else [one.quality for one in beside] if run.is_dense else []:
        scores = {name: score.after if own else score.before for name, score in report.scores.items()}
        for name, figure in {**scores, **(report.fidelity if own else {})}.items():
            given = {"name": figure_name(visit.language, name), "data": report.data_name}
            on = say(visit.language, "runs_measured", count=f"{report.examples:,}", **given)
            return figure_of(plus_minus(figure), on), f"{figure.value:.6f}"
    return None


def figure_of(figure: str, of: str) -> Markup:
    """Write a figure, and below it what it is of."""
    return joined([figure, tag("small", of, cls="bp-on")])


def form_name(language: str, built: Any) -> str:
    """Name what was built by its form, and the numbers in which it is written where they are not the source's."""
    return say(language, f"form_{built.form}") + (f" · {built.precision}" if built.precision else "")


def _loads(language: str, run: Run) -> str:
    if run.exports:
        return say(language, f"loads_short_{run.exports[-1].loads}")
    return "" if run.is_dense else say(language, "loads_short_plain")


def _actions(visit: Visit, run: Run) -> Markup:
    language, number = visit.language, run.number
    chosen = visit.pair is not None and number in visit.pair
    named = {"label": f"{say(language, 'runs_compare')} {run_name(language, run)}", "key": f"pair-{number}"}
    parts = [button("⇄", "pair", run=number, **named, on="0" if chosen else "1", aria_pressed=str(chosen).lower())]
    if not run.is_dense:
        parts.append(button(say(language, "runs_again"), "again", run=number))
    if not (run.is_dense and run.key.source == visit.source):
        parts.append(
            button("✕", "delete", run=number, label=f"{say(language, 'runs_delete')} {run_name(language, run)}")
        )
    return tag("div", *parts, cls="bp-step-buttons")


def show_pair(store: Store, visit: Visit) -> Markup:
    """Show two runs side by side, where two are chosen."""
    pair = [find_run(visit, number) for number in visit.pair or ()]
    first, second = (*pair, None, None)[:2]
    if first is None or second is None or first == second:
        return note(say(visit.language, "compare_few"))
    title = heading(say(visit.language, "compare_title"))
    try:
        return joined([title, comparison(store, visit.language, first, second)])
    except bp.BertpruneError as error:
        return joined([title, note(error_text(visit.language, error), "bp-bad")])


def take_again(store: Store, visit: Visit, asked: dict[str, Any]) -> Visit:
    """Go back to the recipe of a run."""
    found = find_run(visit, _run(asked))
    if found is None:
        return visit
    return replace(replace_steps(visit, [card.form for card in found.cards]), seed=found.key.seed)


def choose_pair(store: Store, visit: Visit, asked: dict[str, Any]) -> Visit:
    """Choose a run to compare, or no longer; the last two count."""
    number = _run(asked)
    if find_run(visit, number) is None:
        return visit
    others = [one for one in visit.pair or () if one != number]
    pair = [*others, number][-2:] if asked.get("on") == "1" else others
    return replace(visit, pair=tuple(pair) or None)


def _run(asked: dict[str, Any]) -> int:
    return whole_number(asked.get("run"))


def run_name(language: str, run: Run) -> str:
    """Name a run in one line: its number, checkpoint, recipe, seed; or a checkpoint as it was opened."""
    if run.is_dense:
        return say(language, "compare_opened", name=run.name)
    did = recipe_line(language, run.key.recipe)
    return f"{run.number}. {run.name}: {did} · {say(language, 'recipe_seed')} {run.key.seed}"


def comparison(store: Store, language: str, first: Run, second: Run) -> Markup:
    """Show what two runs mask, and where they differ. Raises BertpruneError."""

    def make() -> tuple[Markup, int]:
        shown = comparison_view(language, first, second, bp.compare(store.run(first.key), store.run(second.key)))
        return shown, len(shown)

    return store.keep((first.key, "compared", second.key, first.number, second.number, language), make)


def comparison_view(language: str, first: Run, second: Run, found: Any) -> Markup:
    """Write a comparison: the two by name, figures, the map, shares by layer and role, the tensors that differ."""
    names = [say(language, f"compare_{key}") for key in ("first", "second")]
    title = [
        tag("p", tag("strong", name), ": ", run_name(language, run))
        for name, run in zip(names, (first, second), strict=True)
    ]
    differing = [one for one in found.tensors if one.differs]
    pairs = [(say(language, f"compare_{key}"), value) for key, value in _facts(found, len(differing))]
    same = note("✓ " + say(language, "compare_same"), "bp-good") if not differing else ""
    map_ = of_comparison(language, found)
    parts = [_shares(language, names, found), _tensors(language, names, differing) if differing else ""]
    return joined([tag("div", joined(title), cls="bp-preview"), facts(pairs), same, map_, *parts])


def _facts(found: Any, differing: int) -> Iterator[tuple[str, str]]:
    one, other = found.total
    yield "targets", f"{percent(one.sparsity)} → {percent(other.sparsity)} ({points(other.sparsity - one.sparsity)})"
    whole, another = found.model
    yield "model", f"{percent(whole.sparsity)} → {percent(another.sparsity)}"
    if all(tensor.both is not None for tensor in found.tensors):
        yield "both", f"{sum(tensor.both for tensor in found.tensors):,}"
    yield "differ", f"{differing:,} / {len(found.tensors):,}"


def _shares(language: str, names: list[str], found: Any) -> Markup:
    outside, other = say(language, "grid_outside"), say(language, "draw_other")
    layers = {
        outside if layer is None else f"{say(language, 'cells_layer')} {layer}": sides
        for layer, sides in found.by("layer").items()
    }
    roles = {role or other: sides for role, sides in found.by("role").items()}
    rows = [
        (name, shares(language, one), shares(language, two), points(two.sparsity - one.sparsity))
        for name, (one, two) in {**layers, **roles}.items()
    ]
    headers = [say(language, "compare_where"), *names, say(language, "compare_points")]
    return table(headers, rows, numbers=(1, 2, 3), caption=say(language, "compare_shares"))


def _tensors(language: str, names: list[str], differing: list[Any]) -> Markup:
    rows = [
        (
            module_link(one.tensor),
            *("–" if side is None else shares(language, side) for side in (one.first, one.second)),
            points(one.difference),
            "–" if one.both is None else f"{one.both:,}",
        )
        for one in differing
    ]
    headers = [say(language, "tensors_name"), *names, *(say(language, f"compare_{key}") for key in ("points", "both"))]
    return table(headers, rows, numbers=(1, 2, 3, 4), caption=say(language, "compare_tensors", count=len(rows)))


PARTS = (
    Part("runs", show_runs, ("runs", "run", "pair", "source")),
    Part("pair", show_pair, ("pair",), lambda store, visit: len(visit.pair or ()) == 2),
)
ACTS = {
    "run": lambda store, visit, asked: choose_run(visit, _run(asked)),
    "again": take_again,
    "delete": lambda store, visit, asked: delete_run(visit, _run(asked)),
    "pair": choose_pair,
}

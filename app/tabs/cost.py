"""What pruning cost: quality on many texts, before and after, speed, and a sentence of the visitor's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from markupsafe import Markup

import bertprune as bp

from ..errors import PageError, naming_field
from ..html import Part, button, entry, field, form, heading, joined, next_step, note, tag
from ..i18n import say
from ..making import counted
from ..runs import Run, RunKey
from ..runtime import new_folder, remove
from ..store import Progress, Store, measured
from ..visit import Change, Visit, note_run
from ..visitors import Visitor
from .cost_html import quality_view, speed_view, text_view
from .result import older
from .runs import run_name

FIRST = 400
"""Texts of the measurement that is made by itself after a run, drawn alike for every run."""
ROUNDS = 8
"""How often each model is timed."""


def is_measurable(visit: Visit) -> bool:
    """Return whether there are texts to measure the open checkpoint on: its own, or a visitor's."""
    return visit.source.is_embedded or visit.data is not None


def data_of(visit: Visit) -> str:
    """Return what to measure on. Raises PageError where there is nothing."""
    if visit.data is not None:
        return visit.data.path
    if visit.source.is_embedded:
        return "samples"
    raise PageError("cost_no_data")


def show_cost(store: Store, visit: Visit) -> Markup:
    """Write what the measurements found, and how to measure."""
    language, run = visit.language, visit.shown
    parts = [
        tag("h2", run_name(language, run)),
        older(visit, run),
        heading(say(language, "cost_many")),
        _measuring(language, visit),
        quality_view(language, run.quality) if run.quality is not None else note(say(language, "cost_not_yet")),
        heading(say(language, "cost_speed")),
        _timed(language, run),
    ]
    return joined(parts)


def _measuring(language: str, visit: Visit) -> Markup:
    name = visit.data.shown if visit.data is not None else say(language, "cost_samples")
    typed = entry("tokenizer", visit.tokenizer, data_choose="tokenizer")
    reader = field(say(language, "cost_tokenizer"), typed, say(language, "cost_tokenizer_info"))
    off = "" if is_measurable(visit) else say(language, "cost_no_data")
    measure = button(say(language, "cost_measure"), "measure", via="work", primary=True, off=off)
    return joined(
        [
            note(off or say(language, "cost_on", name=name)),
            tag("div", measure, cls="bp-actions"),
            tag("details", tag("summary", say(language, "cost_more")), reader),
        ]
    )


def _timed(language: str, run: Run) -> Markup:
    ask = button(
        say(language, "cost_time"), "speed", via="work", off=say(language, "cost_time_dense") if run.is_dense else ""
    )
    shown = speed_view(language, run.speed) if run.speed is not None else ""
    return joined([note(say(language, "cost_time_info")), tag("div", ask, cls="bp-actions"), shown])


def show_ask(store: Store, visit: Visit) -> Markup:
    """Write the fields for a sentence, and what both models answered to the last one."""
    language, run = visit.language, visit.shown
    text = field(say(language, "ask_text"), entry("text", "", "lines"), say(language, "ask_text_info"))
    pair = field(say(language, "ask_pair"), entry("pair", "", "lines"), say(language, "ask_pair_info"))
    answers = text_view(language, run.answers) if run.answers is not None else ""
    going_on = next_step(say(language, "next_export"), "export")
    ask = button(say(language, "ask"), "ask", via="work")
    return joined(
        [heading(say(language, "cost_one")), form(tag("div", text, pair, cls="bp-row"), ask), answers, going_on]
    )


def measure(store: Store, visitor: Visitor, asked: dict[str, Any], report: Progress) -> Change:
    """Measure the run that is shown on all texts that there are."""
    visit = visitor.visit
    run = visit.shown
    with still_there(run):
        quality = evaluated(store, run.key, data_of(visit), visit.tokenizer, report=report)
    return lambda now: note_run(now, run.key, quality=quality)


def evaluated(
    store: Store, key: RunKey, data: str, tokenizer: str, sample: int | None = None, report: Progress | None = None
) -> Any:
    """Evaluate a run's model against its checkpoint on the same texts. Raises BertpruneError.

    Which texts are drawn does not depend on the run's seed, so that the figures of all runs compare.
    """

    def make() -> tuple[Any, int]:
        with store.model_of(key) as run:
            reader = _tokenizer(store, run, tokenizer)
            with naming_field("samples" if data == "samples" else "file"):
                given = {"limit": store.settings.max_rows, "sample": sample, "progress": report or store.timed()}
                return bp.evaluate(measured(run), data, tokenizer=reader, **given), 200_000

    if data != "samples":
        return make()[0]
    return store.keep((key, "quality", tokenizer.strip(), sample), make)


def unmeasured(visit: Visit) -> Run | None:
    """Return the latest run that is not counted or, where there are texts, not measured."""
    here = [run for run in reversed(visit.runs) if run.key.source == visit.source and not run.is_dense]
    return next((run for run in here if _lacks(visit, run) and run.tried != _means(visit)), None)


def _lacks(visit: Visit, run: Run) -> bool:
    return run.count is None or (run.quality is None and is_measurable(visit))


def _means(visit: Visit) -> tuple[Any, str]:
    return visit.data, visit.tokenizer


def measure_first(store: Store, visitor: Visitor) -> Change | None:
    """Count and measure the latest run in the background: it makes way for what a visitor waits for."""
    visit = visitor.visit
    run = unmeasured(visit)
    if run is None:
        return None
    means = _means(visit)

    def do(make_way: Any) -> dict[str, Any]:
        timed = store.timed()

        def report(share: float, words: str) -> None:
            visitor.check()
            make_way()
            timed(share, words)

        store.run(run.key, report)
        found = counted(store, run.key)
        if is_measurable(visit):
            found["quality"] = evaluated(store, run.key, data_of(visit), visit.tokenizer, FIRST, report)
        return found

    try:
        found = store.gate.behind(do)
    except bp.BertpruneError:  # it is said when it is asked for
        return lambda now: note_run(now, run.key, tried=means)

    def change(now: Visit) -> Visit:
        still = any(one.key == run.key and _lacks(now, one) for one in now.runs)
        return note_run(now, run.key, **found) if still else now

    return change


@contextmanager
def still_there(run: Run) -> Iterator[None]:
    """Where a measurement fails, say which figures are still shown."""
    try:
        yield
    except bp.BertpruneError as error:
        if run.quality is None:
            raise
        raise PageError("cost_still", error=error, data=run.quality.data_name) from error


def ask(store: Store, visitor: Visitor, asked: dict[str, Any], report: Progress) -> Change:
    """Try a sentence on the run's model and its checkpoint."""
    visit = visitor.visit
    run = visit.shown
    report(0.0, "")
    answers = answers_of(store, run.key, str(asked.get("text") or ""), str(asked.get("pair") or ""), visit.tokenizer)
    return lambda now: note_run(now, run.key, answers=answers)


def answers_of(store: Store, key: RunKey, text: str, pair: str, tokenizer: str) -> Any:
    """Return what both models answer to a sentence. Raises BertpruneError."""
    if not text.strip():
        raise PageError("ask_empty")
    with store.model_of(key) as run:
        reader = _tokenizer(store, run, tokenizer)
        with naming_field("sentence"):
            return bp.try_text(measured(run), text, text_pair=pair.strip() or None, tokenizer=reader)


def time_it(store: Store, visitor: Visitor, asked: dict[str, Any], report: Progress) -> Change:
    """Time the run's model beside its checkpoint."""
    run = visitor.visit.shown
    with store.model_of(run.key) as made, naming_field("speed"):
        speed = timed(made, report)
    return lambda now: note_run(now, run.key, speed=speed)


def timed(run: bp.PruningRun, report: Progress) -> Any:
    """Time a run: without the neurons and heads that are wholly masked, where steps prune some."""
    if not any(step.granularity in ("neuron", "head") for step in run.recipe.steps):
        return bp.speed(run, rounds=ROUNDS, progress=report)
    home = new_folder()
    try:
        bp.export(run, home / "small", form="small", progress=lambda share, words: report(0.5 * share, words))
        given = {"rounds": ROUNDS, "progress": lambda share, words: report(0.5 + 0.5 * share, words)}
        return bp.speed(home / "small", against=run.checkpoint, **given)
    finally:
        remove(home)


def _tokenizer(store: Store, run: bp.PruningRun, given: str) -> Any:
    """Load the checkpoint's tokenizer, or another one; on a hosted page never from a path of the server."""
    name = given.strip()
    if not name and run.cut.tokens:  # each side of a comparison has its own
        return None
    with naming_field("tokenizer" if name else "reader"):
        return run.checkpoint.tokenizer(name or None, local=not store.settings.hosted)


def take_tokenizer(store: Store, visit: Visit, asked: dict[str, Any]) -> Visit:
    return replace(visit, tokenizer=str(asked.get("value"))[:200])


PARTS = (
    Part("quality", show_cost, ("run", "runs", "data", "tokenizer", "cards", "given", "seed", "source")),
    Part("answers", show_ask, ("run", "runs")),
)
ACTS = {"tokenizer": take_tokenizer}

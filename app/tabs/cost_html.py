"""Measurements in tables: figures with their intervals, changed predictions, and the answers to a sentence."""

import math
from typing import Any

from markupsafe import Markup

from ..html import joined, note, short_number, size_of, table, tag
from ..i18n import say, say_or, translate_error
from .result_html import bar

MOST_CHANGED = 100


def quality_view(language: str, report: Any) -> Markup:
    """Write the report: a table of figures, the changed predictions, the notes."""
    about = {"data": report.data_name, "examples": f"{report.examples:,}", "seconds": f"{report.seconds['total']:.1f}"}
    alone = report.before_name is None
    lead = note(say(language, "quality_about_one" if alone else "quality_about", **about) + _drawn(language, report))
    notes = [note(translate_error(language, one)) for one in report.notes if not _is_draw(one)]
    if alone:
        return joined([lead, _figures_of_one(language, report), *notes])
    return joined([lead, _figures(language, report), _changed(language, report), *notes])


def _drawn(language: str, report: Any) -> str:
    """Say of how many rows the texts of a measurement were drawn; empty where all were taken."""
    return "".join(" " + translate_error(language, one) for one in report.notes if _is_draw(one))


def _is_draw(one: Any) -> bool:
    return getattr(one, "code", "") == "note.drawn"


def _figures_of_one(language: str, report: Any) -> Markup:
    """Write the figures of a model that is compared with no other."""
    rows = [(figure_name(language, name), _interval(score.after)) for name, score in report.scores.items()]
    headers = [say(language, f"quality_{key}") for key in ("figure", "value")]
    return table(headers, rows, caption=say(language, "quality_title"))


def _figures(language: str, report: Any) -> Markup:
    rows = [
        (
            figure_name(language, name), _interval(score.before), _interval(score.after),
            _interval(score.difference, sign="+"), f"{score.p_value:.3g}" if score.p_value is not None else "–",
        )
        for name, score in report.scores.items()
    ]  # fmt: skip
    rows += [
        (figure_name(language, name), "–", _interval(figure), "–", "–") for name, figure in report.fidelity.items()
    ]
    headers = [say(language, f"quality_{key}") for key in ("figure", "before", "after", "difference", "p")]
    return table(headers, rows, caption=say(language, "quality_title"))


def figure_name(language: str, name: str) -> str:
    """Name a figure in the visitor's language."""
    return say_or(language, f"figure_{name}", name)


def _interval(figure: Any, sign: str = "") -> Markup:
    if figure is None or not math.isfinite(figure.value):
        return Markup("–")
    value = f"{figure.value:{sign}.3f}"
    if not (math.isfinite(figure.low) and math.isfinite(figure.high)):
        return tag("span", value)
    return tag("span", tag("strong", value), f" ({figure.low:{sign}.3f} … {figure.high:{sign}.3f})")


def speed_view(language: str, report: Any) -> Markup:
    """Write what both models weigh, compute and take, and how many times better the one after is."""
    rows = [("speed_runs", *(f"{side.runtime}, {side.dtype}" for side in (report.before, report.after)), "")]
    for key, write in (("parameters", "{:,}".format), ("memory", size_of), ("disk", size_of)):
        sizes = (getattr(report.before, key), getattr(report.after, key))
        rows.append((f"speed_{key}", *("–" if one is None else write(one) for one in sizes), _times(*sizes)))
    named = [(say(language, key), *cells) for key, *cells in rows]
    for timing in {timing.tokens: timing for timing in report.timings}.values():
        macs = ("–" if one is None else short_number(round(one)) for one in timing.macs)
        named.append((say(language, "speed_macs", tokens=f"{timing.tokens:g}"), *macs, _times(*timing.macs)))
    for timing in report.timings:
        given = {"batch": timing.batch, "tokens": f"{timing.tokens:g}"}
        seconds = (f"{1000 * one.value:.2f} ms" for one in (timing.before, timing.after))
        gain = f"{timing.ratio.value:.2f}× ({timing.ratio.low:.2f} … {timing.ratio.high:.2f})"
        named.append((say(language, "speed_latency", **given), *seconds, gain))
        named.append((say(language, "speed_tokens", **given), *(f"{one:,.0f}" for one in timing.tokens_per_second), ""))
    headers = ["", say(language, "quality_before"), say(language, "quality_after"), say(language, "speed_ratio")]
    about = say(language, "speed_about", rounds=report.rounds, threads=report.threads, machine=report.machine)
    notes = [note(translate_error(language, one)) for one in report.notes]
    return joined([table(headers, named, numbers=(1, 2, 3), label=say(language, "cost_speed")), note(about), *notes])


def _times(before: float | None, after: float | None) -> str:
    """Write how many times less the latter is."""
    return f"{before / after:.2f}×" if before and after else ""


def _changed(language: str, report: Any) -> Markup:
    if report.task != "classification":
        return Markup("")
    if not report.changed:
        return note(say(language, "changed_none"))
    surest = sorted(report.changed, key=lambda one: -max(one.before_probability, one.after_probability))[:MOST_CHANGED]
    rows = [
        (
            str(one.number), tag("span", " / ".join(filter(None, (one.text, one.text_pair))), cls="bp-text"),
            one.label or "–",
            f"{one.before} ({one.before_probability:.2f})", f"{one.after} ({one.after_probability:.2f})",
            _verdict(language, one),
        )
        for one in surest
    ]  # fmt: skip
    headers = [say(language, f"changed_{key}") for key in ("number", "text", "label", "before", "after", "verdict")]
    return table(headers, rows, numbers=(0,), caption=say(language, "changed_title", count=len(report.changed)))


def _verdict(language: str, one: Any) -> str:
    if one.label is None:
        return "–"
    if one.label == one.after:
        return say(language, "changed_better")
    return say(language, "changed_worse" if one.label == one.before else "changed_other")


MOST_CLASSES = 20


def text_view(language: str, report: Any) -> Markup:
    """Write the predictions side by side, or those of the only model."""
    parts = [note(say(language, "ask_cut", most=f"{report.max_length:,}"), "bp-honest")] if report.cut else []
    for number, answers in enumerate(report.answers, 1):
        parts.append(_blank(language, number, answers) if report.task == "language" else _classes(language, answers))
    if report.figures:
        parts.append(_alikeness(language, report.figures))
    parts += [note(translate_error(language, one)) for one in report.notes]
    return joined(parts)


def _classes(language: str, answers: Any) -> Markup:
    if answers.before is None:
        given = [(one.name, _share(one.probability)) for one in answers.after[:MOST_CLASSES]]
        headers = [say(language, f"ask_{key}") for key in ("class", "share")]
        return table(headers, given, caption=say(language, "ask_classes_one"))
    rows = [
        (old.name, _share(old.probability), _share(new.probability), _change(new.probability - old.probability))
        for old, new in zip(answers.before[:MOST_CLASSES], answers.after, strict=False)
    ]
    headers = [say(language, f"ask_{key}") for key in ("class", "before", "after", "change")]
    verdict = say(language, "ask_same" if _first(answers.before) == _first(answers.after) else "ask_other")
    return joined([table(headers, rows, numbers=(3,), caption=say(language, "ask_classes")), note(verdict)])


def _change(share: float) -> str:
    return f"{share:+.2%}" if round(share, 4) else "0.00%"


def _first(guesses: Any) -> str:
    return max(guesses, key=lambda one: one.probability).name


def _blank(language: str, number: int, answers: Any) -> Markup:
    if answers.before is None:
        given = [(str(rank), _guess(one, False)) for rank, one in enumerate(answers.after, 1)]
        headers = [say(language, f"ask_{key}") for key in ("rank", "candidate")]
        return table(headers, given, numbers=(0,), caption=say(language, "ask_blank_one", number=number))
    known = {one.name for one in answers.before}
    rows = [
        (str(rank), _guess(old, False), _guess(new, new.name not in known))
        for rank, (old, new) in enumerate(zip(answers.before, answers.after, strict=True), 1)
    ]
    headers = [say(language, f"ask_{key}") for key in ("rank", "before", "after")]
    return table(headers, rows, numbers=(0,), caption=say(language, "ask_blank", number=number))


def _guess(one: Any, new: bool) -> Markup:
    name = tag("strong", one.name, cls="bp-new") if new else tag("strong", one.name)
    return joined([_share(one.probability), " ", name])


def _share(share: float) -> Markup:
    return joined([bar(share), tag("span", f"{share:.2%}", cls="bp-share")])


def _alikeness(language: str, figures: Any) -> Markup:
    if all(one.before is None for one in figures):
        given = [(figure_name(language, one.name), f"{one.after:.4f}") for one in figures]
        headers = [say(language, key) for key in ("ask_figure", "quality_value")]
        return table(headers, given, numbers=(1,), caption=say(language, "ask_figures_one"))
    rows = [
        (figure_name(language, one.name), "–" if one.before is None else f"{one.before:.4f}", f"{one.after:.4f}")
        for one in figures
    ]
    headers = [say(language, f"ask_{key}") for key in ("figure", "before", "after")]
    return table(headers, rows, numbers=(1, 2), caption=say(language, "ask_figures"))

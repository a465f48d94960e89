"""What pruning cost: figures before and after with their intervals, and the predictions that changed."""

import math
from typing import Any

from markupsafe import Markup

from ..i18n import say
from ..i18n.errors import translate_error
from .html import joined, note, table, tag
from .recipe import has_text

MOST_CHANGED = 100


def quality_view(language: str, report: Any) -> Markup:
    """Write the report: a table of figures, the changed predictions, the notes."""
    about = {"data": report.data_name, "examples": f"{report.examples:,}", "seconds": f"{report.seconds['total']:.1f}"}
    notes = [note(translate_error(language, one)) for one in report.notes]
    if report.before_name is None:
        return joined([note(say(language, "quality_about_one", **about)), _figures_of_one(language, report), *notes])
    shown = [note(say(language, "quality_about", **about)), _figures(language, report), _changed(language, report)]
    return joined([*shown, *notes])


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
    key = f"figure_{name}"
    return say(language, key) if has_text(language, key) else name


def _interval(figure: Any, sign: str = "") -> Markup:
    if figure is None or not math.isfinite(figure.value):
        return Markup("–")
    value = f"{figure.value:{sign}.3f}"
    if not (math.isfinite(figure.low) and math.isfinite(figure.high)):
        return tag("span", value)
    return tag("span", tag("strong", value), f" ({figure.low:{sign}.3f} … {figure.high:{sign}.3f})")


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

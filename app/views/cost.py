"""What pruning cost: figures before and after with their intervals, and the predictions that changed."""

import math
import re
from typing import Any

from markupsafe import Markup

from ..i18n import say
from .html import joined, note, table, tag
from .recipe import has_text

MOST_CHANGED = 100


_NOTES = {
    "first_rows": r"only the first (?P<most>[\d,]+) \w+s were read, and there are more",
    "cut": r"(?P<cut>[\d,]+) of (?P<texts>[\d,]+) texts were cut to (?P<most>\d+) tokens",
    "blank": r"rows without (?P<columns>.+) left out: (?P<blank>[\d,]+) of (?P<rows>[\d,]+),"
    r" the first at \w+ (?P<first>[\d,]+)",
    "one_label": r"every label is (?P<label>'.*'|\".*\"): accuracy says little, macro-F1 nothing",
    "widths": r"embeddings of (?P<before>\d+) and (?P<after>\d+) numbers have no cosine",
    "unused": r"(?P<model>\w+) has no classes: (?P<column>'.*'|\".*\") is not used",
    "constant": r"a model gives every example the same number: there is nothing to correlate",
}
"""The library's notes; any other note is shown as it is."""


def quality_view(language: str, report: Any) -> Markup:
    """Write the report: a table of figures, the changed predictions, the notes."""
    seconds = f"{report.seconds['total']:.1f}"
    about = note(
        say(language, "quality_about", data=report.data_name, examples=f"{report.examples:,}", seconds=seconds)
    )
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
    notes = joined(note(note_text(language, text)) for text in report.notes)
    figures = table(headers, rows, caption=say(language, "quality_title"))
    return joined([about, figures, _changed(language, report), notes])


def note_text(language: str, text: str) -> str:
    """Translate a note of the library."""
    for key, pattern in _NOTES.items():
        if found := re.fullmatch(pattern, text):
            return say(language, f"note_{key}", **found.groupdict())
    return text


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

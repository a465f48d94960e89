"""The predictions of both models for a sentence: classes, candidates for a blank, or similarities."""

from typing import Any

from markupsafe import Markup

from ..i18n import say
from ..i18n.errors import translate_error
from .cost import figure_name
from .html import joined, note, table, tag
from .result import bar

MOST_CLASSES = 20


def text_view(language: str, report: Any) -> Markup:
    """Write the predictions side by side, or those of the only model."""
    parts = [note(say(language, "ask_cut", most=f"{report.max_length:,}"), "bp-honest")] if report.cut else []
    for number, answers in enumerate(report.answers, 1):
        parts.append(_blank(language, number, answers) if report.task == "language" else _classes(language, answers))
    if report.figures:
        parts.append(_figures(language, report.figures))
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


def _figures(language: str, figures: Any) -> Markup:
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

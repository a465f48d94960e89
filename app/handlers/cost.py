"""Measure what pruning cost."""

from __future__ import annotations

from typing import Any

import bertprune as bp

from ..i18n import say
from ..session import Done, Progress, Shelf
from ..trouble import PageError
from ..views.cost import figure_name, quality_view
from ..views.html import Html, note


def measure(
    language: str,
    shelf: Shelf,
    done: Done | None,
    data: str,
    file: str | None,
    tokenizer: str = "",
    progress: Progress | None = None,
) -> Any:
    """Evaluate the run's model against its checkpoint on the same texts. Raises BertpruneError."""
    if done is None:
        raise PageError(say(language, "result_none"))
    if data == "file" and not file:
        raise PageError(say(language, "cost_no_file"))
    texts = "samples" if data == "samples" else str(file)
    run = shelf.run(done)

    def make() -> tuple[Any, int]:
        more = {} if progress is None else {"progress": progress}
        report = bp.evaluate(
            run, texts, limit=shelf.settings.max_rows, seed=done.seed, tokenizer=tokenizer.strip() or None, **more
        )
        run.release()
        return report, 200_000

    if data == "file":
        return make()[0]
    return shelf.keep((done, "quality", tokenizer.strip()), make)


def show_quality(language: str, report: Any) -> Html:
    """Show what was measured; a word of what can be measured where nothing was."""
    return note(say(language, "cost_none"), "bp-empty") if report is None else quality_view(language, report)


def headline(language: str, report: Any) -> str | None:
    """Put the first figure in a few characters, for the line that is always in sight."""
    if report is None:
        return None
    for name, score in report.scores.items():
        before = f"{score.before.value:.3f} → " if score.before else ""
        return f"{figure_name(language, name)} {before}{score.after.value:.3f}"
    for name, figure in report.fidelity.items():
        return f"{figure_name(language, name)} {figure.value:.3f}"
    return None

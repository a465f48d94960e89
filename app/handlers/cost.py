"""Measure what pruning cost, and try a sentence on both models."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

import bertprune as bp

from ..i18n import say
from ..session import Done, Progress, Shelf, measured
from ..trouble import PageError, naming_field
from ..views.cost import figure_name, quality_view
from ..views.html import note
from ..views.text import text_view


@dataclass(frozen=True)
class Found:
    """What was measured of a run's cost."""

    quality: Any = None
    """The last measurement on many texts."""
    answers: Any = None
    """The last sentence of the visitor's own."""


def measure(
    shelf: Shelf,
    done: Done | None,
    data: str,
    file: str | None,
    tokenizer: str = "",
    progress: Progress | None = None,
) -> Any:
    """Evaluate the run's model against its checkpoint on the same texts. Raises BertpruneError."""
    if done is None:
        raise PageError("result_none")
    if data == "file" and not file:
        raise PageError("cost_no_file")
    texts = "samples" if data == "samples" else str(file)
    limits = {"limit": shelf.settings.max_rows, "seed": done.seed, "progress": progress or shelf.timed()}

    def make() -> tuple[Any, int]:
        with shelf.model_of(done) as run:
            reader = _tokenizer(shelf, run, tokenizer)
            with naming_field("file" if data == "file" else "samples"):
                return bp.evaluate(measured(run), texts, tokenizer=reader, **limits), 200_000

    if data == "file":
        return make()[0]
    return shelf.keep((done, "quality", tokenizer.strip()), make)


@contextmanager
def still_there(found: Found | None) -> Iterator[None]:
    """Where a measurement fails, say which figures are still shown."""
    try:
        yield
    except bp.BertpruneError as error:
        if found is None or found.quality is None:
            raise
        raise PageError("cost_still", error=error, data=found.quality.data_name) from error


def ask(shelf: Shelf, done: Done | None, text: str | None, pair: str | None, tokenizer: str | None) -> Any:
    """Try a sentence on the run's model and its checkpoint. Raises BertpruneError."""
    if done is None:
        raise PageError("result_none")
    if not (text or "").strip():
        raise PageError("ask_empty")
    other = (pair or "").strip() or None
    with shelf.model_of(done) as run:
        reader = _tokenizer(shelf, run, tokenizer)
        with naming_field("sentence"):
            return bp.try_text(measured(run), text or "", text_pair=other, tokenizer=reader)


def show_answers(language: str, found: Found | None) -> Markup:
    """Show both models' predictions; empty where no sentence was tried."""
    return Markup("") if found is None or found.answers is None else text_view(language, found.answers)


def _tokenizer(shelf: Shelf, run: bp.PruningRun, given: str | None) -> Any:
    """Load the checkpoint's tokenizer, or another one; on a hosted page never from a path of the server."""
    name = (given or "").strip()
    if not name and run.cut.tokens:  # each side of a comparison has its own
        return None
    with naming_field("tokenizer" if name else "reader"):
        return run.checkpoint.tokenizer(name or None, local=not shelf.settings.hosted)


def show_quality(language: str, found: Found | None, done: Done | None = None) -> Markup:
    """Show the measured quality, or that nothing is measured yet, and what has to be done first."""
    if found is None or found.quality is None:
        return note(say(language, "cost_none" if done is None else "cost_not_yet"), "bp-empty")
    return quality_view(language, found.quality)


def headline(language: str, found: Found | None) -> str | None:
    """Write the first figure in a few characters, for the status line."""
    if found is None or found.quality is None:
        return None
    report = found.quality
    for name, score in report.scores.items():
        before = f"{score.before.value:.3f} → " if score.before else ""
        return f"{figure_name(language, name)} {before}{score.after.value:.3f}"
    for name, figure in report.fidelity.items():
        return f"{figure_name(language, name)} {figure.value:.3f}"
    return None

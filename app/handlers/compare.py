"""Remember the runs of a visit, and compare two of them."""

from __future__ import annotations

from markupsafe import Markup

import bertprune as bp

from ..runs import Run, Runs
from ..session import Done, Progress, Shelf
from ..trouble import PageError
from ..views.compare import comparison_view, run_name
from ..views.heatmap import of_comparison
from .model import name_of
from .results import words


def remember(shelf: Shelf, runs: Runs, done: Done | None) -> Runs:
    """Append a run to the list."""
    return runs if done is None else runs.add(name_of(shelf, done.source), done)


def choices(language: str, runs: Runs) -> list[tuple[str, int]]:
    """List the checkpoints as they were opened, and the runs, with their names as choices."""
    return [(run_name(language, run), run.number) for run in (*runs.opened, *runs.kept)]


def compare(
    language: str, shelf: Shelf, runs: Runs, first: int | None, second: int | None, progress: Progress | None = None
) -> Markup:
    """Show what two runs of the list mask, and where they differ. Raises BertpruneError."""
    one, other = runs.find(first), runs.find(second)
    if one is None or other is None or one == other:
        raise PageError("compare_few")
    return _compared(language, shelf, one, other, progress)


def _compared(language: str, shelf: Shelf, first: Run, second: Run, progress: Progress | None) -> Markup:
    def make() -> tuple[Markup, int]:
        found = bp.compare(shelf.run(first.done, progress), shelf.run(second.done, progress))
        drawn = bp.figures.difference(found, labels=words(language, "draw_")) if found.tensors else None
        picture = of_comparison(language, drawn, found) if drawn is not None else Markup("")
        shown = comparison_view(language, first, second, found, picture)
        return shown, len(shown)

    return shelf.keep((first.done, "compared", second.done, first.number, second.number, language), make)

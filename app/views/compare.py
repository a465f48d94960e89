"""Two runs side by side: sparsity, differences, and the tensors whose masks differ."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from ..i18n import say
from ..words import percent
from .html import facts, joined, note, table, tag
from .recipe import amount, manner
from .result import module_link, shares

if TYPE_CHECKING:
    from ..runs import Run


def run_name(language: str, run: Run) -> str:
    """Name a run in one line: its number, checkpoint, first step, seed; or a checkpoint as it was opened."""
    if not run.done.recipe.steps:
        return say(language, "compare_opened", name=run.name)
    first, *more = run.done.recipe.steps
    did = f"{first.method} {amount(first)} {manner(language, first)}"
    others = f" {say(language, 'compare_more', count=len(more))}" if more else ""
    return f"{run.number}. {run.name}: {did}{others} · {say(language, 'recipe_seed')} {run.done.seed}"


def comparison_view(language: str, first: Run, second: Run, found: Any, picture: Markup) -> Markup:
    """Write a comparison: the two by name, figures, the picture, shares by layer and role, the tensors that differ."""
    names = [say(language, f"compare_{key}") for key in ("first", "second")]
    title = [
        tag("p", tag("strong", name), ": ", run_name(language, run))
        for name, run in zip(names, (first, second), strict=True)
    ]
    differing = [one for one in found.tensors if one.differs]
    pairs = [(say(language, f"compare_{key}"), value) for key, value in _facts(found, len(differing))]
    same = note("✓ " + say(language, "compare_same"), "bp-good") if not differing else ""
    parts = [_shares(language, names, found), _tensors(language, names, differing) if differing else ""]
    return joined([tag("div", joined(title), cls="bp-preview"), facts(pairs), same, picture, *parts])


def _facts(found: Any, differing: int) -> Iterator[tuple[str, str]]:
    one, other = found.total
    yield "targets", f"{percent(one.sparsity)} → {percent(other.sparsity)} ({points(other.sparsity - one.sparsity)})"
    whole, another = found.model
    yield "model", f"{percent(whole.sparsity)} → {percent(another.sparsity)}"
    if all(tensor.both is not None for tensor in found.tensors):
        yield "both", f"{sum(tensor.both for tensor in found.tensors):,}"
    yield "differ", f"{differing:,} / {len(found.tensors):,}"


def points(share: float) -> str:
    """Write a difference of shares in percentage points."""
    return f"{100 * share:+.2f}"


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

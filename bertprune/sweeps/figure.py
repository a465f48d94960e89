"""Quality against size, a line for recipes that differ in their amounts alone."""

from collections.abc import Iterable, Mapping, Sequence

import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..recipe import Recipe
from ..reports.canvas import FONTS, GREY, figure_with_axes, style_axes
from ..step import Step
from .grid import words_of
from .measure import Measured
from .rows import Axis, SweepRow

_PER_CENT = ("accuracy", "macro_f1", "agreement")
_MARKS = "osD^vPX*"
_LABELS: Mapping[Axis, str] = {
    "macs": "MACs of the layers, % of the checkpoint's",
    "bytes": "weights, MB",
    "sparsity": "sparsity of the encoder's Linear weights, %",
}
_Points = list[tuple[float, float, float, float]]
"""Where each row is: its size, its quality, and the ends of the interval."""


def draw(rows: Sequence[SweepRow], axis: Axis, title: str) -> Figure:
    """Draw the rows of a sweep, the dense one as a dashed line, on a transparent ground as the other figures."""
    dense, *rest = rows
    assert dense.measured is not None
    lines = _lines(rest, axis, dense.measured)
    above = -(-len(lines) // 2)  # lines of the legend
    figure, axes = figure_with_axes(7, 4.2 + 0.2 * above, left=0.7, bottom=0.55, top=0.45 + 0.2 * above)
    colours = seaborn.color_palette("colorblind", max(1, len(lines)))
    begin = _point(dense.measured, axis, dense.measured)
    for number, (label, points) in enumerate(lines.items()):
        line = [begin, *points] if len(points) > 1 else points
        _draw_line(axes, line, label, colours[number], _MARKS[number % len(_MARKS)])
    axes.axhline(begin[1], color=GREY, linestyle="--", linewidth=1, zorder=0)
    measure = dense.measured.measure
    unit = f"{measure.replace('_', ' ')}{', %' if measure in _PER_CENT else ''}"
    style_axes(axes, title, _LABELS[axis], unit, pad=8 + 14.4 * above)
    if lines:
        place = {"loc": "lower right", "bbox_to_anchor": (1, 1), "borderaxespad": 0.1, "ncols": 2}
        axes.legend(frameon=False, labelcolor=GREY, prop={"family": FONTS, "size": 8}, **place)
    seaborn.despine(ax=axes)
    return figure


def _draw_line(axes: Axes, points: _Points, label: str, colour: object, mark: str) -> None:
    """Draw the rows of a line, with their intervals as a band, or as a bar where there is one row."""
    x, y, low, high = zip(*sorted(points), strict=True)
    seaborn.lineplot(x=x, y=y, ax=axes, color=colour, marker=mark, label=label, errorbar=None, legend=False)
    if len(points) > 1:
        axes.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)
    else:
        axes.vlines(x, low, high, color=colour, linewidth=1)


def _point(one: Measured, axis: Axis, dense: Measured) -> tuple[float, float, float, float]:
    scale = 100 if one.measure in _PER_CENT else 1
    size = {
        "macs": 100 * (one.macs or 0) / (dense.macs or 1),
        "bytes": one.bytes / 1e6,
        "sparsity": 100 * one.sparsity,
    }[axis]
    value = one.quality.value or 0.0
    low, high = (value if end is None else end for end in (one.quality.low, one.quality.high))
    return size, scale * value, scale * low, scale * high


def _lines(rows: Iterable[SweepRow], axis: Axis, dense: Measured) -> dict[str, _Points]:
    """Group rows whose recipes are the same apart from their amounts; a row alone has its own name."""
    families: dict[tuple[Step, ...], dict[str, Measured]] = {}
    for row in rows:
        if row.measured and row.recipe and row.measured.quality.value is not None:
            families.setdefault(_without_amounts(row.recipe), {})[row.name] = row.measured
    named: dict[str, _Points] = {}
    for steps, members in families.items():
        label = next(iter(members)) if len(members) == 1 else ", then ".join(map(_words, steps))
        label = label if label not in named else words_of(Recipe(steps=steps))
        named.setdefault(label, []).extend(_point(one, axis, dense) for one in members.values())
    return named


def _without_amounts(recipe: Recipe) -> tuple[Step, ...]:
    """Give all steps one amount, so that recipes which differ in theirs alone are equal."""
    same = {"fraction": 1.0, "count": None}
    return tuple(step if step.is_pattern else step.model_copy(update=same) for step in recipe.steps)


def _words(step: Step) -> str:
    scope = "" if step.scope == "local" else step.scope
    options = [f"{name}={value}" for name, value in step.options.items()]
    parts = [step.method, step.granularity, scope, "reconstructed" if step.reconstruct else "", *options]
    return " ".join(filter(None, parts))

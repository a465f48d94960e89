"""The sparsity report as a heatmap, layer × role."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from .canvas import GREY, LABELS, canvas, fonts, ink, quiet
from .counting import Count
from .sparsity import SparsityReport

_Grid = tuple[Sequence[Any], Sequence[Any], dict[tuple[Any, Any], Count]]


def heatmap(report: SparsityReport, labels: Mapping[str, str] | None = None) -> Figure:
    """Draw the sparsity of the targets, layer × role, each cell with its percentage; cells without a target are empty.

    Roles outside the layers (embeddings, pooler, head) have a row of their own below. For models of no known family
    the rows are modules and the columns tensor names. Colours span the sparsities that occur, at least ten points.
    """
    words = {**LABELS, **(labels or {})}
    grids = _grids(report)
    if not grids:
        return _empty(words["unpruned"])
    width, heights = max(len(columns) for _, columns, _ in grids), [len(rows) for rows, _, _ in grids]
    figure = canvas(2.2 + 0.95 * width, 1.1 + 0.36 * sum(heights) + 0.5 * len(heights))
    axes = figure.subplots(len(grids), 1, squeeze=False, height_ratios=heights)[:, 0]
    low, high = _span([count.sparsity for *_, cells in grids for count in cells.values()])
    for one, grid in zip(axes, grids, strict=True):
        _draw_grid(one, grid, width, words, vmin=low, vmax=high)
    _draw_bar(figure, list(axes), words["sparsity"])
    return figure


def _grids(report: SparsityReport) -> list[_Grid]:
    """Lay the targets out: layers × roles, and below them the roles that are in no layer."""
    if any(target.role or target.layer is not None for target in report.targets):
        cells = report.matrix()
        inside = {key: count for key, count in cells.items() if key[0] is not None}
        outside = {key: count for key, count in cells.items() if key[0] is None}
        roles = [role for role in report.by("role") if any(key[1] == role for key in inside)]
        numbers = range(max((key[0] for key in inside), default=-1) + 1)  # type: ignore[type-var, operator]
        grids: list[_Grid] = [(numbers, roles, inside)] if inside else []
        return grids + ([([None], [key[1] for key in outside], outside)] if outside else [])
    named = {(target.module, target.tensor): target.count for target in report.targets}
    rows, columns = dict.fromkeys(module for module, _ in named), dict.fromkeys(tensor for _, tensor in named)
    return [(list(rows), list(columns), named)] if named else []


def _draw_grid(axes: Axes, grid: _Grid, width: int, words: Mapping[str, str], **span: float) -> None:
    rows, columns, cells = grid
    found = [[cells.get((row, column)) for column in columns] for row in rows]
    shares = np.array([[count.sparsity if count else np.nan for count in line] for line in found])
    texts = np.array([[f"{count.sparsity:.1%}" if count else "" for count in line] for line in found])
    seaborn.heatmap(shares, ax=axes, cmap="flare", cbar=False, annot=texts, fmt="", annot_kws={"size": 8}, **span)
    for text, colour in zip(axes.texts, _faces(axes, shares), strict=True):
        text.set_color(ink(colour))
    # every grid has cells of one width, however few columns it has
    axes.set_xlim(0, width)
    axes.set_xticks([at + 0.5 for at in range(len(columns))], [_role(column, words) for column in columns], rotation=0)
    axes.set_yticks([at + 0.5 for at in range(len(rows))], [_row(row, words) for row in rows], rotation=0)
    numbered = isinstance(rows[0], int)
    quiet(axes, y=words["layer"] if numbered else words["module"] if isinstance(rows[0], str) else "")


def _faces(axes: Axes, shares: NDArray[Any]) -> list[Any]:
    """List the colours of the cells that have a text, which are those with a number."""
    drawn = axes.collections[0]
    return [drawn.cmap(drawn.norm(share)) for share in shares.flat if np.isfinite(share)]


def _role(role: str | None, words: Mapping[str, str]) -> str:
    return words["other"] if role is None else words.get(role, role.replace(".", "\n"))


def _row(row: int | str | None, words: Mapping[str, str]) -> str:
    return words["outside"] if row is None else str(row)


def _span(shares: list[float], least: float = 0.1) -> tuple[float, float]:
    """Spread the colours over what occurs, but never so far that equal shares look different."""
    low, high = min(shares), max(shares)
    missing = max(0.0, least - (high - low))
    low = max(0.0, low - missing / 2)
    high = max(high, low + least)
    return (low, high) if high <= 1 else (min(low, 1 - least), 1.0)


def _draw_bar(figure: Figure, axes: list[Axes], word: str) -> None:
    percent = FuncFormatter(lambda value, _: f"{value:.0%}")
    place = {"fraction": 0.05, "pad": 0.03, "aspect": 40}
    bar = figure.colorbar(axes[0].collections[0], ax=axes, format=percent, **place)
    quiet(bar.ax)
    bar.ax.set_title(word, loc="right", fontsize=9, color=GREY, fontfamily=fonts())
    bar.outline.set_visible(False)


def _empty(words: str) -> Figure:
    figure = canvas(5.0, 1.2)
    axes = figure.subplots()
    axes.set_axis_off()
    axes.text(0.5, 0.5, words, ha="center", va="center", color=GREY, fontfamily=fonts(), fontsize=10)
    return figure

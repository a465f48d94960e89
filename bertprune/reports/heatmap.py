"""Sparsity, and the difference of two runs, as heatmaps layer × role; and where their cells lie."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from .canvas import GREY, LABELS, canvas, fonts, ink, quiet, settle
from .compare import Comparison, gain
from .counting import Count
from .sparsity import SparsityReport

_Grid = tuple[Sequence[Any], Sequence[Any], dict[tuple[Any, Any], float]]
"""Names of rows and of columns, and the shares of the cells that there are."""

_Form = Callable[[float, int], str]
"""Writes a share with so many digits."""

Box = tuple[float, float, float, float]
"""Left, top, width and height as shares of a picture, from its upper left corner."""


def heatmap(report: SparsityReport, labels: Mapping[str, str] | None = None) -> Figure:
    """Draw the sparsity of the targets, layer × role, each cell with its percentage; cells without a target are empty.

    Roles outside the layers (embeddings, pooler, head) have a row of their own below. For models of no known family
    the rows are modules and the columns tensor names. Colours span the sparsities that occur, at least ten points.
    """
    shares = [share for *_, cells in _grids(report) for share in cells.values()]
    low, high = _span(shares) if shares else (0.0, 1.0)
    return _drawn(report, labels, "sparsity", _percent, cmap="flare", vmin=low, vmax=high)


def difference(comparison: Comparison, labels: Mapping[str, str] | None = None) -> Figure:
    """Draw how much sparser the second of two runs is than the first, layer × role, in percentage points.

    Laid out as `heatmap` does; colours are the same to both sides of zero and span at least five points each.
    """
    far = max([0.05, *(abs(share) for *_, cells in _grids(comparison) for share in cells.values())])
    return _drawn(comparison, labels, "difference", _points, cmap="vlag", vmin=-far, vmax=far)


def cells(figure: Figure, of: SparsityReport | Comparison) -> dict[tuple[Any, Any], Box]:
    """Tell where each cell of a heatmap lies in its picture, so that a page can have it clicked.

    Keys are those of `matrix`; for models of no known family, module and tensor. `of` is what the figure was drawn
    from. Lays the figure out for good and changes nothing else.
    """
    settle(figure)
    wide, high = figure.bbox.size
    found = {}
    for axes, (rows, columns, shares) in zip(figure.axes, _grids(of), strict=False):
        for row, column in shares:
            left, top = columns.index(column), rows.index(row)
            corners = axes.transData.transform([(left, top), (left + 1, top + 1)])
            (x, y), (right, bottom) = ((float(at / wide), float(1 - up / high)) for at, up in corners)
            found[row, column] = (x, y, right - x, bottom - y)
    return found


def _drawn(
    of: SparsityReport | Comparison, labels: Mapping[str, str] | None, title: str, form: _Form, **colours: Any
) -> Figure:
    words, grids = {**LABELS, **(labels or {})}, _grids(of)
    if not grids:
        return _empty(words["unpruned"])
    width, heights = max(len(columns) for _, columns, _ in grids), [len(rows) for rows, _, _ in grids]
    figure = canvas(2.2 + 0.95 * width, 1.1 + 0.36 * sum(heights) + 0.5 * len(heights))
    axes = figure.subplots(len(grids), 1, squeeze=False, height_ratios=heights)[:, 0]
    for one, grid in zip(axes, grids, strict=True):
        _draw_grid(one, grid, width, words, form, **colours)
    _draw_bar(figure, list(axes), words[title], form)
    return figure


def _grids(of: SparsityReport | Comparison) -> list[_Grid]:
    """Lay the targets out: layers × roles, and below them the roles that are in no layer."""
    targets = [one.tensor for one in of.tensors] if isinstance(of, Comparison) else of.targets
    if any(target.role or target.layer is not None for target in targets):
        found = {key: _share(value) for key, value in of.matrix().items()}
        inside = {key: share for key, share in found.items() if key[0] is not None}
        outside = {key: share for key, share in found.items() if key[0] is None}
        roles = [role for role in of.by("role") if any(key[1] == role for key in inside)]
        numbers = range(max((key[0] for key in inside), default=-1) + 1)  # type: ignore[type-var, operator]
        grids: list[_Grid] = [(numbers, roles, inside)] if inside else []
        return grids + ([([None], [key[1] for key in outside], outside)] if outside else [])
    named = _by_name(of)
    rows, columns = dict.fromkeys(module for module, _ in named), dict.fromkeys(tensor for _, tensor in named)
    return [(list(rows), list(columns), named)] if named else []


def _by_name(of: SparsityReport | Comparison) -> dict[tuple[Any, Any], float]:
    if isinstance(of, Comparison):
        return {(one.tensor.module, one.tensor.tensor): one.difference for one in of.tensors}
    return {(target.module, target.tensor): target.count.sparsity for target in of.targets}


def _percent(share: float, digits: int) -> str:
    return f"{share:.{digits}%}"


def _points(share: float, digits: int) -> str:
    return f"{100 * share:+.{digits}f}"


def _share(value: Count | tuple[Count, Count]) -> float:
    return value.sparsity if isinstance(value, Count) else gain(*value)


def _draw_grid(axes: Axes, grid: _Grid, width: int, words: Mapping[str, str], form: _Form, **colours: Any) -> None:
    rows, columns, found = grid
    shares = np.array([[found.get((row, column), np.nan) for column in columns] for row in rows])
    texts = np.array([["" if np.isnan(share) else form(share, 1) for share in line] for line in shares])
    seaborn.heatmap(shares, ax=axes, cbar=False, annot=texts, fmt="", annot_kws={"size": 8}, **colours)
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


def _draw_bar(figure: Figure, axes: list[Axes], word: str, form: _Form) -> None:
    rounded = FuncFormatter(lambda value, _: form(value, 0))
    place = {"fraction": 0.05, "pad": 0.03, "aspect": 40}
    bar = figure.colorbar(axes[0].collections[0], ax=axes, format=rounded, **place)
    quiet(bar.ax)
    bar.ax.set_title(word, loc="right", fontsize=9, color=GREY, fontfamily=fonts())
    bar.outline.set_visible(False)


def _empty(words: str) -> Figure:
    figure = canvas(5.0, 1.2)
    axes = figure.subplots()
    axes.set_axis_off()
    axes.text(0.5, 0.5, words, ha="center", va="center", color=GREY, fontfamily=fonts(), fontsize=10)
    return figure

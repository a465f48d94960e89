"""Heatmaps of sparsity, and of the difference of two runs, by layer × role; and the positions of their cells."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray
from torch import nn

from ..errors import BertpruneError, kind_of
from .canvas import FONTS, GREY, LABELS, check_figure, empty_figure, fix_layout, style_axes, text_colour
from .compare import Comparison, Reported
from .counting import Count
from .sparsity import SparsityReport, given_report
from .table import with_labels

_Shares = tuple[float, float]
"""How much is masked, and how much of the rest is zero; or the differences of both."""

_Grid = tuple[Sequence[Any], Sequence[Any], dict[tuple[Any, Any], _Shares]]
"""Names of rows and of columns, and the shares by cell."""

_Format = Callable[[float, int], str]
"""Writes a share with a number of digits after the point."""

Box = tuple[float, float, float, float]
"""Left, top, width and height as shares of a picture (0 to 1), from its upper left corner."""


def heatmap(report: SparsityReport | Reported | nn.Module, labels: Mapping[str, str] | None = None) -> Figure:
    """Draw the sparsity of the targets by layer and role, each cell with its percentage.

    Zeros without a mask, as in a baked model, stand in the cells by themselves, and the legend names what the colours
    add up. Cells without a target or zeros are empty. Roles outside the layers (embeddings, pooler, head) have their
    own row below. For models of unknown families the rows are modules and the columns tensor names. Colours span 0 to
    100 %, so that the pictures of two runs can be compared.

    Args:
        report: A `SparsityReport`, or a run or a model to count; a run's model is counted as it is now.
        labels: A mapping of words to show instead of the English ones in `LABELS`, and instead of roles such as
            "attention.key"; default None.

    Returns:
        A `matplotlib.figure.Figure` that grows with the numbers of layers and roles.

    Raises:
        BertpruneError: `report` is none of these.

    Example:
        >>> import bertprune as bp
        >>> run = bp.prune("demo", bp.Step(method="l1_unstructured", fraction=0.5, select="*layer.0.*key"))
        >>> [text.get_text() for text in bp.figures.heatmap(run.report).axes[0].texts]
        ['50.0%']
    """
    if isinstance(report, Comparison):
        raise BertpruneError(
            "bp.figures.heatmap draws one report; bp.figures.difference draws a comparison",
            code="report.comparison_given",
        )
    counted = given_report(report, "bp.figures.heatmap")
    shares = [shares for *_, cells in _grids(counted) for shares in cells.values()]
    title = "gone" if any(masked for masked, _ in shares) else "zero"
    zeros = any(zero for _, zero in shares)
    return _draw(counted, labels, title if zeros else "sparsity", _percent, cmap="flare", vmin=0.0, vmax=1.0)


def difference(comparison: Comparison, labels: Mapping[str, str] | None = None) -> Figure:
    """Draw how much sparser the second of two runs is than the first, by layer and role, in percentage points.

    The layout is that of `heatmap`, with the difference of zeros without a mask by itself; colours are symmetric around
    zero and span at least five points on each side.

    Args:
        comparison: A `Comparison`.
        labels: A mapping of words to show instead of the English ones in `LABELS`, and instead of roles; default None.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        BertpruneError: `comparison` is not a `Comparison`.

    Example:
        >>> import bertprune as bp
        >>> half, most = (bp.Step(method="l1_unstructured", fraction=f, select="*layer.0.*key") for f in (0.5, 0.75))
        >>> found = bp.compare(bp.prune("demo", half), bp.prune("demo", most))
        >>> [text.get_text() for text in bp.figures.difference(found).axes[0].texts]
        ['+25.0']
    """
    if not isinstance(comparison, Comparison):
        raise BertpruneError(
            "bp.figures.difference draws a comparison, not {kind}; bp.compare(first, second) makes one",
            code="report.no_comparison", kind=kind_of(comparison),
        )  # fmt: skip
    far = max([0.05, *(abs(masked + zero) for *_, cells in _grids(comparison) for masked, zero in cells.values())])
    return _draw(comparison, labels, "difference", _points, cmap="vlag", vmin=-far, vmax=far)


def cells(figure: Figure, of: SparsityReport | Comparison) -> dict[tuple[Any, Any], Box]:
    """Return the position of each cell of a heatmap in its picture, for example to make cells clickable.

    Args:
        figure: A `matplotlib.figure.Figure` from `heatmap` or `difference`; its layout is fixed.
        of: The `SparsityReport` or `Comparison` that the figure was drawn from.

    Returns:
        A dict from the keys of `matrix` (module and tensor for models of unknown families) to boxes: left, top, width
        and height as shares of the picture (0 to 1), from its upper left corner.

    Raises:
        BertpruneError: `figure` is not a figure, or `of` is neither a report nor a comparison.

    Example:
        >>> import bertprune as bp
        >>> run = bp.prune("demo", bp.Step(method="l1_unstructured", fraction=0.5, select="*layer.0.*key"))
        >>> list(bp.figures.cells(bp.figures.heatmap(run.report), run.report))
        [(0, 'attention.key')]
    """
    check_figure(figure, "bp.figures.cells")
    of = of if isinstance(of, Comparison) else given_report(of, "bp.figures.cells")
    fix_layout(figure)
    wide, high = figure.bbox.size
    found = {}
    for axes, (rows, columns, shares) in zip(figure.axes, _grids(of), strict=False):
        for row, column in shares:
            left, top = columns.index(column), rows.index(row)
            corners = axes.transData.transform([(left, top), (left + 1, top + 1)])
            (x, y), (right, bottom) = ((float(at / wide), float(1 - up / high)) for at, up in corners)
            found[row, column] = (x, y, right - x, bottom - y)
    return found


def _draw(
    of: SparsityReport | Comparison, labels: Mapping[str, str] | None, title: str, write: _Format, **colours: Any
) -> Figure:
    words, grids = with_labels(LABELS, labels), _grids(of)
    if not grids:
        return _empty(words["unpruned"])
    width, heights = max(len(columns) for _, columns, _ in grids), [len(rows) for rows, _, _ in grids]
    figure = empty_figure(2.2 + 0.95 * width, 1.1 + 0.36 * sum(heights) + 0.5 * len(heights))
    axes = figure.subplots(len(grids), 1, squeeze=False, height_ratios=heights)[:, 0]
    for one, grid in zip(axes, grids, strict=True):
        _draw_grid(one, grid, width, words, write, **colours)
    _draw_bar(figure, list(axes), words[title], write)
    return figure


def _grids(of: SparsityReport | Comparison) -> list[_Grid]:
    """Arrange what is drawn: layers × roles, and below them the roles outside the layers."""
    if not isinstance(of, Comparison):
        of = _drawn(of)
    tensors = [one.tensor for one in of.tensors] if isinstance(of, Comparison) else of.rows
    if any(tensor.role or tensor.layer is not None for tensor in tensors):
        found = {key: _shares(value) for key, value in of.matrix().items()}
        inside = {key: share for key, share in found.items() if key[0] is not None}
        outside = {key: share for key, share in found.items() if key[0] is None}
        roles = [role for role in of.by("role") if any(key[1] == role for key in inside)]
        numbers = range(max((key[0] for key in inside), default=-1) + 1)  # type: ignore[type-var, operator]
        grids: list[_Grid] = [(numbers, roles, inside)] if inside else []
        return grids + ([([None], [key[1] for key in outside], outside)] if outside else [])
    named = _by_name(of)
    rows, columns = dict.fromkeys(module for module, _ in named), dict.fromkeys(tensor for _, tensor in named)
    return [(list(rows), list(columns), named)] if named else []


def _drawn(report: SparsityReport) -> SparsityReport:
    """Leave out the zeros of biases and padding rows, which do not come from pruning."""
    return SparsityReport(tuple(one for one in report.tensors if one.masks or one.is_zeroed))


def _by_name(of: SparsityReport | Comparison) -> dict[tuple[Any, Any], _Shares]:
    if isinstance(of, Comparison):
        sides = ((one.tensor, (one.first or Count(), one.second or Count())) for one in of.tensors)
        return {(tensor.module, tensor.tensor): _shares(pair) for tensor, pair in sides}
    return {(one.module, one.tensor): _shares(one.count) for one in of.rows}


def _percent(share: float, digits: int) -> str:
    return f"{share:.{digits}%}"


def _points(share: float, digits: int) -> str:
    return f"{100 * share:+.{digits}f}"


def _shares(value: Count | tuple[Count, Count]) -> _Shares:
    """Return the shares of a count, or the differences of two; less than 0.05 % of zeros counts as none."""
    if not isinstance(value, Count):
        (before, first), (after, second) = map(_shares, value)
        return after - before, second - first
    zero = value.zero / value.size if value.size else 0.0
    return value.sparsity, zero if zero >= 0.0005 else 0.0


def _text(shares: _Shares, write: _Format, zero_word: str) -> str:
    masked, zero = shares
    lines = [write(masked, 1)] if masked or not zero else []
    return "\n".join([*lines, *([f"{write(zero, 1)} {zero_word}"] if zero else [])])


def _draw_grid(axes: Axes, grid: _Grid, width: int, words: Mapping[str, str], write: _Format, **colours: Any) -> None:
    rows, columns, found = grid
    cells = [[found.get((row, column)) for column in columns] for row in rows]
    shares = np.array([[np.nan if cell is None else sum(cell) for cell in line] for line in cells])
    texts = np.array([["" if cell is None else _text(cell, write, words["zero"]) for cell in line] for line in cells])
    seaborn.heatmap(shares, ax=axes, cbar=False, annot=texts, fmt="", annot_kws={"size": 8, "family": FONTS}, **colours)
    for text, colour in zip(axes.texts, _faces(axes, shares), strict=True):
        text.set_color(text_colour(colour))
    # cells of all grids have the same width, whatever the number of columns
    axes.set_xlim(0, width)
    axes.set_xticks([at + 0.5 for at in range(len(columns))], [_role(column, words) for column in columns], rotation=0)
    axes.set_yticks([at + 0.5 for at in range(len(rows))], [_row(row, words) for row in rows], rotation=0)
    numbered = isinstance(rows[0], int)
    style_axes(axes, y=words["layer"] if numbered else words["module"] if isinstance(rows[0], str) else "")


def _faces(axes: Axes, shares: NDArray[Any]) -> list[Any]:
    """Return the colours of the cells with a text."""
    drawn = axes.collections[0]
    return [drawn.cmap(drawn.norm(share)) for share in shares.flat if np.isfinite(share)]


def _role(role: str | None, words: Mapping[str, str]) -> str:
    return words["other"] if role is None else words.get(role, role.replace(".", "\n"))


def _row(row: int | str | None, words: Mapping[str, str]) -> str:
    return words["outside"] if row is None else str(row)


def _draw_bar(figure: Figure, axes: list[Axes], word: str, write: _Format) -> None:
    rounded = FuncFormatter(lambda value, _: write(value, 0))
    place = {"fraction": 0.05, "pad": 0.03, "aspect": 40}
    bar = figure.colorbar(axes[0].collections[0], ax=axes, format=rounded, **place)
    style_axes(bar.ax)
    bar.ax.set_title(word, loc="right", fontsize=9, color=GREY, fontfamily=FONTS)
    bar.outline.set_visible(False)


def _empty(words: str) -> Figure:
    figure = empty_figure(5.0, 1.2)
    axes = figure.subplots()
    axes.set_axis_off()
    axes.text(0.5, 0.5, words, ha="center", va="center", color=GREY, fontfamily=FONTS, fontsize=10)
    return figure

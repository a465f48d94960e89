"""Reports, weights and masks as figures that are readable on light and dark pages.

Each function returns a `matplotlib.figure.Figure` (`figure.savefig("name.png")` writes it) and does not use pyplot, so
several threads of a server can draw at once. `labels` replaces English words; its keys are those of `LABELS` and, for
heatmaps, the roles. Korean needs no font on the machine.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import seaborn
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from ..errors import BertpruneError, kind_of
from .canvas import FONTS, GREY, KEPT, LABELS, REMOVED, ZERO, figure_with_axes, png, removed_colours, style_axes
from .heatmap import cells, difference, heatmap
from .table import with_labels

__all__ = ["LABELS", "cells", "difference", "heatmap", "histogram", "mask", "png"]

_BINS = 120
_CELLS, _CELLS_OF_A_VECTOR = 256, 1024
"""Most cells per side of a mask's picture; larger masks are averaged block by block."""


def histogram(
    before: torch.Tensor, mask: torch.Tensor | None = None, labels: Mapping[str, str] | None = None, title: str = ""
) -> Figure:
    """Draw the distribution of a tensor's values, with the ones that a mask removes, and exact zeros, in other colours.

    Where all removed values are nearer to zero than all kept ones (magnitude pruning), the cut is marked. NaN and
    infinite values are left out.

    Args:
        before: A tensor of any shape, the values before pruning.
        mask: A tensor of the same shape, bool or number, 0 is removed; default None, all values are kept.
        labels: A mapping of words to show instead of the English ones in `LABELS`; default None.
        title: A string above the figure; default "", none.

    Returns:
        A `matplotlib.figure.Figure` of 4.4 × 3.2 inches.

    Raises:
        BertpruneError: The tensor has no values (empty, or on the meta device), or the mask has another shape.

    Example:
        >>> import bertprune as bp, torch
        >>> weight = torch.linspace(-1, 1, 101)
        >>> bp.figures.histogram(weight, weight.abs() > 0.3).axes[0].get_xlabel()
        'weight'
    """
    _check_tensors("bp.figures.histogram", before, mask)
    _check_title(title)
    words = with_labels(LABELS, labels)
    values, kept = _values(before, mask)
    cut = _cut(np.abs(values[kept]), np.abs(values[~kept]))
    edges = _edges(values, cut)
    parts = {"kept": values[kept & (values != 0)], "removed": values[~kept], "zero": values[kept & (values == 0)]}
    parts = {name: part for name, part in parts.items() if len(part) or (mask is not None and name != "zero")}
    more = len(parts) > 2  # a second line in the legend
    figure, axes = figure_with_axes(4.4, 3.2, left=1.1, bottom=0.5, top=0.7 if more else 0.55)
    _draw_bars(axes, edges, parts, words)
    if cut is not None:
        _mark_cut(axes, cut, words["cut"])
    style_axes(axes, title, words["weight"], words["values"], pad=32 if more else 20)  # room for the legend
    axes.locator_params(axis="x", nbins=7)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    if mask is not None or "zero" in parts:
        place = {"loc": "lower right", "bbox_to_anchor": (1, 1), "borderaxespad": 0.1, "ncols": 2, "columnspacing": 1.2}
        axes.legend(frameon=False, labelcolor=GREY, prop={"family": FONTS, "size": 8}, handlelength=1, **place)
    seaborn.despine(ax=axes)
    return figure


def mask(mask: torch.Tensor, labels: Mapping[str, str] | None = None, title: str = "") -> Figure:
    """Draw a mask with the removed values in colour: each value, or the removed share of blocks where it is large.

    Args:
        mask: A tensor, bool or number, 0 is removed. A vector is drawn as one row; of more than two dimensions, all
            but the first are drawn side by side.
        labels: A mapping of words to show instead of the English ones in `LABELS`; default None.
        title: A string above the figure; default "", none.

    Returns:
        A `matplotlib.figure.Figure` of 4.2 × 3.6 inches (1.7 high for a vector).

    Raises:
        BertpruneError: The mask has no values (empty, or on the meta device).

    Example:
        >>> import bertprune as bp, torch
        >>> bp.figures.mask(torch.eye(4)).axes[0].get_title()
        '4×4 · 75.00% removed'
    """
    _check_tensors("bp.figures.mask", mask)
    _check_title(title)
    words = with_labels(LABELS, labels)
    removed = _removed(mask)
    shares, block = _averaged(removed)
    figure, axes = figure_with_axes(4.2, 1.7 if len(shares) == 1 else 3.6, left=0.7, bottom=0.5, top=0.55)
    rows, columns = removed.shape
    axes.imshow(
        shares,
        cmap=removed_colours(),
        vmin=0,
        vmax=1,
        aspect="auto",
        interpolation="nearest",
        extent=(0, columns, rows, 0),
    )
    summary = f"{'×'.join(map(str, mask.shape)) or 'scalar'} · {removed.mean():.2%} {words['removed']}"
    averages = f" · {words['block']} {block[0]}×{block[1]}" if block != (1, 1) else ""
    style_axes(axes, "\n".join(filter(None, (title, summary + averages))), words["column"], words["row"])
    if rows == 1:
        axes.set_yticks([])
        axes.set_ylabel("")
    return figure


def _check_tensors(function: str, first: Any, second: Any = None) -> None:
    for thing in (first,) if second is None else (first, second):
        if not isinstance(thing, torch.Tensor):
            raise BertpruneError(
                "{function} takes a tensor, such as run.masks[name], not {kind}",
                code="report.no_tensor", function=function, kind=kind_of(thing),
            )  # fmt: skip


def _check_title(title: Any) -> None:
    if not isinstance(title, str):
        raise BertpruneError("a figure's title must be text, not {kind}", code="report.title", kind=kind_of(title))


def _values(before: torch.Tensor, mask: torch.Tensor | None) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return the finite values as a flat array, and which of them the mask keeps. Raises BertpruneError."""
    if before.is_meta or not before.numel():
        raise BertpruneError(
            "a histogram needs values; the tensor of shape {shape} has none",
            code="report.histogram_without_values", shape=tuple(before.shape),
        )  # fmt: skip
    if mask is not None and mask.shape != before.shape:
        raise BertpruneError(
            "the mask has shape {mask} and the tensor {shape}; both must be the same",
            code="report.histogram_mask_shape", mask=tuple(mask.shape), shape=tuple(before.shape),
        )  # fmt: skip
    flat = before.detach().cpu().flatten()
    values = (flat if flat.dtype == torch.float64 else flat.float()).numpy()
    kept = np.ones(len(values), bool) if mask is None else (mask.detach() != 0).cpu().flatten().numpy()
    finite = np.isfinite(values)
    return values[finite], kept[finite]


def _draw_bars(axes: Axes, edges: NDArray[Any], parts: Mapping[str, NDArray[Any]], words: Mapping[str, str]) -> None:
    colours = {"kept": KEPT, "removed": REMOVED, "zero": ZERO}
    floor = np.zeros(len(edges) - 1)
    total = sum(map(len, parts.values()))
    for name, values in parts.items():
        counts = np.histogram(values, edges)[0]
        label = f"{words[name]}: {len(values):,} ({len(values) / max(1, total):.2%})"
        # one outline for all bars: a patch for each would take most of the time
        axes.stairs(floor + counts, edges, baseline=floor, fill=True, color=colours[name], label=label, linewidth=0)
        floor = floor + counts


def _cut(kept: NDArray[Any], removed: NDArray[Any]) -> float | None:
    """Find the magnitude between removed and kept values; None where magnitude does not separate them."""
    if not len(kept) or not len(removed) or removed.max() > kept.min():
        return None
    return (float(removed.max()) + float(kept.min())) / 2


def _edges(values: NDArray[Any], cut: float | None) -> NDArray[Any]:
    """Divide the range into bins of one width; some end at the cut, so that no bar has two colours."""
    edges = np.histogram_bin_edges(values, _BINS).astype(float)
    if not cut:
        return edges
    step = cut / max(1, round(cut / (edges[1] - edges[0])))
    first, last = np.floor(edges[0] / step), np.ceil(edges[-1] / step)
    return np.asarray(np.arange(first, last + 1) * step) if last - first < 10 * _BINS else edges


def _mark_cut(axes: Axes, cut: float, word: str) -> None:
    for at in (-cut, cut):
        axes.axvline(at, color=GREY, linestyle="--", linewidth=1)
    style = {"color": GREY, "fontfamily": FONTS, "fontsize": 8, "va": "top"}
    place = axes.get_xaxis_transform()
    axes.annotate(f"{word} ±{cut:.3g}", (cut, 1), (4, 0), place, textcoords="offset points", **style)


def _removed(mask: torch.Tensor) -> NDArray[np.bool_]:
    if mask.is_meta or not mask.numel():
        raise BertpruneError(
            "a mask of shape {shape} has no values to draw",
            code="report.mask_without_values", shape=tuple(mask.shape),
        )  # fmt: skip
    rows = mask.shape[0] if mask.dim() > 1 else 1
    return np.asarray((mask.detach() == 0).cpu().reshape(rows, -1).numpy(), dtype=np.bool_)


def _averaged(removed: NDArray[np.bool_]) -> tuple[NDArray[Any], tuple[int, int]]:
    """Average blocks of equal size; those at the far edges may be smaller, and are averaged over fewer values."""
    most = _CELLS if len(removed) > 1 else _CELLS_OF_A_VECTOR
    block = tuple(-(-length // most) for length in removed.shape)
    shares = removed.astype(np.uint8, copy=False)
    for axis, step in enumerate(block):
        starts = np.arange(0, removed.shape[axis], step)
        sizes = np.diff(np.append(starts, removed.shape[axis]))
        sums = np.add.reduceat(shares, starts, axis=axis, dtype=np.float32)
        shares = sums / np.expand_dims(sizes, 1 - axis)
    return shares, (block[0], block[1])

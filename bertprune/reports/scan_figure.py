"""Drifts of the parts of a model, as curves and as a heatmap."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import seaborn
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from .canvas import FONTS, GREY, empty_figure, style_axes, text_colour

if TYPE_CHECKING:
    import pandas

LABELS = {
    "layer": "layer",
    "pruned": "pruned",
    "drift": "drift",
    "divergence": "drift of the predictions (Kullback-Leibler)",
    "squared": "drift of the numbers (mean square)",
    "angle": "drift of the embeddings (1 - cosine)",
    "answers": "answers held back",
    "intervals": "bands: 95 % intervals",
    "neuron": "neurons",
    "head": "heads",
}
"""The English words of the figures."""

_LEAST = 1e-8
"""Drifts below this are rounding, and drawn as this."""


def curves(cells: "pandas.DataFrame", title: str, words: Mapping[str, str]) -> Figure:
    """Draw a panel for each part, with the drift over the levels: a line for each layer, its interval as a band."""
    parts = list(dict.fromkeys(cells["part"]))
    columns = min(3, len(parts))
    rows = -(-len(parts) // columns)
    figure = empty_figure(1.2 + 2.9 * columns, 0.6 + 2.7 * rows)
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).flat
    numbers, levels = sorted(set(cells["layer"])), sorted(set(cells["level"]))
    colours = dict(zip(numbers, seaborn.color_palette("viridis", len(numbers)), strict=True))
    high = max(10 * _LEAST, float(cells["drift_high"].max()))
    low = max(_LEAST, min(high / 10, float(cells["drift_low"].min())))
    for axes, part in zip(panels, parts, strict=False):
        axes.set_yscale("log")
        axes.set_ylim(0.8 * low, 1.25 * high)
        _draw_lines(axes, cells[cells["part"] == part], colours)
        style_axes(axes, _part(part, words), words["pruned"], words["drift"])
        axes.set_xticks(levels, [f"{100 * level:.3g} %" for level in levels], rotation=90 if len(levels) > 5 else 0)
        seaborn.despine(ax=axes)
    for axes in list(panels):
        axes.set_axis_off()
    lines, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(
        lines, names, title=words["layer"], loc="outside right center", frameon=False, labelcolor=GREY,
        prop={"family": FONTS, "size": 8}, title_fontproperties={"family": FONTS, "size": 8},
    ).get_title().set_color(GREY)  # fmt: skip
    figure.suptitle(title, fontsize=9, color=GREY, fontfamily=FONTS)
    return figure


def _draw_lines(axes: Axes, cells: "pandas.DataFrame", colours: Mapping[int, Any]) -> None:
    for layer, colour in colours.items():
        line = cells[cells["layer"] == layer].sort_values("level")
        if not len(line):
            continue
        drift, low, high = (np.maximum(line[name], _LEAST) for name in ("drift", "drift_low", "drift_high"))
        seaborn.lineplot(
            x=line["level"], y=drift, ax=axes, color=colour, label=str(layer), legend=False,
            linewidth=1.2, marker="o", markersize=4,
        )  # fmt: skip
        axes.fill_between(line["level"], low, high, color=colour, alpha=0.15, linewidth=0)


def heatmap(cells: "pandas.DataFrame", title: str, words: Mapping[str, str]) -> Figure:
    """Draw the drift of each layer and part at one level, in colours of its logarithm."""
    parts = list(dict.fromkeys(cells["part"]))
    table = cells.pivot(index="layer", columns="part", values="drift")[parts]
    figure = empty_figure(2.2 + 1.0 * len(parts), 1.2 + 0.36 * len(table))
    axes = figure.subplots()
    shown = table.clip(lower=_LEAST)
    low, high = float(np.nanmin(shown)), float(np.nanmax(shown))
    seaborn.heatmap(
        shown, ax=axes, cmap="flare", norm=LogNorm(low, max(high, 1.01 * low)), cbar=False,
        annot=table.map(lambda drift: f"{drift:.2g}").to_numpy(), fmt="", annot_kws={"size": 8, "family": FONTS},
    )  # fmt: skip
    drawn = axes.collections[0]
    shares = [drift for drift in shown.to_numpy().flat if np.isfinite(drift)]
    for text, drift in zip(axes.texts, shares, strict=False):
        text.set_color(text_colour(drawn.cmap(drawn.norm(drift))))
    axes.set_xticks([at + 0.5 for at in range(len(parts))], [_part(part, words) for part in parts], rotation=0)
    axes.set_yticks([at + 0.5 for at in range(len(table))], [str(layer) for layer in table.index], rotation=0)
    style_axes(axes, title, y=words["layer"])
    return figure


def _part(part: str, words: Mapping[str, str]) -> str:
    return words.get(part, part.replace(".", "\n"))

"""Shared by all figures: transparent backgrounds, mid-grey text, and fonts with Korean letters on any machine."""

import io
from typing import Any

from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.figure import Figure
from pylopdf_fonts_ko import sans_path

from ..errors import BertpruneError, kind_of

# Loaded by path from the package, so that Korean does not depend on the fonts of the machine.
font_manager.fontManager.addfont(sans_path())
FONTS = ["DejaVu Sans", "Noto Sans KR"]
"""matplotlib draws each letter in the first of these fonts that has it."""

GREY = "#7f8790"
"""Text, ticks and lines: readable on white and on near-black alike."""
KEPT, REMOVED, ZERO = "#4c86c6", "#e0803c", "#9a6fb0"

LABELS = {
    "sparsity": "sparsity",
    "zero": "zero",
    "gone": "masked + zero, the rest is alive",
    "difference": "difference in points",
    "layer": "layer",
    "module": "module",
    "outside": "outside",
    "other": "no role",
    "unpruned": "no tensor has a mask",
    "weight": "weight",
    "values": "values",
    "kept": "kept",
    "removed": "removed",
    "cut": "cut at",
    "column": "column",
    "row": "row",
    "block": "one cell averages",
}
"""The English words on the figures."""


def empty_figure(width: float, height: float) -> Figure:
    """Create an empty figure, in inches, without a window and outside pyplot."""
    return Figure(figsize=(width, height), dpi=120, layout="constrained", facecolor="none")


def figure_with_axes(width: float, height: float, left: float, bottom: float, top: float) -> tuple[Figure, Axes]:
    """Create a figure with one pair of axes and fixed margins, in inches; computing them takes as long as drawing."""
    figure = Figure(figsize=(width, height), dpi=120, facecolor="none")
    figure.subplots_adjust(left / width, bottom / height, 1 - 0.12 / width, 1 - top / height)
    return figure, figure.subplots()


def fix_layout(figure: Figure) -> None:
    """Compute the layout once; matplotlib would do so at each drawing, and saving draws twice."""
    if (engine := figure.get_layout_engine()) is not None:
        engine.execute(figure)
        figure.set_layout_engine("none")


def png(figure: Figure) -> bytes:
    """Draw a figure as a PNG file of its whole size, without cropping.

    Args:
        figure: A `matplotlib.figure.Figure`; its layout is fixed.

    Returns:
        The bytes of the file.

    Raises:
        BertpruneError: `figure` is not a figure.

    Example:
        >>> import bertprune as bp, torch
        >>> bp.figures.png(bp.figures.mask(torch.tensor([True, False])))[:4]
        b'\\x89PNG'
    """
    check_figure(figure, "bp.figures.png")
    fix_layout(figure)
    file = io.BytesIO()
    FigureCanvasAgg(figure).print_png(file)
    return file.getvalue()


def check_figure(figure: Any, function: str) -> None:
    """Refuse what is not a figure. Raises BertpruneError."""
    if not isinstance(figure, Figure):
        raise BertpruneError(
            "{function} takes a figure, such as bp.figures.heatmap draws, not {kind}",
            code="report.no_figure", function=function, kind=kind_of(figure),
        )  # fmt: skip


def removed_colours() -> Colormap:
    """Return the colours of removed shares, from a hint of grey to the colour of removed values."""
    return LinearSegmentedColormap.from_list("removed", [(0.5, 0.55, 0.6, 0.18), REMOVED])


def text_colour(background: tuple[float, ...]) -> str:
    """Return black or white, whichever has more contrast with a background (WCAG)."""
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in background[:3])
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return "black" if luminance > 0.179 else "white"


def style_axes(axes: Axes, title: str = "", x: str = "", y: str = "", pad: float = 6) -> None:
    """Set title and labels of a pair of axes, and draw everything but the data in grey."""
    style = {"color": GREY, "fontfamily": FONTS}
    axes.set_facecolor("none")
    axes.set_title(title, fontsize=9, pad=pad, x=1, ha="right", **style)
    axes.set_xlabel(x, fontsize=9, **style)
    # a Korean label is horizontal, an English one parallel to the axis
    upright = {} if y.isascii() else {"rotation": 0, "ha": "right", "va": "center"}
    axes.set_ylabel(y, fontsize=9, **style, **upright)
    axes.tick_params(colors=GREY, labelcolor=GREY, labelsize=8, labelfontfamily=FONTS, length=0)
    for spine in axes.spines.values():
        spine.set_color(GREY)

"""What all figures share: a bare transparent Figure, mid-grey text, a font that has Korean."""

import io
from functools import cache

from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.figure import Figure

GREY = "#7f8790"
"""Text, ticks and lines: readable on white and on near-black alike."""
KEPT, REMOVED = "#4c86c6", "#e0803c"

LABELS = {
    "sparsity": "sparsity",
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
"""The words on the figures in English."""

_KOREAN = (
    "NanumGothic",
    "NanumBarunGothic",
    "Noto Sans CJK KR",
    "Noto Sans KR",
    "Malgun Gothic",
    "Apple SD Gothic Neo",
)


def canvas(width: float, height: float) -> Figure:
    """Make an empty figure, in inches, that belongs to no window and to no thread's pyplot."""
    return Figure(figsize=(width, height), dpi=120, layout="constrained", facecolor="none")


def framed(width: float, height: float, left: float, bottom: float, top: float) -> tuple[Figure, Axes]:
    """Make a figure with one pair of axes and margins in inches: finding them would take half of all the time."""
    figure = Figure(figsize=(width, height), dpi=120, facecolor="none")
    figure.subplots_adjust(left / width, bottom / height, 1 - 0.12 / width, 1 - top / height)
    return figure, figure.subplots()


def settle(figure: Figure) -> None:
    """Lay a figure out for good: matplotlib would do so each time it draws, and saving draws twice."""
    if (engine := figure.get_layout_engine()) is not None:
        engine.execute(figure)
        figure.set_layout_engine("none")


def png(figure: Figure) -> bytes:
    """Draw a figure once, as a PNG of its whole size, without cropping."""
    settle(figure)
    file = io.BytesIO()
    FigureCanvasAgg(figure).print_png(file)
    return file.getvalue()


@cache
def fonts() -> list[str]:
    """List font families to try letter by letter: matplotlib's own first, then a Korean one where there is any."""
    there = {font.name for font in font_manager.fontManager.ttflist}
    return ["DejaVu Sans", *[name for name in _KOREAN if name in there][:1]]


def fading() -> Colormap:
    """Make the colours of removed shares: from a hint of grey to the colour of what is removed."""
    return LinearSegmentedColormap.from_list("removed", [(0.5, 0.55, 0.6, 0.18), REMOVED])


def ink(face: tuple[float, ...]) -> str:
    """Choose the colour of a text on a cell: black or white, whichever stands out more (WCAG contrast)."""
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in face[:3])
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return "black" if luminance > 0.179 else "white"


def quiet(axes: Axes, title: str = "", x: str = "", y: str = "", pad: float = 6) -> None:
    """Set the words of one pair of axes, and everything but the data in grey."""
    style = {"color": GREY, "fontfamily": fonts()}
    axes.set_facecolor("none")
    axes.set_title(title, fontsize=9, pad=pad, x=1, ha="right", **style)
    axes.set_xlabel(x, fontsize=9, **style)
    # letters of Korean stand upright, those of English lie along the axis
    upright = {} if y.isascii() else {"rotation": 0, "ha": "right", "va": "center"}
    axes.set_ylabel(y, fontsize=9, **style, **upright)
    axes.tick_params(colors=GREY, labelcolor=GREY, labelsize=8, labelfontfamily=fonts(), length=0)
    for spine in axes.spines.values():
        spine.set_color(GREY)

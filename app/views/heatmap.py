"""A heatmap of the library as a picture whose cells are buttons: each shows its exact numbers and selects a module."""

from collections.abc import Iterable, Mapping
from typing import Any

from markupsafe import Markup

import bertprune as bp

from ..i18n import say
from .html import joined, picture, tag
from .result import shares

Key = tuple[Any, Any]
_READABLE = 100
"""Pixels of a column, with its share of the legend, at which its numbers are legible."""


def of_report(language: str, figure: Any, report: Any) -> Markup:
    """Show sparsity by layer and role."""
    numbers = {key: _numbers(language, count) for key, count in report.matrix().items()}
    return _clickable(language, figure, bp.figures.cells(figure, report), report.rows, numbers)


def of_comparison(language: str, figure: Any, found: Any) -> Markup:
    """Show by layer and role how much sparser the second run is than the first."""
    numbers = {
        key: f"{shares(language, first)} → {shares(language, second)}"
        for key, (first, second) in found.matrix().items()
    }
    targets = [one.tensor for one in found.tensors]
    return _clickable(language, figure, bp.figures.cells(figure, found), targets, numbers)


def _numbers(language: str, count: Any) -> str:
    amount = say(language, "result_of", part=f"{count.masked:,}", whole=f"{count.size:,}")
    return f"{shares(language, count)} · {amount}"


def _clickable(
    language: str, figure: Any, boxes: Mapping[Key, Any], targets: Iterable[Any], numbers: Mapping[Key, str]
) -> Markup:
    modules: dict[Key, str] = {}
    for one in targets:
        for key in (*((one.layer, role) for role, _ in one.by_role()), (one.module, one.tensor)):
            modules.setdefault(key, one.module)
    buttons = [
        _button(place, f"{_name(language, key)}: {numbers.get(key, '')}", modules[key], first=not at)
        for at, (key, place) in enumerate(boxes.items())
    ]
    # a few columns fit on a phone; more of them scroll
    least = min(440, _READABLE * len({column for _, column in boxes}))
    style = f"min-width:{least}px;max-width:{figure.bbox.width:.0f}px"
    inside = tag("div", picture(figure), joined(buttons), cls="bp-map-inside", style=style)
    return tag("div", inside, cls="bp-map")


def _name(language: str, key: Key) -> str:
    """Name a cell: role and layer, or module and tensor."""
    row, column = key
    if isinstance(row, str):
        return f"{row}.{column}"
    role = column or say(language, "draw_other")
    return f"{role}, {say(language, 'cells_outside') if row is None else say(language, 'cells_layer') + f' {row}'}"


def _button(place: Any, label: str, module: str, first: bool) -> Markup:
    box = ";".join(f"{side}:{share:.3%}" for side, share in zip(("left", "top", "width", "height"), place, strict=True))
    given = {"type": "button", "data_module": module, "aria_label": label, "title": label, "style": box}
    return tag("button", cls="bp-map-cell", tabindex="0" if first else "-1", **given)

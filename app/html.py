"""Small pieces of HTML, and numbers as people read them; whatever is put in is escaped unless it is `Markup` already.

What a visitor does on a piece is written on it: `static/acts.js` sends the `data-` attributes of a button, with the
fields of its form, as what is to be done.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

import bertprune as bp

if TYPE_CHECKING:
    from .store import Store
    from .visit import Visit


def short_number(value: int) -> str:
    """Write a count in at most four characters and a unit: 92.2 M."""
    for size, unit in ((10**9, " B"), (10**6, " M"), (10**3, " k")):
        if value >= size:
            return f"{value / size:.3g}{unit}" if value / size < 999.5 else f"{round(value / size):d}{unit}"
    return str(value)


def size_of(count: int) -> str:
    """Write a number of bytes, in powers of ten as disks and the Hub count."""
    for size, unit in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} B"


def percent(share: float, digits: int = 2) -> str:
    return f"{share:.{digits}%}"


def plus_minus(figure: Any) -> str:
    """Write a measured figure with half the width of its interval: 0.831 ± 0.020."""
    return f"{figure.value:.3f} ± {(figure.high - figure.low) / 2:.3f}"


def tag(name: str, /, *content: object, cls: str = "", **attributes: str) -> Markup:
    """Put content between two tags; in the names of attributes, `_` stands for `-`."""
    inner = _attributes({"class": cls, **attributes} if cls else attributes)
    return Markup(f"<{name}{inner}>{joined(content)}</{name}>")


def _attributes(given: dict[str, str]) -> str:
    return "".join(f' {key.strip("_").replace("_", "-")}="{escape(value)}"' for key, value in given.items())


def joined(parts: Iterable[object], between: str = "") -> Markup:
    """Put pieces one after the other."""
    return escape(between).join(parts)


def breakable(name: str) -> Markup:
    """Allow a line break after each dot and underscore of a long name."""
    return Markup(re.sub(r"([._])", r"\1<wbr>", str(escape(name))))


def picture(figure: Any, alt: str = "") -> Markup:
    """Put a figure of the library into the page; `alt` describes it for those who do not see it."""
    data = base64.b64encode(bp.figures.png(figure)).decode("ascii")
    return tag("img", src=f"data:image/png;base64,{data}", alt=alt)


def table(
    headers: Sequence[object], rows: Iterable[Sequence[object]], *, numbers: Sequence[int] = (), caption: str = "",
    label: str = "",
) -> Markup:  # fmt: skip
    """Write a table that scrolls by itself where it is too wide; the columns in `numbers` are aligned right.

    The caption stands above it; a label is read out only.
    """

    def cells(name: str, row: Sequence[object], **attributes: str) -> Markup:
        return joined(tag(name, cell, cls="num" if at in numbers else "", **attributes) for at, cell in enumerate(row))

    head = tag("thead", tag("tr", cells("th", headers, scope="col")))
    body = tag("tbody", joined(tag("tr", cells("td", row)) for row in rows))
    title = tag("caption", caption) if caption else ""
    return scrolling(tag("table", title, head, body), caption or label or str(headers[0]))


def scrolling(table: Markup, label: str, cls: str = "") -> Markup:
    """Let a table scroll by itself where it is too wide."""
    return tag("div", table, cls=f"bp-scroll {cls}".strip(), tabindex="0", role="group", aria_label=label)


def facts(pairs: Iterable[tuple[str, object]]) -> Markup:
    """Write names and values side by side."""
    return tag("dl", joined(tag("div", tag("dt", name), tag("dd", value)) for name, value in pairs), cls="bp-facts")


def note(text: object, kind: str = "") -> Markup:
    return tag("p", text, cls=f"bp-note {kind}".strip())


def heading(text: object) -> Markup:
    return tag("h2", text, cls="bp-h")


def button(
    text: object, do: str, *, via: str = "act", primary: bool = False, off: str = "", cls: str = "", **data: object
) -> Markup:
    """Write a button that asks for something: at once (`act`), or for what takes longer (`work`, `open`).

    Where it is `off`, it is grey and says why. `data` goes along with what it asks for; `label` names it.
    """
    cls = cls or ("bp-button bp-primary" if primary else "bp-button")
    given = {"aria_label": str(label), "title": str(label)} if (label := data.pop("label", "")) else {}
    given |= {key: str(data.pop(key)) for key in ("style", "tabindex", "aria_expanded", "aria_pressed") if key in data}
    if off:
        return tag("button", text, type="button", cls=cls, aria_disabled="true", **{**given, "title": off})
    asked = {f"data_{key}": str(value) for key, value in data.items()}
    return tag("button", text, type="button", cls=cls, data_via=via, data_do=do, **asked, **given)


def link(text: object, panel: str) -> Markup:
    """Write a link to another view, as the button that it is the next step to press."""
    return tag("a", text, href=f"#{panel}", cls="bp-button bp-primary")


def next_step(text: object, panel: str) -> Markup:
    """Write the link at the end of a view that leads to the next one."""
    return tag("div", link(text, panel), cls="bp-next")


def field(label: str, control: Markup, info: object = "", cls: str = "") -> Markup:
    """Put a name before a control, and a remark after it."""
    after = tag("small", info) if info else ""
    return tag("label", tag("span", label, cls="bp-name"), control, after, cls=f"bp-field {cls}".strip())


def entry(name: str, value: object = "", kind: str = "text", **more: str) -> Markup:
    """Write a field to type in: one of a form, or with `data_set` one that is sent when it changes."""
    shown = "" if value is None else str(value)
    given = {"autocomplete": "off", **more}
    if kind == "lines":
        return tag("textarea", shown, name=name, data_key=name, spellcheck="false", **{"rows": "2", **given})
    inner = _attributes({"type": kind, "name": name, "data_key": name, "value": shown, **given})
    return Markup(f"<input{inner}>")


def check(name: str, on: bool, label: str, info: object = "", **more: str) -> Markup:
    """Write a box to tick."""
    inner = _attributes({"type": "checkbox", "name": name, "data_key": name, **({"checked": ""} if on else {}), **more})
    after = tag("small", info) if info else ""
    return tag("label", Markup(f"<input{inner}>"), tag("span", label), after, cls="bp-check")


def select(name: str, options: Iterable[tuple[object, object]], value: object, **more: str) -> Markup:
    """Write a list of which one is chosen; options are pairs of what is shown and what it stands for."""
    inner = [
        tag("option", shown, value=str(one), **({"selected": ""} if one == value else {})) for shown, one in options
    ]
    return tag("select", *inner, name=name, data_key=name, **more)


def form(*parts: object, cls: str = "") -> Markup:
    """Put fields together with the buttons that send them."""
    return tag("div", *parts, cls=f"bp-form {cls}".strip(), data_form="1")


@dataclass(frozen=True)
class Part:
    """One part of the page: what it shows of a visit, and on which of its fields that depends."""

    name: str
    show: Callable[[Store, Visit], Any]
    reads: tuple[str, ...]
    slow: Callable[[Store, Visit], bool] = lambda store, visit: False
    """Whether it takes long to draw now, and so comes after the others."""
    meanwhile: Callable[[Store, Visit], Any] | None = None
    """What is shown until it is drawn."""

    def differs(self, before: Visit, after: Visit) -> bool:
        """Return whether it has to be drawn again."""
        return any(getattr(before, name) != getattr(after, name) for name in ("language", *self.reads))

"""Small pieces of HTML; whatever is put in is escaped unless it is `Markup` already."""

import base64
from collections.abc import Iterable, Sequence
from typing import Any

from markupsafe import Markup, escape

import bertprune as bp


def tag(name: str, *content: object, cls: str = "", **attributes: str) -> Markup:
    """Put content between two tags; in the names of attributes, `_` stands for `-`."""
    given = {"class": cls, **attributes} if cls else attributes
    inner = "".join(f' {key.replace("_", "-")}="{escape(value)}"' for key, value in given.items())
    return Markup(f"<{name}{inner}>{joined(content)}</{name}>")


def joined(parts: Iterable[object], between: str = "") -> Markup:
    """Put pieces one after the other."""
    return escape(between).join(parts)


def breakable(name: str) -> Markup:
    """Allow a line break after each dot of a long name."""
    return joined(name.split("."), Markup(".<wbr>"))


def picture(figure: Any, alt: str = "") -> Markup:
    """Put a figure of the library into the page; `alt` describes it for those who do not see it."""
    data = base64.b64encode(bp.figures.png(figure)).decode("ascii")
    return tag("img", src=f"data:image/png;base64,{data}", alt=alt)


def table(
    headers: Sequence[str], rows: Iterable[Sequence[object]], *, numbers: Sequence[int] = (), caption: str = ""
) -> Markup:
    """Write a table that scrolls by itself where it is too wide; the columns in `numbers` are aligned right."""

    def cells(name: str, row: Sequence[object], **attributes: str) -> Markup:
        return joined(tag(name, cell, cls="num" if at in numbers else "", **attributes) for at, cell in enumerate(row))

    head = tag("thead", tag("tr", cells("th", headers, scope="col")))
    body = tag("tbody", joined(tag("tr", cells("td", row)) for row in rows))
    title = tag("caption", caption) if caption else ""
    return tag(
        "div",
        tag("table", title, head, body),
        cls="bp-scroll",
        tabindex="0",
        role="group",
        aria_label=caption or headers[0],
    )


def facts(pairs: Iterable[tuple[str, object]]) -> Markup:
    """Write names and values side by side."""
    return tag("dl", joined(tag("div", tag("dt", name), tag("dd", value)) for name, value in pairs), cls="bp-facts")


def note(text: object, kind: str = "") -> Markup:
    """Write a remark."""
    return tag("p", text, cls=f"bp-note {kind}".strip())

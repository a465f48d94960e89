"""Small pieces of HTML, with everything escaped that is put in."""

import base64
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import bertprune as bp


class Html(str):
    """Text that is HTML already; anything else is escaped."""

    __slots__ = ()


def safe(value: object) -> Html:
    """Escape what is not HTML yet."""
    return value if isinstance(value, Html) else Html(escape(str(value)))


def tag(name: str, *content: object, cls: str = "", **attributes: str) -> Html:
    """Put content between two tags; a trailing underscore in an attribute's name stands for nothing."""
    given = {"class": cls, **attributes} if cls else attributes
    inner = "".join(f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"' for key, value in given.items())
    return Html(f"<{name}{inner}>{''.join(safe(part) for part in content)}</{name}>")


def joined(parts: Iterable[object], between: str = "") -> Html:
    """Put pieces one after the other."""
    return Html(safe(between).join(safe(part) for part in parts))


def breakable(name: str) -> Html:
    """Let a long dotted name go on in the next line after a dot."""
    return joined(name.split("."), Html(".<wbr>"))


def picture(figure: Any, said: str = "") -> Html:
    """Put a figure of the library into the page; `said` is what it shows, for those who do not see it."""
    data = base64.b64encode(bp.figures.png(figure)).decode("ascii")
    return tag("img", src=f"data:image/png;base64,{data}", alt=said)


def table(
    headers: Sequence[str], rows: Iterable[Sequence[object]], *, numbers: Sequence[int] = (), caption: str = ""
) -> Html:
    """Write a table that scrolls by itself where it is too wide; the columns in `numbers` stand right."""

    def cells(name: str, row: Sequence[object]) -> Html:
        return joined(tag(name, cell, cls="num" if at in numbers else "") for at, cell in enumerate(row))

    head = tag(
        "thead",
        tag("tr", joined(tag("th", h, scope="col", cls="num" if i in numbers else "") for i, h in enumerate(headers))),
    )
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


def facts(pairs: Iterable[tuple[str, object]]) -> Html:
    """Write names and values side by side."""
    return tag("dl", joined(tag("div", tag("dt", name), tag("dd", value)) for name, value in pairs), cls="bp-facts")


def note(text: object, kind: str = "") -> Html:
    """Write a remark."""
    return tag("p", text, cls=f"bp-note {kind}".strip())

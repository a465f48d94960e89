"""Tables as text: aligned columns for terminals, docs and the page, and Markdown, also of words from outside."""

import re
import unicodedata
from collections.abc import Collection, Sequence


def aligned(rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> str:
    """Align rows of equal length in columns; `right` lists the columns that are right-aligned, counted from zero.

    Korean and other wide letters count as two cells of a terminal. No line ends in blanks.
    """
    columns = [_padded(cells, at in right) for at, cells in enumerate(zip(*rows, strict=True))]
    return "\n".join("  ".join(row).rstrip() for row in zip(*columns, strict=True))


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> str:
    """Write a Markdown table; pipes in cells are escaped, `right` lists the right-aligned columns."""
    rule = ["---:" if at in right else "---" for at in range(len(columns))]
    escaped = [[cell.replace("|", r"\|") for cell in row] for row in (columns, *rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (escaped[0], rule, *escaped[1:]))


def as_code(text: str) -> str:
    """Format text from outside as code, so that nothing in it is read as Markdown."""
    flat = " ".join(text.split())
    ticks = "`" * (1 + max((len(run) for run in re.findall("`+", flat)), default=0))
    return f"{ticks}{flat}{ticks}" if len(ticks) == 1 else f"{ticks} {flat} {ticks}"


def fenced(text: str, language: str) -> str:
    """Format text, of which some may come from outside, as a block of code in Markdown."""
    ticks = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{ticks}{language}\n{text.rstrip()}\n{ticks}"


def _padded(cells: Sequence[str], right: bool) -> list[str]:
    longest = max(map(_width, cells))
    blanks = [" " * (longest - _width(cell)) for cell in cells]
    return [blank + cell if right else cell + blank for cell, blank in zip(cells, blanks, strict=True)]


def _width(text: str) -> int:
    """Count the terminal cells of a text; Korean and other wide letters take two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)

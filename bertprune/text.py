"""Plain text in aligned columns, for terminals, docs and the page alike."""

import unicodedata
from collections.abc import Collection, Sequence


def aligned(rows: Sequence[Sequence[str]], right: Collection[int] = (), gap: str = "  ") -> str:
    """Lay rows of equal length out in columns, those in `right` set flush right; no line ends in blanks."""
    columns = [_column(cells, at in right) for at, cells in enumerate(zip(*rows, strict=True))]
    return "\n".join(gap.join(row).rstrip() for row in zip(*columns, strict=True))


def width(text: str) -> int:
    """Count the terminal cells of a text; Korean and other wide letters take two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def _column(cells: Sequence[str], right: bool) -> list[str]:
    size = max(map(width, cells))
    blanks = [" " * (size - width(cell)) for cell in cells]
    return [blank + cell if right else cell + blank for cell, blank in zip(cells, blanks, strict=True)]

"""Print tables and data: for people on a terminal, plain in a pipe, JSON for programs."""

import json
import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Table:
    """Rows under headings; the columns named in `numbers` are set flush right."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: frozenset[str] = frozenset()
    title: str = ""

    @classmethod
    def of(
        cls, columns: Sequence[str], rows: Iterable[Sequence[object]], numbers: Iterable[str] = (), title: str = ""
    ) -> "Table":
        """Build a table from any values."""
        text = tuple(tuple(str(cell) for cell in row) for row in rows)
        return cls(tuple(columns), text, frozenset(numbers), title)

    def plain(self) -> str:
        """Align the columns with spaces, two between them, without colour or lines."""
        from ..text import aligned

        right = [at for at, column in enumerate(self.columns) if column in self.numbers]
        text = aligned([self.columns, *self.rows], right)
        return f"{self.title}\n{text}" if self.title else text

    def print(self) -> None:
        """Print with rich on a terminal, plain anywhere else."""
        if sys.stdout.isatty():
            self._print_rich()
        else:
            print(self.plain())

    def _print_rich(self) -> None:
        from rich.console import Console
        from rich.table import Table as RichTable
        from rich.text import Text

        table = RichTable(title=self.title or None, title_justify="left")
        for column in self.columns:
            table.add_column(column, justify="right" if column in self.numbers else "left", overflow="fold")
        for row in self.rows:
            table.add_row(*(Text(cell) for cell in row))
        Console().print(table)


def print_json(data: Any) -> None:
    """Print one JSON document; infinities, which JSON lacks, become text."""
    print(json.dumps(_finite(data), indent=2, ensure_ascii=False, allow_nan=False))


def _finite(data: Any) -> Any:
    if isinstance(data, dict):
        return {str(key): _finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    return str(data) if isinstance(data, float) and not math.isfinite(data) else data


def say(words: str) -> None:
    """Tell the person at the terminal something that is no part of the output."""
    print(words, file=sys.stderr)


def percent(share: float) -> str:
    """Write a share with two decimals."""
    return f"{share:.2%}"


def bytes_of(size: int) -> str:
    """Write a number of bytes exactly, and in megabytes where there are any."""
    return f"{size:,} bytes" + (f" ({size / 1e6:.1f} MB)" if size >= 100_000 else "")

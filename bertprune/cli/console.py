"""Print tables, data and progress: drawn on a terminal, plain in a pipe, JSON for programs."""

import json
import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ..parallel import Progress, silent
from ..text import aligned
from .streams import is_unicode


@dataclass(frozen=True)
class Table:
    """Rows under headings; the columns named in `numbers` are right-aligned."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: frozenset[str] = frozenset()

    @classmethod
    def of(cls, columns: Sequence[str], rows: Iterable[Sequence[object]], numbers: Iterable[str] = ()) -> "Table":
        """Build a table from any values."""
        return cls(tuple(columns), tuple(tuple(map(str, row)) for row in rows), frozenset(numbers))

    def print(self) -> None:
        """Draw the table on a terminal; print aligned columns anywhere else."""
        if sys.stdout.isatty():
            self._draw()
        else:
            right = [at for at, column in enumerate(self.columns) if column in self.numbers]
            print(aligned([self.columns, *self.rows], right))

    def _draw(self) -> None:
        from rich.console import Console
        from rich.table import Table as RichTable
        from rich.text import Text

        table = RichTable()
        for column in self.columns:
            table.add_column(column, justify="right" if column in self.numbers else "left", overflow="fold")
        for row in self.rows:
            table.add_row(*(Text(cell) for cell in row))
        Console().print(table)


def print_json(data: Any) -> None:
    """Print one JSON document; infinities, which JSON lacks, become text."""
    print(json.dumps(_finite(data), indent=2, ensure_ascii=not is_unicode(sys.stdout), allow_nan=False))


def print_script(text: str) -> None:
    """Print a Python script; where stdout is not in UTF-8, as Python files are, its letters are escaped."""
    print(text if is_unicode(sys.stdout) else text.encode("ascii", "backslashreplace").decode(), end="")


def _finite(data: Any) -> Any:
    if isinstance(data, dict):
        return {str(key): _finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    return str(data) if isinstance(data, float) and not math.isfinite(data) else data


def print_note(text: str) -> None:
    """Print a note to stderr."""
    print(text, file=sys.stderr)


def print_run_notes(run: Any) -> None:
    """Print to stderr what is to know of a run, apart from what it has warned of already."""
    for note in run.notes:
        if note.code != "calibration.other_texts":
            print_note(f"note: {note}")


@contextmanager
def progress_bar(text: str) -> Iterator[Progress]:
    """Draw a bar on stderr while the block runs, then remove it; draw nothing where stderr is not a terminal."""
    if not sys.stderr.isatty():
        yield silent
        return
    from rich.console import Console
    from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    # stdout may be a pipe, whose text rich must not move to the terminal
    with Bar(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False) as bar:
        task = bar.add_task(text, total=None)

        def show(share: float, now: str) -> None:
            bar.update(task, total=1.0, completed=share, description=now or text)

        yield show


def percent(share: float) -> str:
    """Write a share as a percentage with two decimals."""
    return f"{share:.2%}"


def byte_size(size: int) -> str:
    """Write a number of bytes exactly, and in megabytes too where it is large."""
    return f"{size:,} bytes" + (f" ({size / 1e6:.1f} MB)" if size >= 100_000 else "")

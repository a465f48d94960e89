"""Read examples from a file, a data frame or a list into one table with the position of each row in its source."""

import gzip
import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError, Message, Note, shortened, shown
from ..files import from_home, name_of, reason_of
from .csv_layout import layout_of
from .text_files import NumberedRows, RowUnit, file_kind, full_rows, json_lines, not_utf8, open_text, place, rows_of

MAX_ROWS = 1_000_000
"""A source with more rows is read only with a `limit`."""

SAMPLES = "samples"
_SAMPLES_FILE = Path(__file__).parent.parent / "demo" / "samples.csv"
_COLUMNS_BY_LENGTH = {1: ("text",), 2: ("text", "label"), 3: ("sentence1", "sentence2", "score")}

_DATA_FRAME = Note("the data frame", code="data.data_frame")
_LIST = Note("the list", code="data.list")


@dataclass(frozen=True)
class Table:
    """Rows of values under named columns, each row with its number in the source, counted from 1."""

    name: str
    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    numbers: list[int]
    unit: RowUnit
    """What the numbers count: lines of a file, rows of a data frame, items of a list."""
    more: bool = False
    """Whether the source has rows after the last one that was read."""
    separator: str | None = None
    """What separates the names in the first line of a file; None where there is no such line."""
    notes: tuple[Note, ...] = ()
    """Sentences on how it was read."""

    def place(self, row: int) -> Message:
        """Return the position of a row in the source, for a message."""
        return place(self.name, self.unit, self.numbers[row])


def read_table(data: Any, limit: int | None = None) -> Table:
    """Read a CSV, TSV or JSONL file, a pandas DataFrame, or an iterable of texts, tuples or dicts.

    With a `limit` only the first rows are read. What has been read is returned as it is. Raises DataError.
    """
    if isinstance(data, Table) and limit is None:
        return data
    if not _is_count(limit):
        raise DataError(
            "limit={limit}: expected an integer, 1 or more, or None for all",
            code="data.limit",
            limit=shown(limit),
        )
    table = _read(data, limit)
    if not table.rows:
        raise DataError("{name} has no examples: expected at least one row", code="data.empty", name=table.name)
    if not table.more:
        return table
    words = "only the first {most:,} rows were read, and there are more"
    return replace(table, notes=(*table.notes, Note(words, code="note.first_rows", most=len(table.rows))))


def _is_count(given: Any) -> bool:
    return given is None or (isinstance(given, int) and not isinstance(given, bool) and given >= 1)


def _read(data: Any, limit: int | None) -> Table:
    if isinstance(data, str | Path):
        return _read_file(_SAMPLES_FILE if data == SAMPLES else from_home(data, DataError), limit)
    if hasattr(data, "itertuples") and hasattr(data, "columns"):
        columns = tuple(str(name) for name in data.columns)
        return _table(_DATA_FRAME, columns, enumerate(data.itertuples(index=False, name=None), 1), "row", limit)
    if hasattr(data, "read"):
        raise DataError(
            "data is an open file ({type}): pass its path",
            code="data.open_file", type=type(data).__name__,
        )  # fmt: skip
    if isinstance(data, Iterable) and not isinstance(data, Mapping | bytes):
        return _read_items(data, limit)
    raise _no_data(data)


def drawn(table: Table, sample: int | None, seed: int) -> Table:
    """Return some rows of a table, drawn by the seed and in the order of the source; a note counts them.

    Where there are no more rows than `sample`, or that is None, all stay. Raises DataError.
    """
    if not _is_count(sample):
        raise DataError(
            "sample={sample}: expected an integer, 1 or more, or None for all",
            code="data.sample",
            sample=shown(sample),
        )
    total = len(table.rows)
    if sample is None or sample >= total:
        return table
    chosen = sorted(draw(total, sample, seed))
    note = Note("{count:,} of {rows:,} rows were drawn by the seed", code="note.drawn", count=sample, rows=total)
    return replace(
        table,
        rows=[table.rows[row] for row in chosen],
        numbers=[table.numbers[row] for row in chosen],
        notes=(*table.notes, note),
    )


def draw(total: int, count: int, seed: int) -> list[int]:
    """Draw numbers below `total`, each at most once, in a random order."""
    return [int(row) for row in np.random.default_rng(seed).permutation(total)[:count]]


def _no_data(data: Any) -> DataError:
    return DataError(
        "data is of type {type}: expected a path, a DataFrame, or a list of texts or rows",
        code="data.type", type=type(data).__name__,
    )  # fmt: skip


def _table(name: str, columns: tuple[str, ...], rows: NumberedRows, unit: RowUnit, limit: int | None) -> Table:
    twice = [column for column in dict.fromkeys(columns) if column and columns.count(column) > 1]
    if twice:
        raise DataError(
            "{name} has the column {column!r} more than once: names must be unique, and the first line must hold them",
            code="data.duplicate_column",
            name=name,
            column=shortened(twice[0]),
        )
    kept = list(islice(rows, MAX_ROWS + 1 if limit is None else min(limit, sys.maxsize)))
    if limit is None and len(kept) > MAX_ROWS:
        raise DataError(
            "{name} has more than {most:,} rows: pass limit= (--limit) to read only the first ones",
            code="data.too_many_rows",
            name=name,
            most=MAX_ROWS,
        )
    more = limit is not None and len(kept) == limit and _has_more(rows)
    return Table(name, columns, [row for _, row in kept], [number for number, _ in kept], unit, more)


def _has_more(rows: NumberedRows) -> bool:
    try:
        return next(rows, None) is not None
    except DataError:  # a row beyond the limit may be wrong
        return True


def _read_items(items: Iterable[Any], limit: int | None) -> Table:
    try:
        stream = iter(items)
    except TypeError:  # a tensor or an array of no dimensions
        raise _no_data(items) from None
    first = next(stream, None)
    if first is None:
        return Table(_LIST, (), [], [], "item")
    everything = chain([first], stream)
    if isinstance(first, Mapping):
        return _read_records(_LIST, enumerate(everything, 1), "item", limit)
    if isinstance(first, str):
        columns: tuple[str, ...] = ("text",)
    elif isinstance(first, tuple | list) and len(first) in _COLUMNS_BY_LENGTH:
        columns = _COLUMNS_BY_LENGTH[len(first)]
    else:
        raise DataError(
            "{place} is {value}: expected a text, (text, label), (text, text, score) or a dict",
            code="data.item_form",
            place=place(_LIST, "item", 1),
            value=shown(first, 40),
        )
    return _table(_LIST, columns, _same_form(everything, first), "item", limit)


def _same_form(items: Iterable[Any], first: Any) -> NumberedRows:
    plain = isinstance(first, str)
    for number, item in enumerate(items, 1):
        same = isinstance(item, str) if plain else isinstance(item, tuple | list) and len(item) == len(first)
        if not same:
            raise DataError(
                "{place} is {value}: expected the same form as item 1",
                code="data.mixed_items",
                place=place(_LIST, "item", number),
                value=shown(item, 40),
            )
        yield number, (item,) if plain else tuple(item)


def _read_records(name: str, records: Iterator[tuple[int, Any]], unit: RowUnit, limit: int | None) -> Table:
    """Read records into columns, one for each of their keys; a missing value is None."""
    kept = _table(name, (), ((number, (record,)) for number, record in records), unit, limit)
    for row, (record,) in enumerate(kept.rows):
        if not isinstance(record, Mapping):
            raise DataError(
                "{place} is {value}: expected an object with named fields",
                code="data.not_object",
                place=kept.place(row),
                value=shown(record, 40),
            )
    columns = tuple(dict.fromkeys(key for (record,) in kept.rows for key in record))
    rows = [tuple(record.get(key) for key in columns) for (record,) in kept.rows]
    return Table(name, tuple(map(str, columns)), rows, kept.numbers, unit, kept.more)


def _read_file(path: Path, limit: int | None) -> Table:
    name, kind = name_of(path), file_kind(path)
    try:
        with open_text(path, kind) as file:
            if kind == "jsonl":
                return _read_records(name, json_lines(name, file), "line", limit)
            layout = layout_of(name, file, kind, MAX_ROWS if limit is None else limit)
            rows = rows_of(name, file, layout)
            header, names = next(rows, (1, ()))
            columns = tuple(column.strip() for column in names)
            table = _table(name, columns, full_rows(name, columns, header, rows), "line", limit)
            return replace(table, separator=layout.separator, notes=layout.notes)
    except FileNotFoundError:
        raise DataError("{name}: no such file", code="data.no_file", name=name) from None
    except UnicodeDecodeError:
        raise not_utf8(name) from None
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise DataError("{name} is not a complete gzip file", code="data.not_gzip", name=name) from None
    except (OSError, ValueError) as error:  # a path may hold what no path can
        raise DataError(
            "{name} cannot be read: {reason}", code="data.unreadable", name=name, reason=reason_of(error)
        ) from None

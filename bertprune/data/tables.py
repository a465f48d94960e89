"""Read examples from a file, a data frame or a list into one plain table."""

import csv
import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, TextIO

from ..errors import DataError, shortened

MAX_ROWS = 1_000_000
"""A longer source is scored only when `limit` says how much of it."""

MAX_LINE = 1_000_000
"""Characters; no honest line of examples is longer."""

SAMPLES = "samples"
_SAMPLES_FILE = Path(__file__).parent.parent / "demo" / "samples.csv"

_BY_LENGTH = {1: ("text",), 2: ("text", "label"), 3: ("sentence1", "sentence2", "score")}

Rows = Iterator[tuple[int, tuple[Any, ...]]]


@dataclass(frozen=True)
class Table:
    """Rows of values under named columns, each row with its number in the source (counted from 1)."""

    name: str
    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    numbers: list[int]
    unit: str
    more: bool = False
    """Whether the source goes on after the last row that was taken."""

    def place(self, row: int) -> str:
        """Say where the row is, as error messages do."""
        return f"{self.name}, {self.unit} {self.numbers[row]}"


def read_table(data: Any, limit: int | None = None) -> Table:
    """Read a CSV, TSV or JSONL file, a pandas DataFrame, or an iterable of texts, tuples or dicts."""
    if isinstance(limit, bool) or not (limit is None or (isinstance(limit, int) and limit >= 1)):
        raise DataError(f"limit={limit!r}: must be a whole number of examples, 1 or more, or None for all")
    if isinstance(data, str | Path):
        table = _read_file(_SAMPLES_FILE if data == SAMPLES else Path(data), limit)
    elif hasattr(data, "itertuples") and hasattr(data, "columns"):
        columns = tuple(str(name) for name in data.columns)
        table = _table("the data frame", columns, enumerate(data.itertuples(index=False, name=None), 1), "row", limit)
    elif isinstance(data, Iterable) and not isinstance(data, Mapping | bytes):
        table = _read_items(data, limit)
    else:
        raise DataError(f"data is a {type(data).__name__}: give a path, a DataFrame, or a list of texts or rows")
    if not table.rows:
        raise DataError(f"{table.name} has no examples: expected at least one row")
    return table


def _table(name: str, columns: tuple[str, ...], rows: Rows, unit: str, limit: int | None) -> Table:
    twice = [column for column in dict.fromkeys(columns) if columns.count(column) > 1]
    if twice:
        raise DataError(f"{name} has the column {twice[0]!r} more than once: names must differ")
    kept = list(islice(rows, MAX_ROWS + 1 if limit is None else limit))
    if limit is None and len(kept) > MAX_ROWS:
        raise DataError(f"{name} has more than {MAX_ROWS:,} rows: pass limit= (--limit) to score the first ones")
    more = limit is not None and len(kept) == limit and _goes_on(rows)
    return Table(name, columns, [row for _, row in kept], [number for number, _ in kept], unit, more)


def _goes_on(rows: Rows) -> bool:
    try:
        return next(rows, None) is not None
    except (DataError, csv.Error):  # a row that is not asked for may be what it likes
        return True


def _read_items(items: Iterable[Any], limit: int | None) -> Table:
    stream = iter(items)
    first = next(stream, None)
    if first is None:
        return Table("the list", (), [], [], "item")
    everything = chain([first], stream)
    if isinstance(first, Mapping):
        return _from_records("the list", enumerate(everything, 1), "item", limit)
    columns = ("text",) if isinstance(first, str) else _columns_of(first)
    return _table("the list", columns, _tuples(everything, first), "item", limit)


def _columns_of(item: Any) -> tuple[str, ...]:
    if isinstance(item, tuple | list) and len(item) in _BY_LENGTH:
        return _BY_LENGTH[len(item)]
    found = shortened(repr(item), 40)
    raise DataError(f"the list, item 1 is {found}: expected a text, (text, label), (text, text, score) or a dict")


def _tuples(items: Iterable[Any], first: Any) -> Rows:
    plain = isinstance(first, str)
    for number, item in enumerate(items, 1):
        alike = isinstance(item, str) if plain else isinstance(item, tuple | list) and len(item) == len(first)
        if not alike:
            raise DataError(f"the list, item {number} is {shortened(repr(item), 40)}: expected the same form as item 1")
        yield number, (item,) if plain else tuple(item)


def _from_records(name: str, records: Iterator[tuple[int, Any]], unit: str, limit: int | None) -> Table:
    """Lay records of possibly different keys under the union of these; what a record lacks is None."""
    kept = _table(name, (), ((number, (record,)) for number, record in records), unit, limit)
    for row, (record,) in enumerate(kept.rows):
        if not isinstance(record, Mapping):
            raise DataError(f"{kept.place(row)} is {shortened(repr(record), 40)}: expected an object with named fields")
    columns = tuple(dict.fromkeys(key for (record,) in kept.rows for key in record))
    rows = [tuple(record.get(key) for key in columns) for (record,) in kept.rows]
    return Table(name, tuple(map(str, columns)), rows, kept.numbers, unit, kept.more)


def _read_file(path: Path, limit: int | None) -> Table:
    kind = _kind(path)
    try:
        opened = gzip.open if path.suffix.lower() == ".gz" else open
        with opened(path, "rt", encoding="utf-8-sig", newline="" if kind == "csv" else "\n") as file:
            return _READERS[kind](path.name, file, limit)
    except FileNotFoundError:
        raise DataError(f"{path.name}: there is no such file") from None
    except UnicodeDecodeError:
        raise DataError(f"{path.name} is not UTF-8 text: save it in that encoding") from None
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise DataError(f"{path.name} is not a whole gzip file") from None
    except OSError as error:
        raise DataError(f"{path.name} cannot be read: {error.strerror or type(error).__name__}") from None


def _kind(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    kind = {".csv": "csv", ".tsv": "tsv", ".txt": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
    if path.is_dir():
        raise DataError(f"{path.name} is a folder: expected a CSV, TSV or JSONL file")
    if not suffixes or suffixes[-1] not in kind:
        raise DataError(f"{path.name}: expected a file that ends in .csv, .tsv, .txt (as TSV) or .jsonl")
    return kind[suffixes[-1]]


def _lines(name: str, file: TextIO) -> Iterator[str]:
    number = 0
    while line := file.readline(MAX_LINE + 1):
        number += 1
        if len(line) > MAX_LINE:
            raise DataError(f"{name}, line {number} has more than {MAX_LINE:,} characters")
        yield line


def _read_csv(name: str, file: TextIO, limit: int | None) -> Table:
    """Split at commas; but where the header has tabs and no comma, the file is TSV, as public data sets name it too."""
    header = file.readline(MAX_LINE)
    file.seek(0)
    if "\t" in header and "," not in header:
        return _read_tsv(name, file, limit)
    reader = csv.reader(_lines(name, file), strict=True)

    def rows() -> Rows:
        start = reader.line_num + 1
        for row in reader:
            yield start, tuple(row)
            start = reader.line_num + 1

    try:
        return _headed(name, rows(), limit)
    except csv.Error as error:
        raise DataError(f"{name}, line {reader.line_num}: {error}; is a quote not closed?") from None


def _read_tsv(name: str, file: TextIO, limit: int | None) -> Table:
    """Split at tabs only: quotes are part of the text."""
    lines = enumerate(_lines(name, file), 1)
    return _headed(name, ((number, tuple(line.rstrip("\r\n").split("\t"))) for number, line in lines), limit)


def _headed(name: str, rows: Rows, limit: int | None) -> Table:
    _, header = next(rows, (0, ()))
    columns = tuple(column.strip() for column in header)

    def checked() -> Rows:
        for number, row in rows:
            if row in ((), ("",)):
                continue
            if len(row) != len(columns):
                raise DataError(
                    f"{name}, line {number} has {len(row)} fields: expected {len(columns)}, as in the header, line 1"
                )
            yield number, row

    return _table(name, columns, checked(), "line", limit)


def _read_jsonl(name: str, file: TextIO, limit: int | None) -> Table:
    lines = ((number, line) for number, line in enumerate(_lines(name, file), 1) if line.strip())

    def records() -> Iterator[tuple[int, Any]]:
        for number, line in lines:
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError):
                raise DataError(f"{name}, line {number} is not JSON: expected one object a line") from None

    return _from_records(name, records(), "line", limit)


_READERS = {"csv": _read_csv, "tsv": _read_tsv, "jsonl": _read_jsonl}

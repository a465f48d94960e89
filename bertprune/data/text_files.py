"""Read text files in the encodings that people use, row by row, each with the line on which it begins."""

import csv
import gzip
import json
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from typing import Any, BinaryIO, Literal, TextIO, cast

from ..errors import DataError, Message, shortened
from ..files import check_regular, name_of
from .csv_layout import MAX_LINE, CsvLayout

FileKind = Literal["csv", "tsv", "jsonl"]
RowUnit = Literal["line", "row", "item"]
NumberedRows = Iterator[tuple[int, tuple[Any, ...]]]

_KINDS: dict[str, FileKind] = {".csv": "csv", ".tsv": "tsv", ".txt": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
_UTF16 = (BOM_UTF16_LE, BOM_UTF16_BE)
_END = "\x1a"
"""The letter that old systems write after the last line."""


def place(name: str, unit: RowUnit, number: int) -> Message:
    """Return a position in a source, such as "reviews.csv, line 3"."""
    if unit == "line":
        return Message("{name}, line {number}", code="data.line", name=name, number=number)
    if unit == "row":
        return Message("{name}, row {number}", code="data.row", name=name, number=number)
    return Message("{name}, item {number}", code="data.item", name=name, number=number)


def file_kind(path: Path) -> FileKind:
    """Return what a file's name says that it is. Raises DataError, for what is not a regular file too."""
    check_regular(path, DataError)
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    if not suffixes or suffixes[-1] not in _KINDS:
        raise DataError(
            "{name}: expected a file name that ends in .csv, .tsv, .txt (read as TSV) or .jsonl (one object per line); "
            "save a spreadsheet as CSV, or pass a data frame",
            code="data.unknown_suffix",
            name=name_of(path),
        )
    return _KINDS[suffixes[-1]]


@contextmanager
def open_text(path: Path, kind: FileKind) -> Iterator[TextIO]:
    """Open a file in UTF-8, or in UTF-16 if it begins with that encoding's mark, also gzipped."""
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    with opened(path, "rb") as stream:
        head = stream.peek(4096)
        encoding = "utf-16" if head[:2] in _UTF16 else "utf-8-sig"
        only_cr = "\r" in (start := head.decode(encoding, "ignore")) and "\n" not in start  # as old Macs wrote
        newline = "" if kind == "csv" or only_cr else "\n"
        with TextIOWrapper(cast(BinaryIO, stream), encoding=encoding, newline=newline) as file:
            yield file


def rows_of(name: str, file: TextIO, layout: CsvLayout) -> NumberedRows:
    """Yield the rows of a CSV or TSV file, the header first, each with the line that it begins at."""
    if "\0" in layout.header:  # UTF-16 without its mark
        raise not_utf8(name)
    if layout.quoted:
        return _quoted_rows(name, file, layout.separator, layout.above)
    return _unquoted_rows(name, file, layout.above)


def _lines(name: str, file: TextIO, above: int = 0) -> Iterator[str]:
    number = above
    while line := file.readline(MAX_LINE + 1):
        number += 1
        if len(line) > MAX_LINE:
            where = place(name, "line", number)
            raise DataError(
                "{place} has more than {most:,} characters", code="data.long_line", place=where, most=MAX_LINE
            )
        yield line


def not_utf8(name: str) -> DataError:
    """Return the error for text in another encoding, such as CP949, which cannot be told from others."""
    return DataError(
        "{name} is not UTF-8 text: save it as UTF-8 (CSV UTF-8 in Excel)",
        code="data.not_utf8", name=name,
    )  # fmt: skip


def _quoted_rows(name: str, file: TextIO, separator: str, above: int) -> NumberedRows:
    reader = csv.reader(_lines(name, file, above), strict=True, delimiter=separator)
    start = above + 1
    try:
        for row in reader:
            yield start, tuple(row)
            start = above + reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            "{place}: {reason}; is a quote not closed?",
            code="data.csv_syntax",
            place=place(name, "line", above + reader.line_num),
            reason=str(error),
        ) from None


def _unquoted_rows(name: str, file: TextIO, above: int) -> NumberedRows:
    """Split at tabs only: quotes are part of the text."""
    lines = enumerate(_lines(name, file, above), above + 1)
    return ((number, tuple(line.rstrip("\r\n").split("\t"))) for number, line in lines)


def full_rows(name: str, columns: tuple[str, ...], header: int, rows: NumberedRows) -> NumberedRows:
    """Skip empty lines, and refuse rows that have more or fewer fields than the header. Raises DataError."""
    for number, row in rows:
        if len(row) <= 1 and not "".join(row).strip().strip(_END):
            continue
        if len(row) != len(columns):
            raise DataError(
                "{place} has {found} fields: expected {expected}, as in the header, line {header}",
                code="data.field_count",
                place=place(name, "line", number),
                found=len(row),
                expected=len(columns),
                header=header,
            )
        yield number, row


def _once(where: Message, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object. Raises DataError for a repeated key, one of whose values would be lost."""
    made = dict(pairs)
    if len(made) < len(pairs):
        twice = next(key for key, _ in pairs if [one for one, _ in pairs].count(key) > 1)
        raise DataError(
            "{place} gives {key!r} twice: give it once",
            code="data.repeated_key", place=where, key=shortened(twice, 40),
        )  # fmt: skip
    return made


def json_lines(name: str, file: TextIO) -> Iterator[tuple[int, Any]]:
    """Yield the value of every line that is not blank. Raises DataError."""
    for number, line in enumerate(_lines(name, file), 1):
        if not line.strip():
            continue
        try:
            yield number, json.loads(line, object_pairs_hook=partial(_once, place(name, "line", number)))
        except DataError:
            raise
        except (ValueError, RecursionError):
            where = place(name, "line", number)
            raise DataError(
                "{place} is not JSON: expected one object per line", code="data.not_json", place=where
            ) from None

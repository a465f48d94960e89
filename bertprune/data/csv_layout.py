"""How a CSV or TSV file is laid out: where its header is, what separates its fields, and what its quotes mean."""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TextIO

from ..errors import Note

MAX_LINE = 1_000_000
"""Characters; a longer line is refused before the rest of it is read."""

_SEPARATORS = ",\t;|"
"""Those of CSV files, the likeliest first: some data sets name TSV files .csv, some spreadsheets write semicolons."""
_STATED = re.compile('"?sep=(.)"?\\s*', re.IGNORECASE)
"""The line that Excel writes and reads above the header."""
_FIELD = r'("[^"]*(?:""[^"]*)*"|[^"\t\r\n]*)'
_QUOTED_ROW = re.compile(rf"{_FIELD}(\t{_FIELD})*[\r\n]*")
"""A row of tabs as CSV writers make it: each field with a quote in it stands in quotes, and its own are doubled."""


@dataclass(frozen=True)
class CsvLayout:
    """What is known of a file before its rows are read."""

    header: str
    above: int
    """How many lines are above the header."""
    separator: str
    quoted: bool
    """Whether quotes enclose a field, as in CSV; otherwise they are part of the text."""
    notes: tuple[Note, ...] = ()


def layout_of(name: str, file: TextIO, kind: Literal["csv", "tsv"], most: int) -> CsvLayout:
    """Find the header and go to it; of a file with tabs, `most` rows are looked at for quotes."""
    header, above, separator = _find_header(file)
    if separator is None:
        separator = _separator_of(header, kind)
    if separator != "\t" or header.startswith('"'):
        return CsvLayout(header, above, separator, quoted=True)
    start = file.tell()
    begun, quoted = _look_for_quotes(file, most)
    file.seek(start)
    return CsvLayout(header, above, separator, quoted, _notes(name, quoted) if begun else ())


def _find_header(file: TextIO) -> tuple[str, int, str | None]:
    """Go to the header; return it, how many lines are above it, and the separator that one of them states."""
    above, separator = 0, None
    while True:
        at = file.tell()
        line = file.readline(MAX_LINE)
        stated = _STATED.fullmatch(line)
        if not line or (line.strip() and not stated):
            file.seek(at)
            return line, above, separator
        above, separator = above + 1, stated[1] if stated else separator


def _separator_of(header: str, kind: Literal["csv", "tsv"]) -> str:
    """Return what separates the fields of a header; in a TSV file that is a tab, unless it reads as names without."""
    if kind == "csv":
        return next((one for one in _SEPARATORS if len(_split(header, one)) > 1), ",")
    others = "" if "\t" in header else _SEPARATORS
    named = (one for one in others if len(names := _split(header, one)) > 1 and all(map(_is_name, names)))
    return next(named, "\t")


def _is_name(field: str) -> bool:
    """Return whether a field is one word, as names of columns are and texts are not."""
    return field.strip().replace("-", "_").isidentifier()


def _split(header: str, separator: str) -> list[str]:
    try:
        return next(csv.reader([header], delimiter=separator), [])
    except csv.Error:  # a field of more characters than the module reads
        return []


def _look_for_quotes(file: TextIO, most: int) -> tuple[bool, bool]:
    """Return whether a field begins with a quote, and whether each field with a quote is a quoted one."""
    begun, quoted, tabs = False, True, None
    for number, row in enumerate(_closed_rows(file)):
        tabs = row[0].count("\t") if tabs is None else tabs
        begun = begun or any(line.startswith('"') or '\t"' in line for line in row)
        # lines that all have the header's number of fields are rows by themselves, whatever their quotes
        several = bool(tabs) and len(row) > 1 and all(line.count("\t") == tabs for line in row)
        quoted = quoted and not several and ('"' not in row[0] or bool(_QUOTED_ROW.fullmatch("".join(row))))
        if number >= most or (begun and not quoted):
            break
    return begun, begun and quoted


def _closed_rows(file: TextIO) -> Iterator[list[str]]:
    """Yield the lines of each row; one goes on over lines until its quotes are even, or it is too long."""
    row: list[str] = []
    size = quotes = 0
    while (line := file.readline(MAX_LINE + 1)) and len(line) <= MAX_LINE:
        row.append(line)
        size, quotes = size + len(line), quotes + line.count('"')
        if quotes % 2 == 0 or size > MAX_LINE:
            yield row
            row, size, quotes = [], 0, 0
    if row:
        yield row


def _notes(name: str, quoted: bool) -> tuple[Note, ...]:
    if quoted:
        return (Note("{name}: quotes around a field were read as in CSV, not as text", code="note.quoted", name=name),)
    return (
        Note(
            "{name}: quotes were read as text, since not every field with a quote is in quotes",
            code="note.unquoted", name=name,
        ),
    )  # fmt: skip

"""Find the columns of a table that hold the texts, second texts and labels."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import DataError, Message, Note, first_names, shortened, shown
from .tables import Table

TEXT = ("text", "sentence", "document", "review", "content", "comment", "utterance", "문장", "텍스트", "리뷰", "내용")
PAIRS = (
    ("sentence1", "sentence2"),
    ("sentence_1", "sentence_2"),
    ("sentence_a", "sentence_b"),
    ("sent1", "sent2"),
    ("text1", "text2"),
    ("text_1", "text_2"),
    ("text_a", "text_b"),
    ("premise", "hypothesis"),
    ("question1", "question2"),
)
LABEL = ("label", "labels", "sentiment", "target", "class", "category", "gold_label", "라벨", "레이블")
SCORE = ("score", "similarity_score", "similarity", "gold_score", "relatedness_score")


@dataclass(frozen=True)
class Examples:
    """Texts or pairs of texts in the order of the source, with unconverted labels if there are any."""

    table: Table
    """The rows that have a text."""
    texts: list[str]
    pairs: list[str] | None
    """The second text of each pair."""
    labels: list[Any] | None
    label_column: str | None = None
    notes: tuple[str, ...] = ()
    """Sentences on how the source was read, and on rows that were left out."""
    unused: tuple[str, ...] = ()
    """Columns with values that may be the labels, where no column was found to hold them."""

    def __len__(self) -> int:
        return len(self.texts)


def find_examples(
    table: Table,
    *,
    text: str | None = None,
    text_pair: str | None = None,
    label: str | None = None,
    scores: bool | None,
) -> Examples:
    """Find texts, second texts and labels in the named columns, or else in those with a usual name.

    With `scores`, a score column is preferred to a label column for pairs; None takes labels only where `label` names
    them.
    Rows without a text are left out, and a note counts them. Raises DataError.
    """
    first, second = _text_columns(table, text, text_pair)
    table, blank_notes = _without_blanks(table, [first] if second is None else [first, second])
    usual: tuple[str, ...] = LABEL if second is None else (*SCORE, *LABEL) if scores else (*LABEL, *SCORE)
    usual = () if scores is None else usual
    known = _named(table, label, "label") if label is not None else _not_empty(table, _usual(table, usual))
    return Examples(
        table,
        _texts(table, first),
        None if second is None else _texts(table, second),
        None if known is None else _labels(table, known),
        None if known is None else table.columns[known],
        (*table.notes, *blank_notes),
        () if known is not None else _unused(table, first, second),
    )


def _unused(table: Table, *texts: int | None) -> tuple[str, ...]:
    named = [(at, column) for at, column in enumerate(table.columns) if column and at not in texts]
    return tuple(column for at, column in named if _not_empty(table, at) is not None)


def _text_columns(table: Table, text: str | None, text_pair: str | None) -> tuple[int, int | None]:
    second = _named(table, text_pair, "text_pair") if text_pair is not None else None
    if text is not None:
        return _named(table, text, "text"), second
    pairs = [(_usual(table, (one,)), _usual(table, (two,))) for one, two in PAIRS]
    both = next(((one, two) for one, two in pairs if one is not None and two is not None), None)
    if both is not None and second is None:
        return both
    first = _usual(table, (*TEXT, *(one for one, _ in PAIRS)))
    if first is None:
        raise DataError(
            "{name} has no text column: expected one of {known}, or a pair such as sentence1 and sentence2; it has "
            "{columns}; name yours with text= (--text){header}",
            code="data.no_text_column",
            name=table.name,
            known=", ".join(TEXT),
            columns=listed(table.columns),
            header=_missing_header(table),
        )
    return first, second


def _missing_header(table: Table) -> str | Message:
    """Return what to do about a file without a header: put a line of names on top, with the file's own separator."""
    if table.separator is None:
        return ""
    if others := _other_separators(table):
        return Message(
            ", or put the line text on top if each line is one text; name the file .csv if its columns are separated"
            " by {others}",
            code="data.missing_header_or_csv", others=others,
        )  # fmt: skip
    names = ["text", "label", *(f"column{number}" for number in range(3, 7))][: len(table.columns)]
    line = table.separator.replace("\t", "<tab>").join([*names, *["…"] * (len(table.columns) > len(names))])
    return Message(", or put a line such as {line} on top if there is no header", code="data.missing_header", line=line)


def _other_separators(table: Table) -> str:
    """Return what may separate the columns of a file that was read by tabs and has none."""
    alone = table.columns[0] if table.separator == "\t" and len(table.columns) == 1 else ""
    return " ".join(one for one in ",;|" if one in alone)


def _usual(table: Table, names: Sequence[str]) -> int | None:
    """Find the first of some usual names among the columns; case, blanks and dashes are ignored."""
    plain = [column.strip().casefold().replace(" ", "_").replace("-", "_") for column in table.columns]
    return next((plain.index(name) for name in names if name in plain), None)


def _named(table: Table, column: Any, option: str) -> int:
    if not isinstance(column, str):
        raise DataError(
            "{option}={given}: expected the name of a column",
            code="data.column_name",
            option=option,
            given=shown(column),
        )
    if column in table.columns:
        return table.columns.index(column)
    if others := _other_separators(table):
        raise DataError(
            "{name} has no column {column!r} (given as {option}): it was read as TSV, and its first line {columns} has"
            " no tab; name the file .csv if its columns are separated by {others}",
            code="data.untabbed_columns", name=table.name, column=shortened(column), option=option,
            columns=listed(table.columns), others=others,
        )  # fmt: skip
    raise DataError(
        "{name} has no column {column!r} (given as {option}): it has {columns}",
        code="data.unknown_column",
        name=table.name,
        column=shortened(column),
        option=option,
        columns=listed(table.columns),
    )


def listed(columns: Sequence[str]) -> str | Message:
    """List the names of columns in a message."""
    return first_names(repr(shortened(column, 40)) for column in columns)


def _not_empty(table: Table, column: int | None) -> int | None:
    """Return the column, or None if it is empty, as in test sets without published labels."""
    empty = column is None or all(_is_missing(values[column]) for values in table.rows)
    return None if empty else column


def _is_missing(value: Any) -> bool:
    """Return whether a cell is empty: None, NaN, pandas' NA, or a blank text."""
    if isinstance(value, str):
        return not value.strip()
    return value is None or type(value).__name__ in ("NAType", "NaTType") or _is_nan(value)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float | np.floating) and bool(value != value)


def _without_blanks(table: Table, columns: Sequence[int]) -> tuple[Table, tuple[str, ...]]:
    """Leave out rows without a text, which public data sets contain, and return a note on them."""
    blank = {row for row, values in enumerate(table.rows) if any(_is_missing(values[one]) for one in columns)}
    if not blank:
        return table, ()
    names = _either([table.columns[one] for one in columns])
    if len(blank) == len(table.rows):
        raise DataError(
            "{name} has no texts: {column} is blank in every row", code="data.no_texts", name=table.name, column=names
        )
    note = Note(
        "rows without {columns} left out: {blank:,} of {rows:,}, the first at {place}",
        code="note.blank_rows", columns=names, blank=len(blank), rows=len(table.rows), place=table.place(min(blank)),
    )  # fmt: skip
    kept = [row for row in range(len(table.rows)) if row not in blank]
    rest = replace(table, rows=[table.rows[row] for row in kept], numbers=[table.numbers[row] for row in kept])
    return rest, (note,)


def _either(names: Sequence[str]) -> str | Message:
    """List one name or two in a message."""
    if len(names) == 1:
        return names[0]
    return Message("{one} or {other}", code="data.either_column", one=names[0], other=names[1])


def _texts(table: Table, column: int) -> list[str]:
    for row, values in enumerate(table.rows):
        if not isinstance(values[column], str):
            raise DataError(
                "{place}: {column} is {value}, expected a text",
                code="data.not_text",
                place=table.place(row),
                column=table.columns[column],
                value=shown(values[column], 40),
            )
    return [values[column] for values in table.rows]


def _labels(table: Table, column: int) -> list[Any]:
    for row, values in enumerate(table.rows):
        if _is_missing(values[column]):
            raise DataError(
                "{place} has no {column}: label every row, or remove the column",
                code="data.missing_label",
                place=table.place(row),
                column=table.columns[column],
            )
    return [values[column] for values in table.rows]

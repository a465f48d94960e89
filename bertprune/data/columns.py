"""Find the columns that hold the texts and what is known of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..errors import DataError, shortened
from .tables import Table

TEXT = ("text", "sentence", "document", "review", "content", "comment", "utterance")
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
LABEL = ("label", "labels", "sentiment", "target", "class", "category", "gold_label")
SCORE = ("score", "similarity_score", "similarity", "gold_score", "relatedness_score")


@dataclass(frozen=True)
class Examples:
    """Texts, or pairs of them, and the raw labels where there are some; all in the source's order."""

    table: Table
    texts: list[str]
    pairs: list[str] | None
    labels: list[Any] | None
    label_column: str | None = None
    notes: tuple[str, ...] = ()
    """Plain sentences on what was left out."""

    def __len__(self) -> int:
        return len(self.texts)


def pick(table: Table, text: str | None, text_pair: str | None, label: str | None, prefer_scores: bool) -> Examples:
    """Take texts, partners and labels from the columns named or usually named, without the rows that lack a text."""
    first, second = _text_columns(table, text, text_pair)
    cut = (f"only the first {len(table.rows):,} {table.unit}s were read, and there are more",) if table.more else ()
    table, notes = _with_texts(table, [first] if second is None else [first, second])
    usual = LABEL if second is None else (*SCORE, *LABEL) if prefer_scores else (*LABEL, *SCORE)
    known = _given(table, label, "label") if label else _filled(table, _usual(table, usual))
    return Examples(
        table,
        _texts(table, first),
        None if second is None else _texts(table, second),
        None if known is None else _labels(table, known),
        None if known is None else table.columns[known],
        cut + notes,
    )


def is_missing(value: Any) -> bool:
    """Tell whether a cell is empty: None, NaN, pandas' NA, or nothing but blanks."""
    if isinstance(value, str):
        return not value.strip()
    return value is None or type(value).__name__ in ("NAType", "NaTType") or value != value


def _text_columns(table: Table, text: str | None, text_pair: str | None) -> tuple[int, int | None]:
    second = _given(table, text_pair, "text_pair") if text_pair else None
    if text:
        return _given(table, text, "text"), second
    pairs = [(_usual(table, (one,)), _usual(table, (two,))) for one, two in PAIRS]
    both = next(((one, two) for one, two in pairs if one is not None and two is not None), None)
    if both is not None and second is None:
        return both
    first = _usual(table, (*TEXT, *(one for one, _ in PAIRS)))
    if first is None:
        raise DataError(
            f"{table.name} has no text column: expected one of {', '.join(TEXT)}, or a pair such as "
            f"sentence1 and sentence2; it has {_listed(table.columns)}; name yours with text= (--text)"
        )
    return first, second


def _usual(table: Table, names: Sequence[str]) -> int | None:
    plain = [_plain(column) for column in table.columns]
    return next((plain.index(name) for name in names if name in plain), None)


def _filled(table: Table, column: int | None) -> int | None:
    """Take a column that holds nothing at all for none, as in test sets whose labels are kept back."""
    empty = column is None or all(is_missing(values[column]) for values in table.rows)
    return None if empty else column


def _given(table: Table, name: str, role: str) -> int:
    if name in table.columns:
        return table.columns.index(name)
    raise DataError(f"{table.name} has no column {name!r} (given as {role}): it has {_listed(table.columns)}")


def _plain(column: str) -> str:
    return column.strip().casefold().replace(" ", "_").replace("-", "_")


def _listed(columns: Sequence[str]) -> str:
    shown = [repr(column[:40]) for column in columns[:8]]
    return ", ".join(shown) + (f" and {len(columns) - 8} more" if len(columns) > 8 else "")


def _with_texts(table: Table, columns: Sequence[int]) -> tuple[Table, tuple[str, ...]]:
    """Leave out the rows without a text, of which public data has a few. Raises DataError if none is left."""
    blank = {row for row, values in enumerate(table.rows) if any(is_missing(values[one]) for one in columns)}
    if not blank:
        return table, ()
    names = " or ".join(table.columns[one] for one in columns)
    if len(blank) == len(table.rows):
        raise DataError(f"{table.name} has no texts: {names} is blank in every row")
    first = f"{table.unit} {table.numbers[min(blank)]:,}"
    note = f"rows without {names} left out: {len(blank):,} of {len(table.rows):,}, the first at {first}"
    kept = [row for row in range(len(table.rows)) if row not in blank]
    rest = replace(table, rows=[table.rows[row] for row in kept], numbers=[table.numbers[row] for row in kept])
    return rest, (note,)


def _texts(table: Table, column: int) -> list[str]:
    for row, values in enumerate(table.rows):
        if not isinstance(values[column], str):
            found = shortened(repr(values[column]), 40)
            raise DataError(f"{table.place(row)}: {table.columns[column]} is {found}, expected text")
    return [values[column] for values in table.rows]


def _labels(table: Table, column: int) -> list[Any]:
    for row, values in enumerate(table.rows):
        if is_missing(values[column]):
            raise DataError(
                f"{table.place(row)} has no {table.columns[column]}: label every row, or leave the column out"
            )
    return [values[column] for values in table.rows]

"""Find the columns that hold the texts and what is known of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import DataError
from .sources import Table

TEXT = ("text", "sentence", "document", "review", "content", "comment", "utterance")
PAIRS = (
    ("sentence1", "sentence2"),
    ("sentence_1", "sentence_2"),
    ("sentence_a", "sentence_b"),
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

    def __len__(self) -> int:
        return len(self.texts)


def pick(table: Table, text: str | None, text_pair: str | None, label: str | None, prefer_scores: bool) -> Examples:
    """Take texts, partners and labels from the columns named, or from those of the usual names."""
    first, second = _text_columns(table, text, text_pair)
    usual = LABEL if second is None else (*SCORE, *LABEL) if prefer_scores else (*LABEL, *SCORE)
    known = _given(table, label, "label") if label else _filled(table, _usual(table, usual))
    return Examples(
        table,
        _texts(table, first),
        None if second is None else _texts(table, second),
        None if known is None else _labels(table, known),
        None if known is None else table.columns[known],
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
            f"sentence1 and sentence2; it has {_listed(table.columns)}; name yours with text="
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


def _texts(table: Table, column: int) -> list[str]:
    for row, values in enumerate(table.rows):
        value = values[column]
        if is_missing(value):
            raise DataError(f"{table.place(row)} has no {table.columns[column]}: take such rows out")
        if not isinstance(value, str):
            raise DataError(f"{table.place(row)}: {table.columns[column]} is a {type(value).__name__}, expected text")
    return [values[column] for values in table.rows]


def _labels(table: Table, column: int) -> list[Any]:
    for row, values in enumerate(table.rows):
        if is_missing(values[column]):
            raise DataError(
                f"{table.place(row)} has no {table.columns[column]}: label every row, or leave the column out"
            )
    return [values[column] for values in table.rows]

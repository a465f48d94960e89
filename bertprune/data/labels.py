"""Turn labels as people write them into what the model predicts: class numbers, or scores."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from .columns import Examples

_BOOLS = {"false": 0, "true": 1}
"""How spreadsheets and data frames write two classes into a file."""


def class_numbers(examples: Examples, names: Mapping[int, str]) -> NDArray[np.int64]:
    """Map every label to a class: all by the model's names for them, or else all by number.

    Raises DataError that names the unknown labels and the known ones.
    """
    written = [_written(label) for label in examples.labels or []]
    by_name = {name.strip().casefold(): number for number, name in names.items()}
    by_number = {str(number): number for number in names} | (_BOOLS if set(names) == {0, 1} else {})
    for known in (by_name, by_number):
        if all(label in known for label in written):
            return np.array([known[label] for label in written], dtype=np.int64)
    unknown = [row for row, label in enumerate(written) if label not in by_name and label not in by_number]
    if not unknown:
        raise DataError(f"{examples.table.name} mixes class names and class numbers: use one of them")
    raise DataError(_unknown(examples, unknown, names))


def _written(label: Any) -> str:
    """Spell a label as text: 1, 1.0, True and "1" are one and the same."""
    if isinstance(label, bool | np.bool_):
        return str(int(label))
    if isinstance(label, float | np.floating) and float(label).is_integer():
        return str(int(label))
    text = str(label).strip().casefold()
    return text[:-2] if text.endswith(".0") and text[:-2].isdigit() else text


def _unknown(examples: Examples, rows: list[int], names: Mapping[int, str]) -> str:
    labels = list(dict.fromkeys(str((examples.labels or [])[row]).strip() for row in rows))
    shown = ", ".join(repr(label[:40]) for label in labels[:5])
    more = f" and {len(labels) - 5} more" if len(labels) > 5 else ""
    known = ", ".join(f"{name} ({number})" for number, name in list(names.items())[:20])
    word = "label" if len(labels) == 1 else "labels"
    return f"{examples.table.place(rows[0])}: unknown {word} {shown}{more}; the model knows {known}"


def numbers(examples: Examples) -> NDArray[np.float64]:
    """Read every label as a finite number, of whatever scale. Raises DataError."""
    values = [_number(label) for label in examples.labels or []]
    for row, value in enumerate(values):
        if not math.isfinite(value):
            label = str((examples.labels or [])[row])[:40]
            raise DataError(f"{examples.table.place(row)}: {examples.label_column} is {label!r}, expected a number")
    return np.array(values, dtype=np.float64)


def _number(label: Any) -> float:
    try:
        return float(label)
    except (TypeError, ValueError):
        return math.nan

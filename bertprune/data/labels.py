"""Convert labels to the output of a model: class numbers or scores."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, first_names, shortened
from .columns import Examples

_BOOLS = {"false": 0, "true": 1}
"""Two classes as spreadsheets and data frames write them."""


def class_numbers(examples: Examples, names: Mapping[int, str]) -> NDArray[np.int64]:
    """Convert every label to a class number: all by the model's class names, or all by number.

    Raises DataError with the unknown labels and the known classes.
    """
    written = [_normalized(label) for label in examples.labels or []]
    by_name = {name.strip().casefold(): number for number, name in names.items()}
    by_number = {str(number): number for number in names} | (_BOOLS if set(names) == {0, 1} else {})
    for known in (by_name, by_number):
        if all(label in known for label in written):
            return np.array([known[label] for label in written], dtype=np.int64)
    unknown = [row for row, label in enumerate(written) if label not in by_name and label not in by_number]
    if unknown:
        raise _unknown_labels(examples, unknown, names)
    raise DataError(
        "{name} mixes class names and class numbers: use only one of them",
        code="data.mixed_labels",
        name=examples.table.name,
    )


def _normalized(label: Any) -> str:
    """Convert a label to text; 1, 1.0, True and "1" give the same."""
    if isinstance(label, bool | np.bool_):
        return str(int(label))
    if isinstance(label, float | np.floating) and float(label).is_integer():
        return str(int(label))
    text = str(label).strip().casefold()
    return text[:-2] if text.endswith(".0") and text[:-2].isdigit() else text


def _unknown_labels(examples: Examples, rows: list[int], names: Mapping[int, str]) -> DataError:
    labels = dict.fromkeys(str((examples.labels or [])[row]).strip() for row in rows)
    return DataError(
        "{place}: the model has no class {labels}; it has {known}",
        code="data.unknown_label",
        place=examples.table.place(rows[0]),
        labels=first_names((repr(shortened(label, 40)) for label in labels), 5),
        known=first_names((f"{shortened(name, 40)} ({number})" for number, name in names.items()), 20),
    )


def score_numbers(examples: Examples) -> NDArray[np.float64]:
    """Convert every label to a finite number of any scale. Raises DataError."""
    values = [_number(label) for label in examples.labels or []]
    for row, value in enumerate(values):
        if not math.isfinite(value):
            raise DataError(
                "{place}: {column} is {value!r}, expected a number",
                code="data.not_number",
                place=examples.table.place(row),
                column=examples.label_column,
                value=shortened(str((examples.labels or [])[row]), 40),
            )
    return np.array(values, dtype=np.float64)


def _number(label: Any) -> float:
    try:
        return float(label)
    except (TypeError, ValueError):
        return math.nan

"""Labels as people write them become class numbers or scores."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertprune.data.columns import Examples, pick
from bertprune.data.labels import class_numbers, numbers
from bertprune.data.tables import read_table
from bertprune.errors import DataError

NAMES = {0: "negative", 1: "positive"}


def examples(labels: list[Any]) -> Examples:
    return pick(read_table([("x", label) for label in labels]), None, None, None, prefer_scores=False)


@pytest.mark.parametrize(
    "labels",
    [
        [0, 1, 1],
        ["0", "1", " 1 "],
        ["0.0", "1.0", "1"],
        [0.0, 1.0, 1.0],
        [np.int64(0), np.float32(1), np.bool_(True)],
        [False, True, True],
        ["False", "True", "TRUE"],
        ["negative", "Positive", " POSITIVE "],
    ],
)
def test_ways_to_write_a_class(labels: list[Any]) -> None:
    assert class_numbers(examples(labels), NAMES).tolist() == [0, 1, 1]


def test_names_made_of_digits_are_names_first() -> None:
    stars = {0: "1", 1: "2", 2: "3"}
    assert class_numbers(examples(["1", "2"]), stars).tolist() == [0, 1]
    assert class_numbers(examples(["0", "1"]), stars).tolist() == [0, 1]  # "0" is no name: all by number


def test_unknown_labels_are_named_beside_the_known_ones() -> None:
    message = r"the list, item 2: unknown labels 'neutral', '2'; the model knows negative \(0\), positive \(1\)$"
    with pytest.raises(DataError, match=message):
        class_numbers(examples(["positive", "neutral", "2", "neutral"]), NAMES)


def test_unknown_labels_are_shown_as_they_were_written() -> None:
    with pytest.raises(DataError, match=r"item 1: unknown labels 'LABEL_1', '2\.0'; the model knows"):
        class_numbers(examples(["LABEL_1", "2.0", "LABEL_1"]), NAMES)


def test_true_and_false_are_classes_of_two_only_and_names_go_first() -> None:
    assert class_numbers(examples(["True", "False"]), {0: "True", 1: "False"}).tolist() == [0, 1]
    with pytest.raises(DataError, match="unknown label 'True'"):
        class_numbers(examples(["True", "0"]), {0: "a", 1: "b", 2: "c"})


def test_many_unknown_labels_are_counted() -> None:
    with pytest.raises(DataError, match="'4' and 4 more; the model knows"):
        class_numbers(examples([f"{n}" for n in range(9)]), {9: "nine"})


def test_names_and_numbers_are_not_mixed() -> None:
    with pytest.raises(DataError, match="mixes class names and class numbers"):
        class_numbers(examples(["positive", 0]), NAMES)


@pytest.mark.parametrize("label", ["nan", "inf", "five", 1e999, [1]])
def test_scores_must_be_finite_numbers(label: Any) -> None:
    with pytest.raises(DataError, match=r"item 2: label is .*, expected a number"):
        numbers(examples([1, label]))


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_scores_of_any_scale_are_kept(values: list[float]) -> None:
    assert numbers(examples([repr(value) for value in values])).tolist() == values


@given(st.dictionaries(st.integers(0, 9), st.text("abcde", min_size=1), min_size=1), st.data())
def test_numbers_map_to_themselves(names: dict[int, str], data: st.DataObject) -> None:
    labels = data.draw(st.lists(st.sampled_from(sorted(names)), min_size=1))
    assert class_numbers(examples(labels), names).tolist() == labels

"""Labels as people write them become class numbers or scores."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertprune.data.columns import Examples, find_examples
from bertprune.data.labels import class_numbers, score_numbers
from bertprune.data.tables import read_table
from bertprune.errors import DataError

NAMES = {0: "negative", 1: "positive"}


def examples(labels: list[Any]) -> Examples:
    return find_examples(read_table([("x", label) for label in labels]), scores=False)


CLASSES = [
    [0, 1, 1],
    ["0", "1.0", " 1 "],
    [np.int64(0), np.float32(1), np.bool_(True)],
    [False, True, True],
    ["False", "True", "TRUE"],
    ["negative", "Positive", " POSITIVE "],
]


def test_ways_to_write_a_class(subtests: pytest.Subtests) -> None:
    for labels in CLASSES:
        with subtests.test(repr(labels)):
            assert class_numbers(examples(labels), NAMES).tolist() == [0, 1, 1]


def test_class_names_made_of_digits_come_before_class_numbers() -> None:
    stars = {0: "1", 1: "2", 2: "3"}
    assert class_numbers(examples(["1", "2"]), stars).tolist() == [0, 1]
    assert class_numbers(examples(["0", "1"]), stars).tolist() == [0, 1]  # "0" is not a name: all by number


def test_unknown_labels_are_shown_as_written_with_the_known_classes() -> None:
    message = r"the list, item 2: the model has no class 'Neutral', '2\.0'; it has negative \(0\), positive \(1\)$"
    with pytest.raises(DataError, match=message):
        class_numbers(examples(["positive", "Neutral", "2.0", "Neutral"]), NAMES)
    with pytest.raises(DataError, match="'4' and 4 more; it has"):
        class_numbers(examples([f"{n}" for n in range(9)]), {9: "nine"})


def test_true_and_false_are_numbers_of_two_classes_only() -> None:
    assert class_numbers(examples(["True", "False"]), {0: "True", 1: "False"}).tolist() == [0, 1]
    with pytest.raises(DataError, match="the model has no class 'True'"):
        class_numbers(examples(["True", "0"]), {0: "a", 1: "b", 2: "c"})


def test_names_and_numbers_cannot_be_mixed() -> None:
    with pytest.raises(DataError, match="mixes class names and class numbers"):
        class_numbers(examples(["positive", 0]), NAMES)


def test_scores_must_be_finite_numbers(subtests: pytest.Subtests) -> None:
    said = r"item 2: label is .*, expected a number"
    for label in ["nan", 1e999, "five", [1]]:
        with subtests.test(repr(label)), pytest.raises(DataError, match=said):
            score_numbers(examples([1, label]))


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_scores_of_any_scale_are_kept(values: list[float]) -> None:
    assert score_numbers(examples([repr(value) for value in values])).tolist() == values


@given(st.dictionaries(st.integers(0, 9), st.text("abcde", min_size=1), min_size=1), st.data())
def test_class_numbers_map_to_themselves(names: dict[int, str], data: st.DataObject) -> None:
    labels = data.draw(st.lists(st.sampled_from(sorted(names)), min_size=1))
    assert class_numbers(examples(labels), names).tolist() == labels

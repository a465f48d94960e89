"""Columns are found by their usual names or by the names given."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertprune.data import columns
from bertprune.data.columns import pick
from bertprune.data.tables import read_table
from bertprune.errors import DataError


def found(
    frame: dict[str, Any], text: Any = None, text_pair: Any = None, label: Any = None, scores: bool = False
) -> Any:
    examples = pick(read_table(pd.DataFrame(frame)), text, text_pair, label, prefer_scores=scores)
    return examples.texts, examples.pairs, examples.labels


@pytest.mark.parametrize("text", columns.TEXT)
@pytest.mark.parametrize("label", columns.LABEL)
def test_usual_names_are_found_among_others(text: str, label: str) -> None:
    assert found({"id": ["9"], label: [1], text: ["x"], "title": ["t"]}) == (["x"], None, [1])


@pytest.mark.parametrize(("one", "two"), columns.PAIRS)
@pytest.mark.parametrize("score", columns.SCORE)
def test_usual_pairs_are_found(one: str, two: str, score: str) -> None:
    assert found({"idx": [1], one: ["x"], two: ["y"], score: [2.5]}, scores=True) == (["x"], ["y"], [2.5])


def test_case_blanks_and_dashes_in_names_do_not_matter() -> None:
    assert found({" Text-A": ["x"], "TEXT B ": ["y"], "Similarity Score": [1]}, scores=True) == (["x"], ["y"], [1])


def test_pairs_choose_between_score_and_label_by_what_the_model_predicts() -> None:
    frame = {"sentence1": ["x"], "sentence2": ["y"], "score": [2.5], "label": [1]}
    assert found(frame, scores=True)[2] == [2.5]
    assert found(frame, scores=False)[2] == [1]


def test_given_names_win() -> None:
    frame = {"text": ["x"], "body": ["y"], "label": [0], "mine": [1]}
    assert found(frame, text="body", label="mine") == (["y"], None, [1])
    assert found(frame, text="body", text_pair="text") == (["y"], ["x"], [0])


def test_a_label_column_that_is_empty_throughout_is_no_label() -> None:
    assert found({"text": ["x", "y"], "label": [None, np.nan]}) == (["x", "y"], None, None)


@pytest.mark.parametrize("name", ["text", "text_pair", "label"])
def test_a_given_column_that_is_not_there_is_named_with_those_that_are(name: str) -> None:
    with pytest.raises(DataError, match=rf"has no column 'body' \(given as {name}\): it has 'text', 'label'"):
        found({"text": ["x"], "label": [1]}, **{name: "body"})


def test_no_text_column_lists_the_usual_names_and_what_is_there() -> None:
    with pytest.raises(
        DataError, match=r"no text column: expected one of text, .*it has 'body', 'y'; .*text= \(--text\)"
    ):
        found({"body": ["x"], "y": [1]})


@pytest.mark.parametrize("blank", ["", "  \u3000", None, np.nan, pd.NA])
def test_rows_without_a_text_are_left_out_and_counted(blank: Any) -> None:
    frame = {"text": ["x", blank, "y", blank], "label": [0, 1, 1, blank]}
    examples = pick(read_table(pd.DataFrame(frame)), None, None, None, prefer_scores=False)
    assert (examples.texts, examples.labels, examples.table.numbers) == (["x", "y"], [0, 1], [1, 3])
    assert examples.notes == ("rows without text left out: 2 of 4, the first at row 2",)
    assert found({"text1": ["x", "y"], "text2": ["z", blank]}) == (["x"], ["z"], None)


@pytest.mark.parametrize("blank", ["", None, np.nan])
def test_no_text_at_all_is_an_error(blank: Any) -> None:
    with pytest.raises(DataError, match=r"the data frame has no texts: text is blank in every row"):
        found({"text": [blank, blank], "label": [0, 1]})


@pytest.mark.parametrize("blank", ["", "  \u3000", None, np.nan, pd.NA])
def test_blank_labels_are_named_by_row(blank: Any) -> None:
    with pytest.raises(DataError, match=r"the data frame, row 2 has no label"):
        found({"text": ["x", "y"], "label": [1, blank]})


def test_texts_that_are_not_text_are_refused() -> None:
    with pytest.raises(DataError, match=r"row 1: text is 3, expected text"):
        found({"text": [3]})


@given(order=st.permutations(["id", "document", "label", "title", "sentence1"]))
def test_the_order_of_columns_does_not_matter(order: list[str]) -> None:
    values = {"id": [1], "document": ["x"], "label": ["1"], "title": ["t"], "sentence1": ["s"]}
    assert found({name: values[name] for name in order}) == (["x"], None, ["1"])

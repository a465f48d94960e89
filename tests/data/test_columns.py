"""Columns are found by their usual names or by the names given."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertprune.data.columns import find_examples
from bertprune.data.tables import read_table
from bertprune.errors import DataError


def found(frame: dict[str, Any], scores: bool = False, **named: str) -> Any:
    examples = find_examples(read_table(pd.DataFrame(frame)), scores=scores, **named)
    return examples.texts, examples.pairs, examples.labels


HEADERS = [
    ("id document label", False, (["document"], None, ["label"])),  # NSMC
    ("sentence label idx", False, (["sentence"], None, ["label"])),  # SST-2
    ("guid title label date", False, None),  # KLUE-TC calls its text "title"
    ("genre year score sentence1 sentence2", True, (["sentence1"], ["sentence2"], ["score"])),  # KorSTS
    ("premise hypothesis gold_label", False, (["premise"], ["hypothesis"], ["gold_label"])),  # KLUE-NLI
    ("번호 문장 레이블", False, (["문장"], None, ["레이블"])),
    ("id question1 question2 is_duplicate", False, (["question1"], ["question2"], None)),  # QQP
]


def test_headers_of_public_data_sets(subtests: pytest.Subtests) -> None:
    for header, scores, expected in HEADERS:
        with subtests.test(header):
            frame = {name: [name] for name in header.split()}
            if expected is None:
                with pytest.raises(
                    DataError, match=r"no text column: expected one of text, .*; it has 'guid', 'title'"
                ):
                    found(frame)
            else:
                assert found(frame, scores) == expected


def test_a_file_without_a_header_is_not_read_as_if_it_had_one(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("the film was good,1\nbad plot,0\n")
    with pytest.raises(DataError, match=r"name yours with text= \(--text\), or put a line such as text,label on top"):
        find_examples(read_table(tmp_path / "a.csv"), scores=False)
    (tmp_path / "b.csv").write_text("good,good,1\nbad,bad,0\n")
    with pytest.raises(DataError, match="the first line must hold them"):
        read_table(tmp_path / "b.csv")


def test_case_blanks_and_dashes_in_names_do_not_matter() -> None:
    assert found({" Text-A": ["x"], "TEXT B ": ["y"], "Similarity Score": [1]}, scores=True) == (["x"], ["y"], [1])


def test_pairs_choose_between_score_and_label_by_what_the_model_predicts() -> None:
    frame = {"sentence1": ["x"], "sentence2": ["y"], "score": [2.5], "label": [1]}
    assert found(frame, scores=True)[2] == [2.5]
    assert found(frame, scores=False)[2] == [1]


def test_given_names_take_precedence() -> None:
    frame = {"text": ["x"], "body": ["y"], "label": [0], "mine": [1]}
    assert found(frame, text="body", label="mine") == (["y"], None, [1])
    assert found(frame, text="body", text_pair="text") == (["y"], ["x"], [0])


def test_a_label_column_without_a_value_is_ignored() -> None:
    assert found({"text": ["x", "y"], "label": [None, np.nan]}) == (["x", "y"], None, None)


def test_columns_that_may_hold_the_labels_are_named_where_none_is_found() -> None:
    frame = pd.DataFrame({"리뷰": ["x"], "평점": [5], "비고": [None], "": [1]})
    assert find_examples(read_table(frame), scores=False).unused == ("평점",)
    assert find_examples(read_table(frame), scores=False, label="평점").unused == ()


def test_a_missing_column_is_named_with_those_that_exist(subtests: pytest.Subtests) -> None:
    for option in ["text", "text_pair", "label"]:
        said = rf"has no column 'body' \(given as {option}\): it has 'text', 'label'"
        with subtests.test(option), pytest.raises(DataError, match=said):
            found({"text": ["x"], "label": [1]}, **{option: "body"})


def test_rows_without_a_text_are_left_out_and_counted(subtests: pytest.Subtests) -> None:
    for blank in ["  \u3000", None, np.nan, pd.NA]:
        with subtests.test(repr(blank)):
            frame = {"text": ["x", blank, "y", blank], "label": [0, 1, 1, blank]}
            examples = find_examples(read_table(pd.DataFrame(frame)), scores=False)
            assert (examples.texts, examples.labels, examples.table.numbers) == (["x", "y"], [0, 1], [1, 3])
            assert examples.notes == ("rows without text left out: 2 of 4, the first at the data frame, row 2",)
            pairs = find_examples(read_table(pd.DataFrame({"text1": ["x", "y"], "text2": ["z", blank]})), scores=False)
            assert (pairs.texts, pairs.pairs, pairs.labels) == (["x"], ["z"], None)
            assert pairs.notes == ("rows without text1 or text2 left out: 1 of 2, the first at the data frame, row 2",)


UNUSABLE = [
    ({"text": ["", None], "label": [0, 1]}, "the data frame has no texts: text is blank in every row"),
    ({"text": ["x", "y"], "label": [1, " "]}, "the data frame, row 2 has no label"),
    ({"text": ["x", "y"], "label": [1, np.nan]}, "the data frame, row 2 has no label"),
    ({"text": [3]}, "row 1: text is 3, expected a text"),
]


def test_unusable_cells_are_named_by_row(subtests: pytest.Subtests) -> None:
    for frame, message in UNUSABLE:
        with subtests.test(message), pytest.raises(DataError, match=message):
            found(frame)


def test_only_the_first_rows_leave_a_note() -> None:
    examples = find_examples(read_table(["a", "b", "c"], limit=2), scores=False)
    assert examples.notes == ("only the first 2 rows were read, and there are more",)


@given(order=st.permutations(["id", "document", "label", "title", "sentence1"]))
def test_the_order_of_columns_does_not_matter(order: list[str]) -> None:
    values = {"id": [1], "document": ["x"], "label": ["1"], "title": ["t"], "sentence1": ["s"]}
    assert found({name: values[name] for name in order}) == (["x"], None, ["1"])

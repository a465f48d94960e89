"""Quotes in a file of tabs are read as whoever wrote it meant them, and what was done is said."""

import csv
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertprune.data import csv_layout
from bertprune.data.columns import find_examples
from bertprune.data.tables import read_table

ENCLOSED = "a.tsv: quotes around a field were read as in CSV, not as text"
LETTERS = "a.tsv: quotes were read as text, since not every field with a quote is in quotes"


def texts_and_notes(path: Path, limit: int | None = None) -> tuple[list[str], tuple[str, ...]]:
    examples = find_examples(read_table(path, limit), scores=False)
    return examples.texts, examples.notes


def test_a_table_that_pandas_wrote_comes_back(tmp_path: Path, subtests: pytest.Subtests) -> None:
    texts = ['그가 "와" 했다', "첫 줄\n둘째 줄", "한\t칸", "plain", '"']
    frame = pd.DataFrame({"text": texts, "label": 1})
    for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC):
        for columns in (["text", "label"], ["label", "text"]):
            with subtests.test(f"{quoting}, {columns}"):
                frame[columns].to_csv(tmp_path / "a.tsv", sep="\t", index=False, quoting=quoting)
                assert texts_and_notes(tmp_path / "a.tsv")[0] == texts


QUOTED = [
    (['"그가 ""와"" 했다"\t1', "좋다\t0"], ['그가 "와" 했다', "좋다"], (ENCLOSED,)),
    (['"좋다"\t1', '5" 화면\t0'], ['"좋다"', '5" 화면'], (LETTERS,)),
    (['"좋다\t1', '나쁘다"\t0'], ['"좋다', '나쁘다"'], (LETTERS,)),
    (['"좋다" 했다\t1'], ['"좋다" 했다'], (LETTERS,)),
    (['"열린 채\t1', "좋다\t0"], ['"열린 채', "좋다"], (LETTERS,)),
    (['그는 "와" 했다\t1'], ['그는 "와" 했다'], ()),
    (["좋다\t1"], ["좋다"], ()),
]


def test_quotes_enclose_fields_where_all_of_them_do(tmp_path: Path, subtests: pytest.Subtests) -> None:
    for rows, texts, notes in QUOTED:
        with subtests.test(repr(rows[0])):
            (tmp_path / "a.tsv").write_text("\n".join(["text\tlabel", *rows]) + "\n")
            assert texts_and_notes(tmp_path / "a.tsv") == (texts, notes)


def test_only_the_rows_that_are_read_are_looked_at(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text('text\n"two\nlines"\n5" screen\n')
    texts, notes = texts_and_notes(tmp_path / "a.tsv", limit=1)
    assert (texts, notes[0]) == (["two\nlines"], ENCLOSED)


def test_a_quote_left_open_is_not_followed_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_layout, "MAX_LINE", 20)
    (tmp_path / "a.tsv").write_text('text\tlabel\n"open\t1\n' + "good\t0\n" * 9 + 'b\tclosed"\n')
    assert texts_and_notes(tmp_path / "a.tsv")[1] == (LETTERS,)


anything = st.text(st.sampled_from('ab"\t 가'), min_size=1) | st.text(st.sampled_from('ab"\n 가'), min_size=1)


@given(rows=st.lists(st.tuples(anything, anything), min_size=1, max_size=5))
def test_whatever_a_csv_writer_writes_comes_back(
    rows: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("tsv") / "a.tsv"
    with path.open("w", newline="") as file:
        csv.writer(file, delimiter="\t", lineterminator="\n").writerows([("text", "label"), *rows])
    assert read_table(path).rows == rows

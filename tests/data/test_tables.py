"""Files, frames and lists become one table, or one clear error."""

import gzip
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertprune.data import tables as sources
from bertprune.data.tables import read_table
from bertprune.errors import DataError

ROWS = [("좋아요", "1"), ('그는 "최고, 라고 했다', "0"), ("it's 5\" long", "1")]


def write(folder: Path, name: str, text: str, encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def test_tsv_takes_quotes_as_text(tmp_path: Path) -> None:
    lines = ["document\tlabel", *("\t".join(row) for row in ROWS)]
    table = read_table(write(tmp_path, "reviews.tsv", "\n".join(lines) + "\n"))
    assert (table.columns, table.rows) == (("document", "label"), ROWS)
    assert table.place(2) == "reviews.tsv, line 4"


@pytest.mark.parametrize("name", ["reviews.txt", "REVIEWS.TSV"])
def test_windows_line_ends_and_a_byte_order_mark_are_no_part_of_the_text(tmp_path: Path, name: str) -> None:
    table = read_table(write(tmp_path, name, "document\tlabel\r\n좋아요\t1\r\n", "utf-8-sig"))
    assert (table.columns, table.rows) == (("document", "label"), [("좋아요", "1")])


def test_unusual_line_separators_stay_in_the_text(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, "reviews.tsv", "text\na\u2028b\x85c\x0bd\re\n"))
    assert table.rows == [("a\u2028b\x85c\x0bd\re",)]


def test_csv_follows_its_quotes_over_lines_and_counts_lines(tmp_path: Path) -> None:
    path = write(tmp_path, "reviews.csv", 'text,label\n"two\nlines, ""quoted""",1\n\nlast,0\n')
    table = read_table(path)
    assert table.rows == [('two\nlines, "quoted"', "1"), ("last", "0")]
    assert table.numbers == [2, 5]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_csv_whose_header_has_tabs_alone_is_tsv(tmp_path: Path, encoding: str) -> None:
    lines = ["score\tsentence1\tsentence2", '5.0\ta "quote, left open\tb', "1.0\tc\td"]
    table = read_table(write(tmp_path, "sts-test.csv", "\n".join(lines) + "\n", encoding))
    assert table.columns == ("score", "sentence1", "sentence2")
    assert table.rows == [("5.0", 'a "quote, left open', "b"), ("1.0", "c", "d")]


def test_tabs_beside_commas_are_part_of_the_text(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, "reviews.csv", "text,the\tlabel\na\tb,1\n"))
    assert (table.columns, table.rows) == (("text", "the\tlabel"), [("a\tb", "1")])


def test_jsonl_keeps_types_and_fills_what_a_line_lacks(tmp_path: Path) -> None:
    lines = [{"text": "a", "label": 1}, {"text": "b"}, {"text": "c", "label": 0, "more": [1]}]
    path = write(tmp_path, "reviews.jsonl", "\n\n".join(json.dumps(line) for line in lines))
    table = read_table(path)
    assert table.columns == ("text", "label", "more")
    assert table.rows == [("a", 1, None), ("b", None, None), ("c", 0, [1])]
    assert table.numbers == [1, 3, 5]


def test_gzip_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "reviews.tsv.gz"
    path.write_bytes(gzip.compress("document\tlabel\n좋아요\t1\n".encode()))
    assert read_table(path).rows == [("좋아요", "1")]


def test_the_samples_come_with_the_package() -> None:
    table = read_table("samples")
    assert table.name == "samples.csv"
    assert len(table.rows) >= 240


def test_a_frame_keeps_its_columns() -> None:
    table = read_table(pd.DataFrame({"text": ["a", "b"], "label": [0, 1]}, index=[7, 7]))
    assert (table.columns, table.rows) == (("text", "label"), [("a", 0), ("b", 1)])


@pytest.mark.parametrize(
    ("items", "columns"),
    [
        (["a", "b"], ("text",)),
        ([("a", 1), ["b", 0]], ("text", "label")),
        ([("a", "b", 2.5)], ("sentence1", "sentence2", "score")),
        (({"text": word} for word in "ab"), ("text",)),
    ],
)
def test_lists_are_named_by_their_form(items: Any, columns: tuple[str, ...]) -> None:
    assert read_table(items).columns == columns


def test_limit_takes_the_first_rows_and_reads_no_further(tmp_path: Path) -> None:
    path = write(tmp_path, "reviews.tsv", "text\na\nb\nbroken\tline\n")
    assert read_table(path, limit=2).rows == [("a",), ("b",)]
    with pytest.raises(DataError, match="line 4"):
        read_table(path)


def test_a_huge_source_is_refused_unless_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MAX_ROWS", 3)
    with pytest.raises(DataError, match=r"more than 3 rows: pass limit= \(--limit\)"):
        read_table(["a"] * 4)
    assert len(read_table(["a"] * 3).rows) == 3
    assert len(read_table(["a"] * 9, limit=5).rows) == 5


def test_an_endless_line_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MAX_LINE", 10)
    with pytest.raises(DataError, match="line 2 has more than 10 characters"):
        read_table(write(tmp_path, "reviews.tsv", "text\n" + "a" * 11))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.tsv", b"", r"^a\.tsv has no examples: expected at least one row$"),
        ("a.csv", b"text,label\n", r"^a\.csv has no examples"),
        ("a.jsonl", b"\n\n", r"^a\.jsonl has no examples"),
        ("a.tsv", "document\n좋아요\n".encode("cp949"), r"^a\.tsv is not UTF-8 text: save it in that encoding$"),
        ("a.csv", "text\nx\n".encode("utf-16"), r"^a\.csv is not UTF-8 text"),
        ("a.tsv", b"a\tb\nx\n", r"^a\.tsv, line 2 has 1 fields: expected 2, as in the header, line 1$"),
        ("a.csv", b"a,b\nx,y\nx,y,z\n", r"^a\.csv, line 3 has 3 fields: expected 2"),
        ("a.csv", b'a,b\n"x,y\n', r"^a\.csv, line 2: .*is a quote not closed\?$"),
        ("a.csv", b"a,a\nx,y\n", r"^a\.csv has the column 'a' more than once"),
        ("a.jsonl", b'{"text": "x"}\n{oops}\n', r"^a\.jsonl, line 2 is not JSON: expected one object a line$"),
        ("a.jsonl", b"[" * 100_000, r"^a\.jsonl, line 1 is not JSON"),
        ("a.jsonl", b'"x"\n', r"^a\.jsonl, line 1 is 'x': expected an object with named fields$"),
        ("a.tsv.gz", b"no gzip", r"^a\.tsv\.gz is not a whole gzip file$"),
        ("a.tsv.gz", gzip.compress(b"text\n" + b"x\n" * 999, mtime=0)[:-9], r"^a\.tsv\.gz is not a whole gzip file$"),
        ("a.xlsx", b"", r"^a\.xlsx: expected a file that ends in \.csv, \.tsv, \.txt \(as TSV\) or \.jsonl$"),
    ],
)
def test_wrong_files_get_one_line_without_their_folder(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_table(tmp_path / name)
    assert str(tmp_path) not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_files_and_folders_are_named_without_their_place(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^none\.csv: there is no such file$"):
        read_table(tmp_path / "none.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataError, match=r"^folder\.csv is a folder"):
        read_table(tmp_path / "folder.csv")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "the list has no examples"),
        (pd.DataFrame({"text": []}), "the data frame has no examples"),
        (["a", 3], "the list, item 2 is 3: expected the same form as item 1"),
        ([("a", 1), ("b",)], "the list, item 2"),
        ([{"text": "a"}, "b"], "the list, item 2 is 'b': expected an object"),
        ([3], r"item 1 is 3: expected a text, \(text, label\)"),
        ({"text": ["a"]}, "data is a dict"),
        (b"text", "data is a bytes"),
        (7, "data is a int"),
        (pd.DataFrame([["a", "b"]], columns=["text", "text"]), "the column 'text' more than once"),
    ],
)
def test_wrong_lists_and_frames_get_one_line(data: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_table(data)


@pytest.mark.parametrize("limit", [0, -1, True, 1.5, "3"])
def test_a_limit_is_a_whole_number(limit: Any) -> None:
    with pytest.raises(DataError, match="limit="):
        read_table(["a"], limit)


plain = st.text(st.characters(exclude_characters="\t\r\n", exclude_categories=["Cs"]), min_size=1)


@given(rows=st.lists(st.tuples(plain, plain), min_size=1, max_size=20))
def test_any_text_without_tabs_survives_tsv(tmp_path: Path, rows: list[tuple[str, str]]) -> None:
    lines = ["text\tlabel", *("\t".join(row) for row in rows)]
    path = write(tmp_path, "any.tsv", "\n".join(lines))
    assert read_table(path).rows == rows

"""Files, frames and lists become one table, or one clear error."""

import csv
import gzip
import json
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertprune.data import tables, text_files
from bertprune.data.tables import read_table
from bertprune.errors import DataError

ROWS = [("좋아요", "1"), ('그는 "최고, 라고 했다', "0"), ("it's 5\" long", "1")]


def write(folder: Path, name: str, text: str, encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def test_tsv_reads_quotes_as_text(tmp_path: Path) -> None:
    lines = ["document\tlabel", *("\t".join(row) for row in ROWS)]
    table = read_table(write(tmp_path, "reviews.tsv", "\n".join(lines) + "\n"))
    assert (table.columns, table.rows) == (("document", "label"), ROWS)
    assert str(table.place(2)) == "reviews.tsv, line 4"


def test_windows_line_ends_and_a_byte_order_mark_are_not_part_of_the_text(
    tmp_path: Path, subtests: pytest.Subtests
) -> None:
    for name in ["reviews.txt", "REVIEWS.TSV"]:
        with subtests.test(name):
            table = read_table(write(tmp_path, name, "document\tlabel\r\n좋아요\t1\r\n", "utf-8-sig"))
            assert (table.columns, table.rows) == (("document", "label"), [("좋아요", "1")])


def test_unusual_line_separators_stay_in_the_text(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, "reviews.tsv", "text\na\u2028b\x85c\x0bd\re\n"))
    assert table.rows == [("a\u2028b\x85c\x0bd\re",)]


def test_csv_quotes_may_span_lines_and_rows_keep_their_line_number(tmp_path: Path) -> None:
    path = write(tmp_path, "reviews.csv", 'text,label\n"two\nlines, ""quoted""",1\n\nlast,0\n')
    table = read_table(path)
    assert table.rows == [('two\nlines, "quoted"', "1"), ("last", "0")]
    assert table.numbers == [2, 5]


def test_a_csv_whose_header_has_only_tabs_is_tsv(tmp_path: Path, subtests: pytest.Subtests) -> None:
    for encoding in ["utf-8", "utf-8-sig"]:
        with subtests.test(encoding):
            lines = ["score\tsentence1\tsentence2", '5.0\ta "quote, left open\tb', "1.0\tc\td"]
            table = read_table(write(tmp_path, "sts-test.csv", "\n".join(lines) + "\n", encoding))
            assert table.columns == ("score", "sentence1", "sentence2")
            assert table.rows == [("5.0", 'a "quote, left open', "b"), ("1.0", "c", "d")]


def test_tabs_beside_commas_are_part_of_the_text(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, "reviews.csv", "text,the\tlabel\na\tb,1\n"))
    assert (table.columns, table.rows) == (("text", "the\tlabel"), [("a\tb", "1")])


def test_jsonl_keeps_types_and_fills_missing_fields_with_none(tmp_path: Path) -> None:
    lines = [{"text": "a", "label": 1}, {"text": "b"}, {"text": "c", "label": 0, "more": [1]}]
    path = write(tmp_path, "reviews.jsonl", "\n\n".join(json.dumps(line) for line in lines))
    table = read_table(path)
    assert table.columns == ("text", "label", "more")
    assert table.rows == [("a", 1, None), ("b", None, None), ("c", 0, [1])]
    assert table.numbers == [1, 3, 5]


def test_gzip_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "reviews.tsv.gz"
    path.write_bytes(gzip.compress("document\tlabel\n좋아요\t1\n".encode()))
    assert read_table(path).rows == [("좋아요", "1")]


def test_the_samples_come_with_the_package() -> None:
    table = read_table("samples")
    assert table.name == "samples.csv"
    assert len(table.rows) >= 240


def test_a_frame_keeps_its_columns_whatever_its_index() -> None:
    table = read_table(pd.DataFrame({"text": ["a", "b"], "label": [0, 1]}, index=[7, 7]))
    assert (table.columns, table.rows) == (("text", "label"), [("a", 0), ("b", 1)])
    assert str(table.place(1)) == "the data frame, row 2"
    assert table.place(1).values["name"].code == "data.data_frame"


LISTS = [
    (["a", "b"], ("text",)),
    ([("a", 1), ["b", 0]], ("text", "label")),
    ([("a", "b", 2.5)], ("sentence1", "sentence2", "score")),
    (({"text": word} for word in "ab"), ("text",)),
]


def test_columns_of_lists_follow_from_the_form_of_their_items(subtests: pytest.Subtests) -> None:
    for items, columns in LISTS:
        with subtests.test(", ".join(columns)):
            assert read_table(items).columns == columns


def test_limit_reads_the_first_rows_and_looks_at_one_more(tmp_path: Path) -> None:
    path = write(tmp_path, "reviews.tsv", "text\na\nb\nbroken\tline\n")
    table = read_table(path, limit=2)
    assert (table.rows, table.more) == ([("a",), ("b",)], True)
    with pytest.raises(DataError, match="line 4"):
        read_table(path)
    endless = iter(lambda: "text", None)
    assert len(read_table(endless, limit=3).rows) == 3
    assert not read_table(["a", "b"], limit=2).more


def test_a_sample_is_drawn_by_the_seed_and_stays_in_the_order_of_the_source(tmp_path: Path) -> None:
    whole = read_table(
        write(tmp_path, "a.csv", "text\n" + "".join(f"text {number}\n" for number in range(200))), limit=150
    )
    sample = tables.drawn(whole, 40, 1)
    assert len(sample.rows) == 40 and sample.numbers == sorted(sample.numbers) and max(sample.numbers) > 50
    assert all(
        whole.rows[whole.numbers.index(number)] == row for number, row in zip(sample.numbers, sample.rows, strict=True)
    )
    assert sample.notes == (
        "only the first 150 rows were read, and there are more", "40 of 150 rows were drawn by the seed",
    )  # fmt: skip
    assert sample.rows == tables.drawn(whole, 40, 1).rows != tables.drawn(whole, 40, 2).rows
    for all_of_them in (None, 150, 200):
        assert tables.drawn(whole, all_of_them, 1) is whole
    for nonsense in (0, 1.5, True):
        with pytest.raises(DataError, match=f"sample={nonsense}: expected an integer"):
            tables.drawn(whole, nonsense, 1)  # type: ignore[arg-type]


def test_a_huge_source_needs_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MAX_ROWS", 3)
    with pytest.raises(DataError, match=r"more than 3 rows: pass limit= \(--limit\)"):
        read_table(["a"] * 4)
    assert len(read_table(["a"] * 3).rows) == 3
    assert len(read_table(["a"] * 9, limit=5).rows) == 5


def test_an_endless_line_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, subtests: pytest.Subtests) -> None:
    for name in ["a.tsv", "a.csv", "a.jsonl.gz"]:
        with subtests.test(name):
            monkeypatch.setattr(text_files, "MAX_LINE", 10)
            content = ("{}\n" if name == "a.jsonl.gz" else "text\n").encode() + b"a" * 11
            (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
            with pytest.raises(DataError, match="line 2 has more than 10 characters"):
                read_table(tmp_path / name)


WRONG_FILES = [
    ("a.tsv", b"", "data.empty", "a.tsv has no examples"),
    ("a.csv", b"text,label\n", "data.empty", "a.csv"),
    ("a.jsonl", b"\n\n", "data.empty", "a.jsonl"),
    ("a.tsv", "document\n좋아요\n".encode("cp949"), "data.not_utf8", "a.tsv is not UTF-8 text: save it as UTF-8"),
    ("a.csv", "text\nx\n".encode("utf-16-le"), "data.not_utf8", "a.csv"),
    ("a.csv", "document,label\n좋아요,1\n".encode("cp949"), "data.not_utf8", "(CSV UTF-8 in Excel)"),
    ("a.tsv", b"a\tb\nx\n", "data.field_count", "a.tsv, line 2 has 1 fields: expected 2, as in the header, line 1"),
    ("a.csv", b"a,b\nx,y\nx,y,z\n", "data.field_count", "a.csv, line 3 has 3 fields"),
    ("a.csv", b'text,label\n"x,1\n' + b"x,1\n" * 9, "data.csv_syntax", "a.csv, line 11: "),
    ("a.csv", b"text,\n" + b"text," * 100_000 + b"\n", "data.field_count", "has 100001 fields"),
    ("a.csv", b"a,a\nx,y\n", "data.duplicate_column", "a.csv has the column 'a' more than once"),
    ("a.jsonl", b'{"text": "x"}\n{oops}\n', "data.not_json", "a.jsonl, line 2 is not JSON"),
    ("a.jsonl", b"[" * 100_000, "data.not_json", "line 1"),
    ("a.jsonl", b'{"text": ' + b"9" * 100_000 + b"}\n", "data.not_json", "line 1"),
    ("a.jsonl", b'{"a": 1}\n{"a": {"b": 1, "b": 2}}\n', "data.repeated_key", "a.jsonl, line 2 gives 'b' twice"),
    ("a.jsonl", b'"x"\n', "data.not_object", "a.jsonl, line 1 is 'x': expected an object with named fields"),
    ("a.tsv.gz", b"no gzip", "data.not_gzip", "a.tsv.gz is not a complete gzip file"),
    ("a.tsv.gz", gzip.compress(b"text\n" + b"x\n" * 999, mtime=0)[:-9], "data.not_gzip", "a.tsv.gz"),
    ("a.xlsx", b"PK\x03\x04", "data.unknown_suffix", "a.xlsx: expected a file name that ends in .csv"),
    ("none.csv", None, "data.no_file", "none.csv: no such file"),
]


def test_wrong_files_get_one_line_without_their_folder(tmp_path: Path, subtests: pytest.Subtests) -> None:
    for name, content, code, message in WRONG_FILES:
        with subtests.test(f"{name}: {message}"):
            if content is not None:
                (tmp_path / name).write_bytes(content)
            with pytest.raises(DataError) as caught:
                read_table(tmp_path / name)
            text = str(caught.value)
            assert caught.value.code == code and message in text
            assert str(tmp_path) not in text and "\n" not in text and len(text) < 400


def test_encodings_with_a_mark_and_both_line_ends_are_read(tmp_path: Path, subtests: pytest.Subtests) -> None:
    for name in ["a.csv", "a.tsv", "a.txt.gz", "a.jsonl"]:
        with subtests.test(name):
            separator = "," if name == "a.csv" else "\t"
            lines = (
                ['{"text": "좋아요", "label": "1"}']
                if "json" in name
                else [f"text{separator}label", f"좋아요{separator}1"]
            )
            for encoding, end in product(("utf-8", "utf-8-sig", "utf-16"), ("\n", "\r\n")):
                content = "".join(line + end for line in lines).encode(encoding)
                (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
                table = read_table(tmp_path / name)
                assert (table.columns, table.rows) == (("text", "label"), [("좋아요", "1")]), (encoding, end)


@given(
    rows=st.lists(st.tuples(*[st.text(st.sampled_from('ab,;\t"\n 가'), min_size=1)] * 2), min_size=1, max_size=5),
    separator=st.sampled_from(",;"),
)
def test_a_csv_is_read_as_it_was_written(rows: list[tuple[str, str]], separator: str, tmp_path_factory: Any) -> None:
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    with path.open("w", newline="") as file:
        csv.writer(file, delimiter=separator).writerows([("document", "label"), *rows])
    assert read_table(path).rows == rows


def test_a_tsv_whose_header_is_quoted_is_quoted_throughout(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, "a.tsv", '"text"\t"label"\n"so ""good"",\tyes"\t"1"\n'))
    assert (table.columns, table.rows) == (("text", "label"), [('so "good",\tyes', "1")])


def test_null_bytes_in_a_csv_are_part_of_the_text(tmp_path: Path) -> None:
    assert read_table(write(tmp_path, "a.csv", "text,label\na\0b,1\n")).rows == [("a\0b", "1")]


WRONG_LISTS = [
    ([], "the list has no examples"),
    (pd.DataFrame({"text": []}), "the data frame has no examples"),
    (["a", 3], "the list, item 2 is 3: expected the same form as item 1"),
    ([("a", 1), ("b",)], "the list, item 2"),
    ([{"text": "a"}, "b"], "the list, item 2 is 'b': expected an object"),
    ([3], r"item 1 is 3: expected a text, \(text, label\)"),
    ({"text": ["a"]}, "data is of type dict"),
    (b"text", "data is of type bytes"),
    (7, "data is of type int"),
    (pd.DataFrame([["a", "b"]], columns=["text", "text"]), "the column 'text' more than once"),
]


def test_wrong_lists_and_frames_get_one_line(subtests: pytest.Subtests) -> None:
    for data, message in WRONG_LISTS:
        with subtests.test(message), pytest.raises(DataError, match=message):
            read_table(data)


def test_a_limit_is_a_whole_number(subtests: pytest.Subtests) -> None:
    for limit in [0, True, 1.5]:
        with subtests.test(str(limit)), pytest.raises(DataError, match=f"limit={limit}"):
            read_table(["a"], limit)


plain = st.text(st.characters(exclude_characters="\t\r\n", exclude_categories=["Cs"]), min_size=1)


@given(rows=st.lists(st.tuples(plain, plain), max_size=20))
def test_any_text_without_tabs_survives_tsv(tmp_path: Path, rows: list[tuple[str, str]]) -> None:
    rows = [*rows, ('5" long', "1")]  # which no writer of CSV leaves so
    lines = ["text\tlabel", *("\t".join(row) for row in rows)]
    path = write(tmp_path, "any.tsv", "\n".join(lines))
    assert read_table(path).rows == rows

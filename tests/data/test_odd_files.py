"""Files as spreadsheets, old systems and scripts write them are read as meant, or refused in one line."""

import io
import re
from pathlib import Path

import pytest

from bertprune.data.columns import find_examples
from bertprune.data.tables import read_table
from bertprune.errors import DataError

COMMAS = "text,label\n좋아요,1\n별로,0\n"
TABS = COMMAS.replace(",", "\t")
MEANT = [("좋아요", "1"), ("별로", "0")]

READ = {
    "pipes.csv": COMMAS.replace(",", "|").encode(),
    "stated.csv": b"sep=;\n" + COMMAS.replace(",", ";").encode(),
    "stated_in_excel.csv": b'\xef\xbb\xbf"sep=|"\r\n' + COMMAS.replace(",", "|").replace("\n", "\r\n").encode(),
    "stated.txt": b"SEP=,\n" + COMMAS.encode(),
    "old_mac.csv": COMMAS.replace("\n", "\r").encode(),
    "old_mac.tsv": TABS.replace("\n", "\r").encode(),
    "old_mac.txt": TABS.replace("\n", "\r").encode("utf-16"),
    "blank_lines.csv": ("\n \n" + COMMAS.replace("\n", "\n\n")).encode(),
    "end_of_file.csv": (COMMAS + "  \n\x1a").encode(),
    "end_of_file.txt": (TABS + " \n\x1a\n").encode(),
    "blank_lines.tsv": ("\r\n" + TABS.replace("\n", "\r\n")).encode(),
    "semicolons.txt": COMMAS.replace(",", ";").replace("\n", "\r\n").encode(),
    "commas.txt": b"\xef\xbb\xbf" + COMMAS.encode(),
    "pipes.tsv": COMMAS.replace(",", "|").encode(),
}


def test_odd_files_are_read_as_meant(tmp_path: Path, subtests: pytest.Subtests) -> None:
    for name in READ:
        with subtests.test(name):
            (tmp_path / name).write_bytes(READ[name])
            table = read_table(tmp_path / name)
            assert (table.columns, table.rows) == (("text", "label"), MEANT)


NOT_AS_MEANT = [
    (
        "좋아요, 정말;1\n별로;0\n",
        {},
        "data.no_text_column",
        "name the file .csv if its columns are separated by , ;",
    ),
    ("Great film\nBad\n", {}, "data.no_text_column", "put a line such as text on top if there is no header"),
    (
        "Review Text;Label\na;1\n",
        {"text": "Review Text"},
        "data.untabbed_columns",
        "has no tab; name the file .csv",
    ),
    ("text\na\n", {"text": "txt"}, "data.unknown_column", "it has 'text'"),
]


def test_a_txt_file_that_is_not_read_as_meant_says_what_to_do(tmp_path: Path, subtests: pytest.Subtests) -> None:
    for content, named, code, advice in NOT_AS_MEANT:
        with subtests.test(content):
            (tmp_path / "a.txt").write_text(content)
            with pytest.raises(DataError) as caught:
                find_examples(read_table(tmp_path / "a.txt"), scores=False, **named)  # type: ignore[arg-type]
            assert caught.value.code == code and advice in str(caught.value)


def test_a_text_with_commas_in_a_file_of_tabs_is_one_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text\nfine, really;good\n")
    assert read_table(tmp_path / "a.txt").rows == [("fine, really;good",)]


def test_json_lines_of_an_old_mac_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "a"}\r{"text": "b"}\r')
    assert read_table(tmp_path / "a.jsonl").rows == [("a",), ("b",)]


def test_columns_without_a_name_may_be_many(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label,,\na,1,,\n")
    assert find_examples(read_table(tmp_path / "a.csv"), scores=False).labels == ["1"]


def test_lines_above_the_header_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("\nsep=;\ntext;label\na;1\nb;0;2\n")
    with pytest.raises(DataError, match=r"^a\.csv, line 5 has 3 fields: expected 2, as in the header, line 3$"):
        read_table(tmp_path / "a.csv")
    assert read_table(tmp_path / "a.csv", 1).numbers == [4]


UNREADABLE = [
    ("a.json", "data.unknown_suffix"),
    ("a.xlsx", "data.unknown_suffix"),
    ("a\0.csv", "data.unreadable"),
    ("\ud800.csv", "data.unreadable"),
    ("x" * 5000 + ".csv", "data.unreadable"),
]


def test_names_of_files_that_are_not_read_are_one_short_line(tmp_path: Path, subtests: pytest.Subtests) -> None:
    for name, code in UNREADABLE:
        with subtests.test(repr(name[:20])):
            with pytest.raises(DataError) as caught:
                read_table(tmp_path / name)
            assert caught.value.code == code and len(str(caught.value)) < 250
            str(caught.value).encode()


def test_a_header_that_is_too_long_for_a_field_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a" * 200_000 + "\nb\n")
    with pytest.raises(DataError, match=r"^a\.csv, line 1: field larger than field limit"):
        read_table(tmp_path / "a.csv")


OPENED = [io.StringIO("text\na\n"), io.BytesIO(b"a"), io.TextIOWrapper(io.BytesIO())]


def test_an_open_file_is_not_a_list_of_texts(subtests: pytest.Subtests) -> None:
    for opened in OPENED:
        with (
            subtests.test(type(opened).__name__),
            opened,
            pytest.raises(DataError, match=rf"^data is an open file \({type(opened).__name__}\).*pass its path$"),
        ):
            read_table(opened)


WITHOUT_HEADER = [
    ("a.csv", "a,1", "text,label"),
    ("a.csv", "a;1", "text;label"),
    ("a.tsv", "a\t1", "text<tab>label"),
    ("a.txt", "a", "text"),
    ("a.csv", "0|a|1", "text|label|column3"),
]


def test_the_advice_for_a_file_without_a_header_can_be_followed(tmp_path: Path, subtests: pytest.Subtests) -> None:
    for name, row, line in WITHOUT_HEADER:
        with subtests.test(line):
            rows = f"{row}\n{row}\n"
            (tmp_path / name).write_text(rows)
            with pytest.raises(
                DataError, match=rf", or put a line such as {re.escape(line)} on top if there is no header$"
            ):
                find_examples(read_table(tmp_path / name), scores=False)
            (tmp_path / name).write_text(line.replace("<tab>", "\t") + "\n" + rows)
            assert len(find_examples(read_table(tmp_path / name), scores=False)) == 2


def test_what_is_no_file_gets_no_advice_about_its_header() -> None:
    with pytest.raises(DataError, match=r"name yours with text= \(--text\)$"):
        find_examples(read_table([{"title": "a"}]), scores=False)


def test_a_path_may_begin_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.csv").write_text(COMMAS)
    assert read_table("~/a.csv").rows == read_table(Path("~/a.csv")).rows == MEANT


def test_what_cannot_be_iterated_is_no_data() -> None:
    import torch

    with pytest.raises(DataError, match="data is of type Tensor"):
        read_table(torch.tensor(1))


def test_a_column_is_named_by_a_text(subtests: pytest.Subtests) -> None:
    for option in ["text", "text_pair", "label"]:
        with subtests.test(option):
            for column in (0, 3, ["text"], b"text", True, ""):
                with pytest.raises(DataError) as caught:
                    find_examples(read_table(["a"]), scores=False, **{option: column})
                assert caught.value.code == ("data.unknown_column" if column == "" else "data.column_name")
                assert caught.value.values["option"] == option

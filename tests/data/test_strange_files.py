"""Tables that strangers made: one clear error soon, in little memory, or a right result."""

import gzip
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bertprune.data.batches import encode
from bertprune.data.tables import read_table
from bertprune.errors import DataError
from tests.conftest import cheaply


def refused(act: Callable[[], Any]) -> str:
    """Return the one line of a refusal that comes within two seconds and 100 MB."""
    with cheaply(2, 100_000_000), pytest.raises(DataError) as told:
        act()
    assert "\n" not in str(told.value) and len(str(told.value)) < 400
    return str(told.value)


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.tsv"])
def test_one_line_of_a_gigabyte(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with path.open("wb") as file:
        file.write(b'{"text": "' if name == "a.jsonl" else b"text\tlabel\n" if name == "a.tsv" else b"text,label\n")
        file.truncate(2**30)
    assert "characters" in refused(lambda: read_table(path, 1000))


def test_little_that_unpacks_to_a_gigabyte(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    with gzip.open(path, "wb", compresslevel=9) as file:
        for _ in range(200):
            file.write(bytes(1_000_000))
    assert "characters" in refused(lambda: read_table(path, 1000))


def test_rows_beyond_the_limit_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    with path.open("w") as file:
        file.write("text,label\n")
        for _ in range(300_000):
            file.write("good,1\n")
    started = time.thread_time()
    assert len(read_table(path, 1000).rows) == 1000
    assert time.thread_time() - started < 1


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b"text,label\na\0b,1\n"),
        ("a.csv", b"\0" * 1000),
        ("a.csv", b'text,label\n"never closed,1\n' + b"x,1\n" * 1000),
        ("a.csv", b"\xff\xfet\0e\0x\0t\0"),
        ("a.csv", b"text," * 100_000 + b"\nx\n"),
        ("a.csv", b"text,text\nx,y\n"),
        ("a.tsv", b"text\tlabel\nonly one\n"),
        ("a.jsonl", b"[" * 200_000 + b"\n"),
        ("a.jsonl", b'{"text": ' * 200_000 + b"\n"),
        ("a.jsonl", b'{"text": ' + b"9" * 100_000 + b"}\n"),
        ("a.jsonl", b"[1, 2]\n"),
        ("a.jsonl", b"null\n"),
        ("a.jsonl", b"\xef\xbb\xbf\xef\xbb\xbf{}\n"),
        ("a.xlsx", b"PK\x03\x04"),
        ("a.pkl", b"\x80\x04."),
    ],
)
def test_what_is_no_table(tmp_path: Path, name: str, content: bytes) -> None:
    path = written(tmp_path / name, content)
    try:
        table = read_table(path, 1000)
    except DataError as error:
        assert "\n" not in str(error) and len(str(error)) < 400
        assert str(tmp_path) not in str(error)
    else:
        assert len(table.rows) < 1001


def test_formulas_are_text(tmp_path: Path) -> None:
    formulas = ["=cmd|' /C calc'!A0", '=HYPERLINK("http://x","y")', "@SUM(1)", "+1+1", "-2+3"]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps({"text": one, "label": "=1+1"}) + "\n" for one in formulas))
    table = read_table(path)
    assert [row[0] for row in table.rows] == formulas


def test_a_tokenizer_that_panics_is_one_error_and_not_the_end(tiny_tokenizer: Any) -> None:
    from tokenizers import Regex, normalizers

    tiny_tokenizer.backend_tokenizer.normalizer = normalizers.Replace(Regex("(a+)+$"), "")
    with pytest.raises(DataError, match="the tokenizer fails on these texts"):
        encode(tiny_tokenizer, ["a" * 60 + "!"], None, 16)


def test_between_texts_there_is_a_way_out(tiny_tokenizer: Any) -> None:
    class Enough(Exception):
        pass

    def stop() -> None:
        raise Enough

    with pytest.raises(Enough):
        encode(tiny_tokenizer, ["a"] * 1000, None, 16, stop)
    told: list[int] = []
    assert len(encode(tiny_tokenizer, ["a"] * 130, None, 16, lambda: told.append(1))) == 130
    assert len(told) == 3

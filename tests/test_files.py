"""What is not a regular file is refused at once, wherever a file is named.

A reader that waits for a pipe waits for ever: the timeout of all tests ends it, which a busy machine does not reach.
"""

import os
import socket
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

import bertprune as bp
from bertprune.data.tables import read_table
from bertprune.exports.folder import check_target
from bertprune.scores import load_file
from tests.tiny_models import make_tokenizer


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # the name of a socket may be 108 bytes long
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


KINDS: dict[str, tuple[Callable[[Path], None], str]] = {
    "pipe": (_pipe, "a named pipe"),
    "folder": (Path.mkdir, "a folder"),
    "socket": (_socket, "a socket"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "a device"),
    "link": (lambda path: (_pipe(path.with_name("other")), path.symlink_to("other"))[0], "a named pipe"),
}
READERS: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "a table": ("data.csv", read_table),
    "a gzipped table": ("data.jsonl.gz", read_table),
    "a recipe": ("recipe.yaml", bp.Recipe.load),
    "methods": ("own.py", load_file),
    "a config": ("config.json", lambda path: bp.Checkpoint.open(path.parent)),
    "weights": ("odd.safetensors", lambda path: bp.Checkpoint.open(path.parent)),
    "a list of modules": ("modules.json", lambda path: bp.Checkpoint.open(path.parent)),
    "a tokenizer": ("special_tokens_map.json", lambda path: bp.Checkpoint.open("kobert-shape").tokenizer(path.parent)),
}


def test_what_is_no_regular_file_is_named_and_not_waited_for(tmp_path: Path, subtests: pytest.Subtests) -> None:
    for reader, kind in product(READERS, KINDS):
        if (reader, kind) == ("a tokenizer", "folder"):
            continue
        (name, read), (make, words) = READERS[reader], KINDS[kind]
        (here := tmp_path / reader / kind).mkdir(parents=True)
        if reader == "a tokenizer":
            make_tokenizer().save_pretrained(here)
        if reader == "a config":
            save_file({"weight": torch.zeros(1)}, here / "model.safetensors")
        make(here / name)
        with subtests.test(f"{reader}, {kind}"):
            with pytest.raises(bp.BertpruneError) as caught:
                read(here / name)
            assert caught.value.code == "files.not_regular"
            assert str(caught.value) == f"{name} is {words}: expected a regular file"


def test_what_is_no_regular_file_is_not_written_to(tmp_path: Path, subtests: pytest.Subtests) -> None:
    for number, kind in enumerate(KINDS):
        with subtests.test(kind):
            (here := tmp_path / str(number)).mkdir()
            make, words = KINDS[kind]
            make(here / "recipe.yaml")
            with pytest.raises(bp.BertpruneError, match=f"^recipe.yaml is {words}: expected a regular file$"):
                bp.Recipe().save(here / "recipe.yaml")
            if kind != "folder":
                with pytest.raises(bp.BertpruneError, match=r"recipe\.yaml"):
                    check_target(here / "recipe.yaml", overwrite=True)


def test_a_weight_file_that_is_a_pipe_is_refused(tmp_path: Path, subtests: pytest.Subtests) -> None:
    for suffix in [".safetensors", ".bin", ".pt"]:
        with subtests.test(suffix):
            os.mkfifo(tmp_path / f"model{suffix}")
            with pytest.raises(bp.BertpruneError, match="is a named pipe"):
                bp.Checkpoint.open(tmp_path / f"model{suffix}")
            with pytest.raises(bp.BertpruneError, match="zero is a device"):
                bp.Checkpoint.open("/dev/zero")


def test_a_pipe_is_not_the_report_of_an_export(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    os.mkfifo(tmp_path / "out" / "report.json")
    with pytest.raises(bp.BertpruneError, match=r"contains report\.json, not written by an export"):
        check_target(tmp_path / "out", overwrite=True)


UNPRINTABLE = [
    ("a\nb.csv", r"a\nb.csv"),
    ("\x1b[31m.csv", r"\x1b[31m.csv"),
    ("a\0.csv", r"a\x00.csv"),
    ("\ud800.csv", r"\ud800.csv"),
]


def test_a_name_that_cannot_be_printed_stays_one_line(tmp_path: Path, subtests: pytest.Subtests) -> None:
    for name, shown in UNPRINTABLE:
        with subtests.test(shown):
            for read in (read_table, lambda path: bp.Recipe.load(path.with_suffix(".yaml"))):
                with pytest.raises(bp.BertpruneError) as caught:
                    read(tmp_path / name)
                assert str(caught.value).startswith(shown.removesuffix("csv"))


def test_a_folder_without_a_name_is_named() -> None:
    with pytest.raises(bp.BertpruneError, match=r"^\. is a folder: expected a regular file$"):
        bp.Recipe.load(".")


def test_a_link_to_a_regular_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "kept.csv").write_text("text\ngood\n")
    (tmp_path / "data.csv").symlink_to("kept.csv")
    assert read_table(tmp_path / "data.csv").rows == [("good",)]

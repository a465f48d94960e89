"""What is not a regular file is refused at once, wherever a file is named."""

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

import bertprune as bp
from bertprune.data.tables import read_table
from bertprune.exports.folder import check_target
from bertprune.scores import load_file


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


@pytest.mark.timeout(20)  # a reader that waits for a pipe waits for ever
@pytest.mark.parametrize(
    ("reader", "kind"),
    [(reader, kind) for reader in READERS for kind in KINDS if (reader, kind) != ("a tokenizer", "folder")],
)
def test_what_is_no_regular_file_is_named_and_not_waited_for(reader: str, kind: str, tmp_path: Path) -> None:
    (name, read), (make, words) = READERS[reader], KINDS[kind]
    if reader == "a tokenizer":
        bp.Checkpoint.open("demo").tokenizer().save_pretrained(tmp_path)
    if reader == "a config":
        save_file({"weight": torch.zeros(1)}, tmp_path / "model.safetensors")
    make(tmp_path / name)
    with pytest.raises(bp.BertpruneError) as caught:
        read(tmp_path / name)
    assert caught.value.code == "files.not_regular"
    assert str(caught.value) == f"{name} is {words}: expected a regular file"


@pytest.mark.timeout(20)  # so does a writer
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_regular_file_is_not_written_to(kind: str, tmp_path: Path) -> None:
    make, words = KINDS[kind]
    make(tmp_path / "recipe.yaml")
    with pytest.raises(bp.BertpruneError, match=f"^recipe.yaml is {words}: expected a regular file$"):
        bp.Recipe().save(tmp_path / "recipe.yaml")
    if kind != "folder":
        with pytest.raises(bp.BertpruneError, match=r"recipe\.yaml"):
            check_target(tmp_path / "recipe.yaml", overwrite=True)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("suffix", [".safetensors", ".bin", ".pt"])
def test_a_weight_file_that_is_a_pipe_is_refused(suffix: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / f"model{suffix}")
    with pytest.raises(bp.BertpruneError, match="is a named pipe"):
        bp.Checkpoint.open(tmp_path / f"model{suffix}")
    with pytest.raises(bp.BertpruneError, match="zero is a device"):
        bp.Checkpoint.open("/dev/zero")


@pytest.mark.timeout(20)
def test_a_pipe_is_not_the_report_of_an_export(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    os.mkfifo(tmp_path / "out" / "report.json")
    with pytest.raises(bp.BertpruneError, match=r"contains report\.json, not written by an export"):
        check_target(tmp_path / "out", overwrite=True)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a\nb.csv", r"a\nb.csv"),
        ("\x1b[31m.csv", r"\x1b[31m.csv"),
        ("a\0.csv", r"a\x00.csv"),
        ("\ud800.csv", r"\ud800.csv"),
    ],
)
def test_a_name_that_cannot_be_printed_stays_one_line(name: str, shown: str, tmp_path: Path) -> None:
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

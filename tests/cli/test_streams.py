"""Streams in any state: closed, full, without a reader, in an encoding that lacks letters."""

import json
import os
import shutil
import sys
from collections.abc import Callable
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import pytest

import bertprune as bp
from bertprune.cli import main
from bertprune.cli.console import print_json, print_script
from bertprune.cli.streams import safe_streams

from .conftest import KEY, STEP

COMMANDS = (
    "--help",
    "--version",
    "tree tiny-0",
    "tree tiny-0 --json",
    f"inspect tiny-0 {KEY}",
    f"preview tiny-0 {STEP}",
    f"prune tiny-0 {STEP} --out masked --form masked --overwrite",
    f"prune tiny-0 {STEP} --as-python",
    "report masked",
    "report masked --by tensor",
    "export masked baked --overwrite",
    "methods",
    "methods --json",
    "try tiny-0 good",
)

SOME = [line for line in COMMANDS if line.startswith(("--help", "prune", "export"))]


def full(tmp_path: Path) -> Any:
    return TextIOWrapper(open("/dev/full", "wb"), "utf-8")  # noqa: PTH123


def left(tmp_path: Path) -> Any:
    reader, writer = os.pipe()
    os.close(reader)
    return TextIOWrapper(open(writer, "wb"), "utf-8")  # noqa: PTH123


def closed(tmp_path: Path) -> None:
    """Give what Python has for a closed stream."""


LOST = {
    full: ["error: stdout: No space left on device"],
    left: [],
    closed: ["error: stdout: Bad file descriptor"],
}


def test_output_that_is_lost_is_one_line_and_exit_code_1(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], subtests: pytest.Subtests
) -> None:
    for lost, words in LOST.items():
        for line in COMMANDS if lost is full else SOME:
            with subtests.test(f"{lost.__name__}, {line}"):
                stdout = lost(here)
                with monkeypatch.context() as patch:
                    patch.setattr(sys, "stdout", stdout)
                    assert main(line.split()) == 1
                said = [one for one in capsys.readouterr().err.splitlines() if not one.startswith("note: ")]
                assert said == words
                if stdout is not None:
                    stdout.close()  # what could not be written does not fail once more
        assert bp.sparsity(bp.load(here / "masked")).total.masked == 512  # the work is done all the same
        assert (here / "baked" / "model.safetensors").exists()
        for name in ("masked", "baked"):
            shutil.rmtree(here / name)


def test_messages_that_are_lost_change_nothing(
    here: Path, cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, subtests: pytest.Subtests
) -> None:
    shown = cli("tree tiny-0")
    for lost in LOST:
        with subtests.test(lost.__name__), monkeypatch.context() as patch:
            stderr = lost(here)
            patch.setattr(sys, "stderr", stderr)
            assert cli("tree tiny-0") == shown
            wrong = cli("tree ./nowhere")
            assert (wrong.code, wrong.out) == (2, "")
            if stderr is not None:
                stderr.close()


@pytest.fixture
def printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., bytes]:
    """Give a function that calls another, and returns what a stdout of an encoding got."""

    def run(encoding: str, call: Callable[[], Any]) -> bytes:
        with (tmp_path / "stdout").open("w", encoding=encoding) as stdout, monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", stdout)
            assert call() in (None, 0)
        return (tmp_path / "stdout").read_bytes()

    return run


TEXT = "층 → 2 × 3 é 😀"
WRITTEN = {
    "ascii": r"\uce35 -> 2 x 3 \xe9 \U0001f600",
    "cp1252": r"\uce35 -> 2 × 3 é \U0001f600",
    "cp949": r"층 → 2 × 3 \xe9 \U0001f600",
    "utf-16": TEXT,
    "utf-8": TEXT,
}


def test_letters_that_an_encoding_lacks_are_written_in_ascii(
    printed: Callable[..., bytes], subtests: pytest.Subtests
) -> None:
    for encoding in WRITTEN:
        with subtests.test(encoding):

            def show() -> None:
                with safe_streams():
                    print(TEXT)

            assert printed(encoding, show).decode(encoding) == WRITTEN[encoding] + "\n"


def test_json_and_scripts_mean_the_same_in_every_encoding(
    printed: Callable[..., bytes], subtests: pytest.Subtests
) -> None:
    for encoding in WRITTEN:
        with subtests.test(encoding):
            document = printed(encoding, lambda: print_json({"text": TEXT})).decode(encoding)
            assert json.loads(document) == {"text": TEXT}
            script, known = printed(encoding, lambda: print_script(f"text = {TEXT!r}  # {TEXT}\n")), {}
            exec(
                compile(script.decode(encoding).encode("ascii" if encoding != "utf-8" else encoding), "script", "exec"),
                known,
            )
            assert known["text"] == TEXT


def test_every_command_prints_in_a_narrow_encoding(here: Path, printed: Callable[..., bytes]) -> None:
    (here / "tiny-0").rename(here / "층")
    for line in (line.replace("tiny-0", "층") for line in COMMANDS):
        shown = printed("ascii", lambda line=line: main(line.split())).decode("ascii")
        assert shown and ("--json" not in line or json.loads(shown)), line


def test_bytes_of_a_path_are_passed_through_in_a_c_locale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = os.fsdecode("층".encode()).encode("utf-8").decode("ascii", "surrogateescape")
    with (tmp_path / "stdout").open("w", encoding="ascii", errors="surrogateescape") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        with safe_streams():
            print(f"wrote {name}")
    assert (tmp_path / "stdout").read_bytes() == "wrote 층\n".encode()

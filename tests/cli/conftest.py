"""Run the command line in this process, and read its output."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

KEY = "encoder.layer.0.attention.self.key"
STEP = "--method l1_unstructured --fraction 0.25 --role attention.key,attention.query --layer 0"


class Terminal(io.StringIO):
    """A stream that claims to be a terminal."""

    def isatty(self) -> bool:
        return True


@dataclass(frozen=True)
class Result:
    """The exit code of a command and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Return a function that runs `bertprune` with the words of one line, or with several arguments."""
    from bertprune.cli import main

    def run(*arguments: Any) -> Result:
        words = arguments[0].split() if len(arguments) == 1 and isinstance(arguments[0], str) else map(str, arguments)
        capsys.readouterr()
        code = main(list(words))
        printed = capsys.readouterr()
        return Result(code, printed.out, printed.err)

    return run


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_folder: Callable[..., Path]) -> Path:
    """Work in a folder with the tiny checkpoint `tiny-0`, a BertForSequenceClassification."""
    tiny_folder()
    monkeypatch.chdir(tmp_path)
    return tmp_path

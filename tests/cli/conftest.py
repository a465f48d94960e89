"""Run the command line in this process, and read what it says."""

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
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Give a function that runs `bertprune` with the words of a line, or with several arguments."""
    from bertprune.cli import main

    def run(*arguments: Any) -> Said:
        words = arguments[0].split() if len(arguments) == 1 and isinstance(arguments[0], str) else map(str, arguments)
        capsys.readouterr()
        code = main(list(words))
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return run


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_folder: Callable[..., Path]) -> Path:
    """Stand in a folder that holds the tiny checkpoint `tiny-0`, a BertForSequenceClassification."""
    tiny_folder()
    monkeypatch.chdir(tmp_path)
    return tmp_path

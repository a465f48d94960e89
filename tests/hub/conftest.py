"""A Hub of the tests' own, and exports to push there."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import bertprune as bp
from tests.stand_in_hub import StandInHub, reached

STEP = bp.Step(method="l1_unstructured", fraction=0.3, select="*attention.self.key")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandInHub]:
    """Give a Hub that works."""
    with reached(monkeypatch, StandInHub()) as made:
        yield made


@pytest.fixture
def exported(tiny_folder: Callable[..., Path], tmp_path: Path) -> Callable[..., Path]:
    """Return a function that exports a tiny run in a form."""

    def write(form: str = "baked", recipe: Any = None, **folder: Any) -> Path:
        run = bp.prune(tiny_folder(**folder), recipe or STEP, 0)
        return Path(bp.export(run, tmp_path / form, form).path)

    return write

"""What the page's tests share: a shelf, a tiny checkpoint, a run of it."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.app import quick_gradio  # noqa: F401

# isort: split
import bertprune as bp
from app.handlers import results
from app.plan import Plan
from app.presets import preset
from app.session import Done, Shelf, Source
from app.settings import Settings


@pytest.fixture
def shelf() -> Shelf:
    """Give a shelf of a local page, with nothing on it."""
    return Shelf(Settings())


@pytest.fixture
def source(tiny_folder: Callable[..., Path]) -> Source:
    """Give a tiny checkpoint as an upload would name it."""
    return Source(str(tiny_folder()), shown="tiny")


@pytest.fixture
def done(shelf: Shelf, source: Source) -> Done:
    """Give its run by the tutorial's first recipe."""
    return results.prune(shelf, source, Plan(preset("random")), 0)


@pytest.fixture
def exported(shelf: Shelf, done: Done, tmp_path: Path) -> Callable[[str], Source]:
    """Give a function that exports the run in a form, and names the folder as an upload would."""

    def export(form: str) -> Source:
        bp.export(shelf.run(done), tmp_path / form, form)  # type: ignore[arg-type]
        return Source(str(tmp_path / form), shown=form)

    return export


@pytest.fixture
def masked(exported: Callable[[str], Source]) -> Source:
    """Give the run as a checkpoint with masks."""
    return exported("masked")


@pytest.fixture
def tiny_zip(tiny_folder: Callable[..., Path], tmp_path: Path) -> Callable[..., Path]:
    """Give a function that writes a tiny checkpoint as a zip, called `name`."""

    def write(name: str = "tiny", **options: Any) -> Path:
        tiny_folder(**options).rename(tmp_path / name)
        return Path(shutil.make_archive(str(tmp_path / f"{name}-upload"), "zip", tmp_path, name))

    return write

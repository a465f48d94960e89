"""What the page's tests share: a store, a tiny checkpoint, a run of it, a visit of it."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.app import quick_gradio  # noqa: F401

# isort: split
import bertprune as bp
from app.making import make_run, with_recipe
from app.offers import preset
from app.runs import Run, RunKey, Source
from app.settings import Settings
from app.store import Store
from app.tabs.model import opened
from app.visit import Visit


@pytest.fixture
def store() -> Store:
    """Give the store of a local page, with nothing in it."""
    return Store(Settings())


@pytest.fixture
def source(tiny_folder: Callable[..., Path]) -> Source:
    """Give a tiny checkpoint as an upload would name it."""
    return Source(str(tiny_folder()), shown="tiny")


@pytest.fixture
def visit(store: Store, source: Source) -> Visit:
    """Give a visit that has opened it."""
    return opened(store, Visit(), source)


def nothing(*_: Any, **__: Any) -> None:
    """Report no progress."""


def pruned(store: Store, visit: Visit, recipe: bp.Recipe, seed: int = 0) -> Visit:
    """Load a recipe and prune by it."""
    visit = with_recipe(store, visit, recipe)
    texts = visit.given.chosen(visit.source, recipe)
    return make_run(store, RunKey(visit.source, recipe, seed, texts), visit.cards, nothing)(visit)


@pytest.fixture
def ran(store: Store, visit: Visit) -> Visit:
    """Give the visit after a run by the tutorial's first recipe."""
    return pruned(store, visit, preset("random"))


@pytest.fixture
def done(ran: Visit) -> RunKey:
    """Give that run's key."""
    assert isinstance(ran.shown, Run)
    return ran.shown.key


@pytest.fixture
def exported(store: Store, done: RunKey, tmp_path: Path) -> Callable[[str], Source]:
    """Give a function that exports the run in a form, and names the folder as an upload would."""

    def export(form: str) -> Source:
        bp.export(store.run(done), tmp_path / form, form)  # type: ignore[arg-type]
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

"""Something is done as soon as a module has been imported, and at once where it is there already."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bertprune.when_imported import when_imported


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Make a module that can be imported, and forget it afterwards."""
    (tmp_path / "lately.py").write_text("ready = True\n")
    monkeypatch.syspath_prepend(tmp_path)
    finders = list(sys.meta_path)
    yield "lately"
    sys.modules.pop("lately", None)
    sys.meta_path[:] = finders


def test_it_acts_once_at_the_end_of_the_import(module: str) -> None:
    seen: list[Any] = []
    when_imported(module, lambda: seen.append(sys.modules[module].ready))
    assert importlib.util.find_spec(module) is not None and seen == []
    loaded = importlib.import_module(module)
    assert seen == [True] and type(loaded.__spec__.loader).__name__ == "SourceFileLoader"
    importlib.reload(loaded)
    assert seen == [True]


def test_it_acts_at_once_where_the_module_is_there(module: str) -> None:
    importlib.import_module(module)
    seen: list[int] = []
    when_imported(module, lambda: seen.append(1))
    assert seen == [1]


def test_an_import_that_fails_does_not_act_and_a_later_one_does(module: str, tmp_path: Path) -> None:
    good = (tmp_path / "lately.py").read_text()
    (tmp_path / "lately.py").write_text("raise ValueError('broken, and longer than the other')")
    seen: list[int] = []
    when_imported(module, lambda: seen.append(1))
    with pytest.raises(ValueError, match="broken"):
        importlib.import_module(module)
    assert seen == []
    (tmp_path / "lately.py").write_text(good)
    importlib.invalidate_caches()
    importlib.import_module(module)
    assert seen == [1]


def test_a_module_that_does_not_exist_stays_one(module: str) -> None:
    when_imported("lately_nowhere", lambda: pytest.fail("it was not imported"))
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("lately_nowhere")

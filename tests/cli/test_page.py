"""The command that starts the page; the page itself has its own tests."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bertprune.cli import page


def test_the_page_is_started_with_what_was_asked(cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Any] = []
    monkeypatch.setattr(page, "_page", lambda: lambda *given: started.append(given))
    assert cli("app --host 0.0.0.0 --port 7861 --no-browser").code == 0
    assert cli("app").code == 0
    assert started == [("0.0.0.0", 7861, False), (None, None, True)]


def test_a_page_that_cannot_listen_says_so(cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*given: Any) -> None:
        raise OSError("Cannot find empty port in range: 7861-7861.")

    monkeypatch.setattr(page, "_page", lambda: busy)
    said = cli("app --port 7861")
    assert said.code == 2 and said.err.startswith("error: the page cannot listen at this machine, port 7861: ")


def test_without_the_page_or_gradio_it_says_what_to_do(
    cli: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "find_spec", lambda name: None)
    assert cli("app").err.startswith("error: the page needs gradio: pip install")
    monkeypatch.setattr(page, "_ROOT", tmp_path)
    assert cli("app").err.startswith("error: the page is not part of an installed bertprune: ")
    assert cli("app").code == 2

"""The command that starts the page; the page itself has its own tests."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bertprune.cli import page


def test_the_page_starts_with_the_given_host_and_port(cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Any] = []
    monkeypatch.setattr(page, "find_page", lambda: lambda *given: started.append(given))
    assert cli("app --host 0.0.0.0 --port 7861 --no-browser").code == 0
    assert cli("app").code == 0
    assert started == [("0.0.0.0", 7861, False), (None, None, True)]


def test_a_page_that_cannot_listen_is_one_line(cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*given: Any) -> None:
        raise OSError("Cannot find empty port in range: 7861-7861.")

    monkeypatch.setattr(page, "find_page", lambda: busy)
    result = cli("app --port 7861")
    assert result.code == 2 and result.err.startswith("error: the page cannot listen on this machine, port 7861: ")


def test_without_the_page_or_gradio_the_error_names_the_remedy(
    cli: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "find_spec", lambda name: None)
    assert cli("app").err.startswith("error: the page needs gradio: pip install")
    monkeypatch.setattr(page, "ROOT", tmp_path)
    assert cli("app").err.startswith("error: the page is not part of an installed bertprune: ")
    assert cli("app").code == 2

"""The command that starts the page; the page itself has its own tests."""

import socket
from collections.abc import Callable, Iterator
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


@pytest.fixture
def busy() -> Iterator[int]:
    """Give a port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


PLACES = [
    ("--port {busy}", "this machine, port {busy}: Address already in use"),
    ("--host 127.0.0.1 --port {busy}", "127.0.0.1, port {busy}: Address already in use"),
    ("--host 203.0.113.1", "203.0.113.1, port any: Cannot assign requested address"),  # nobody's own address
    ("--host 203.0.113.1 --port 7861", "203.0.113.1, port 7861: Cannot assign requested address"),
    ("--host 224.0.0.1", "224.0.0.1, port any: "),  # an address of many cannot be reached as one
    ("--host a..b", "a..b, port any: "),
    ("--host {long}", "{long}, port any: "),
]


def test_a_page_that_cannot_listen_is_one_line_at_once(
    cli: Callable[..., Any], busy: int, subtests: pytest.Subtests
) -> None:
    for flags, said in PLACES:
        with subtests.test(flags):
            known = {"busy": busy, "long": "a" * 70}
            result = cli("app " + flags.format(**known))
            assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
            assert result.err.startswith(f"error: the page cannot listen on {said.format(**known)}")


def test_without_the_page_or_gradio_the_error_names_the_remedy(
    cli: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "find_spec", lambda name: None)
    assert cli("app").err.startswith("error: the page needs gradio: pip install")
    monkeypatch.setattr(page, "ROOT", tmp_path)
    assert cli("app").err.startswith("error: the page is not part of an installed bertprune: ")
    assert cli("app").code == 2

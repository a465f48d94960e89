"""Signing in to the Hub: only where a Space offers it; the visitor's token pushes, and is kept nowhere."""

import json
import os
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.api import VERBS
from app.page import can_sign_in
from app.settings import Settings
from tests import stand_in_hub
from tests.stand_in_hub import READ_ONLY, StandInHub
from tools.space import free_port, serving

MAIN = Path(__file__).resolve().parents[2] / "app" / "main.py"
NAME = "me/small"
VISITORS = "mock-oauth-token-for-local-dev"
"""The token that Gradio gives whoever signs in outside of a Space."""


class Page:
    """A tab of a hosted page with Gradio's stand-in for the Hub's sign-in; the page has a login that may read."""

    def __init__(self, address: str, tab: str) -> None:
        self.client, self.tab = httpx.Client(base_url=address, timeout=120), tab
        self.config = self.client.get("config").json()
        self.heard: list[str] = []
        """All that the server sent."""

    def ask(self, target: str, event: str, data: Any = (), cookie: str = "", **asked: Any) -> dict[str, Any]:
        """Have the page do something as the browser does, and return the last message."""
        (at,) = [part["id"] for part in self.config["components"] if part["props"].get("elem_id") == target] or [None]
        chosen = next(
            one["id"]
            for one in self.config["dependencies"]
            for place, name in one["targets"]
            if name == event and (place == at or (at is None and one["js"]))
        )
        body = {"data": list(data), "event_data": asked, "fn_index": chosen, "session_hash": self.tab, "trigger_id": at}
        headers = {"Cookie": cookie}
        self.client.post("gradio_api/queue/join", json=body, headers=headers).raise_for_status()
        with self.client.stream("GET", f"gradio_api/queue/data?session_hash={self.tab}", headers=headers) as lines:
            for line in lines.iter_lines():
                self.heard.append(line)
                if "process_completed" in line:
                    return dict(json.loads(line.removeprefix("data: ")))
        raise AssertionError(self.heard[-1])

    def sign_in(self) -> str:
        """Follow the sign-in, and return the cookie, which a browser sends along from here."""
        there = self.client.get("login/huggingface?_target_url=/")
        back = self.client.get(there.headers["location"])
        assert back.headers["location"].startswith("/")  # and to no other host
        return str(back.headers["set-cookie"].partition(";")[0])

    def push(self, number: int, cookie: str = "") -> dict[str, Any]:
        form = {"do": "push", "repository": NAME, "which": "baked ", "private": True}
        return self.ask("courier", "open", cookie=cookie, n=number, **form)


@pytest.fixture(scope="module")
def hub() -> Iterator[StandInHub]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(stand_in_hub, "RIGHT", VISITORS)
        made = StandInHub()
        yield made
        made.close()


@pytest.fixture(scope="module")
def where(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of the hosted page, and of its temporary files."""
    return tmp_path_factory.mktemp("sign-in")


@pytest.fixture(scope="module")
def address(hub: StandInHub, where: Path) -> Iterator[str]:
    """Serve a hosted page for all tests; as a Space starts it, for no login may be read before the page says so."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "SPACE", "GRADIO"))}
    environ |= {
        "SYSTEM": "spaces", "OAUTH_CLIENT_ID": "client", "HF_ENDPOINT": hub.url, "HF_TOKEN": READ_ONLY,
        "HF_HUB_DISABLE_XET": "1", "GRADIO_SERVER_PORT": str(free_port()), "TMPDIR": str(where),
    }  # fmt: skip
    with serving([sys.executable, MAIN], where, environ) as found:
        yield found


@pytest.fixture
def page(address: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    """Open it in a tab of its own."""
    tab = Page(address, request.node.name)
    yield tab
    tab.client.close()


def test_a_visitor_who_signed_in_pushes_with_a_token_that_is_kept_nowhere(
    page: Page, hub: StandInHub, where: Path
) -> None:
    pytest.importorskip("itsdangerous")
    assert "sign-in" in [part["props"].get("elem_id") for part in page.config["components"]]
    page.ask("", "load", [1, json.dumps({"language": "en"})])
    page.ask("courier", "act", do="preset", name="random", n=2)
    assert page.ask("courier", "work", n=3, do="prune")["success"]
    page.ask("courier", "act", do="run", run=1, n=4)
    assert page.ask("courier", "work", n=5, do="build", form="baked")["success"], page.heard[-1]

    refused = page.push(6)
    assert not refused["success"] and refused["output"]["error"] == "Sign in with Hugging Face first."
    cookie = page.sign_in()
    assert page.push(7, cookie)["success"]
    assert hub.repositories[NAME].private and hub.tokens[NAME] == {VISITORS}
    assert f'href=\\"{hub.url}/{NAME}' in "".join(page.heard)
    out = page.client.get("logout?_target_url=/", headers={"Cookie": cookie})
    assert not page.push(8, out.headers["set-cookie"].partition(";")[0])["success"]

    written = [path.read_bytes().decode("latin-1") for path in where.rglob("*") if path.is_file()]
    for token in (VISITORS, READ_ONLY):
        assert not any(token in text for text in [*page.heard, page.client.get("config").text, *written])


def test_the_servers_own_login_opens_no_model_for_a_visitor(page: Page, hub: StandInHub) -> None:
    page.ask("", "load", [1, json.dumps({"language": "en"})])
    assert not page.ask("courier", "open", do="open", given="me/private", n=2)["success"]
    assert hub.tokens["me/private"] == {""}


def test_signing_in_adds_nothing_to_the_public_api(page: Page) -> None:
    found = page.client.get("gradio_api/info").json()["named_endpoints"]
    assert found.keys() == {f"/{verb}" for verb in VERBS}


def test_only_a_space_with_sign_in_offers_it(monkeypatch: pytest.MonkeyPatch) -> None:
    hosted = Settings.for_strangers("somebody/bertprune")
    monkeypatch.delenv("OAUTH_CLIENT_ID", raising=False)
    assert not can_sign_in(hosted)
    monkeypatch.setenv("OAUTH_CLIENT_ID", "client")
    assert not can_sign_in(Settings())  # where Gradio's button raises an error
    assert can_sign_in(hosted) == (find_spec("itsdangerous") is not None)

"""A served page and a browser in front of it; every test also checks that the page asked nobody else for anything."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tools.space import answered, free_port, serving

ROOT = Path(__file__).resolve().parents[3]
SERVED = str(Path(__file__).with_name("served.py"))
SHOTS = ROOT / "screenshots"
PATIENCE = 120_000  # milliseconds; a machine may be busy with other things
FAILED = pytest.StashKey[bool]()
BROWSER = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync"
).split()


@pytest.fixture(scope="session")
def where(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder that the page is served from."""
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="session")
def served(where: Path) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """Serve the page in a process of its own, started from another folder; give its address and the process."""
    port = free_port()
    command = [sys.executable, SERVED, str(port)]
    settings = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "GRADIO_TEMP_DIR": str(where / "gradio")}
    with (where / "log.txt").open("w") as log:
        server = subprocess.Popen(command, cwd=where, env=settings, stdout=log, stderr=log)
    try:
        yield answered(f"http://127.0.0.1:{port}/", server, where / "log.txt", patience=240), server
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
    log = (where / "log.txt").read_text()
    assert "Traceback" not in log, log[-4000:]


@pytest.fixture(scope="session")
def address(served: tuple[str, "subprocess.Popen[bytes]"]) -> str:
    """Give the page's address."""
    return served[0]


@pytest.fixture(scope="session")
def hosted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the page with a Space's environment variables; give its address."""
    where, port = tmp_path_factory.mktemp("hosted"), free_port()
    environ = {
        **os.environ, "SYSTEM": "spaces", "SPACE_ID": "somebody/bertprune", "SPACE_AUTHOR_NAME": "somebody",
        "SPACE_HOST": f"127.0.0.1:{port}", "GRADIO_SERVER_PORT": str(port), "TMPDIR": str(where),
    }  # fmt: skip
    with serving([sys.executable, SERVED, str(port)], where, environ) as found:
        yield found


@pytest.fixture
def forget(served: tuple[str, "subprocess.Popen[bytes]"]) -> Callable[[], None]:
    """Give a function that makes the server forget every visit."""
    return lambda: served[1].send_signal(signal.SIGUSR1)


@pytest.fixture
def hold(where: Path) -> Iterator[Path]:
    """Give a file: as long as it exists, no run goes on."""
    file = where / "hold"
    yield file
    file.unlink(missing_ok=True)


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Any]:
    """Start a headless Chromium."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=BROWSER)
        yield running
        running.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Let fixtures know whether the test failed."""
    report = yield
    if report.failed:
        item.stash[FAILED] = True
    return report


class Visitors:
    """Opens the page for new visitors, and collects errors and requests to other addresses.

    Visitors of one language come one after the other by the same browser, whose store is emptied: it has the page's
    files already. One who comes while another is there has a browser of his own.
    """

    def __init__(self, browser: Any, address: str, contexts: dict[str, Any]) -> None:
        self.browser, self.address, self.shared = browser, address, contexts
        self.contexts: list[Any] = []
        self.complaints: list[str] = []
        self.leaving = False
        """Requests that are under way when a page is left fail, which Gradio reports as errors."""

    def __call__(self, locale: str = "en-US", width: int = 1280, height: int = 900) -> Any:
        """Open the page and wait until it is ready."""
        context = self.context(locale)
        self.contexts.append(context)
        page = context.new_page()
        context.new_cdp_session(page).send(
            "Storage.clearDataForOrigin", {"origin": self.address, "storageTypes": "all"}
        )
        page.set_viewport_size({"width": width, "height": height})
        page.on("console", self.heard)
        page.on("pageerror", lambda error: self.complain(f"error: {error}"))
        page.on("request", self.asked)
        page.goto(self.address)
        page.locator("#inspector h2").wait_for(state="attached")
        return page

    def context(self, locale: str) -> Any:
        """Give the shared browser of a language, or a new one where that is in use."""
        if (shared := self.shared.get(locale)) is not None and shared not in self.contexts:
            return shared
        context = self.browser.new_context(locale=locale, reduced_motion="reduce")
        context.set_default_timeout(PATIENCE)
        return self.shared.setdefault(locale, context) if shared is None else context

    @contextmanager
    def loading(self, page: Any) -> Iterator[None]:
        """Let what is done here leave the page that is shown, and wait for the next one."""
        self.leaving = True
        with page.expect_event("load"):
            yield
        self.leaving = False

    def reload(self, page: Any) -> None:
        """Load a page anew, also while something is under way."""
        with self.loading(page):
            page.reload()

    def complain(self, text: str) -> None:
        if not self.leaving:
            self.complaints.append(text)

    def heard(self, message: Any) -> None:
        if message.type == "error":
            self.complain(f"console: {message.text}")

    def asked(self, request: Any) -> None:
        if not request.url.startswith((self.address, "data:", "blob:")):
            self.complaints.append(f"foreign request: {request.url}")

    def leave(self, failed: str | None) -> None:
        self.leaving = True
        for context in self.contexts:
            if failed:
                SHOTS.mkdir(exist_ok=True)
                context.pages[0].screenshot(path=str(SHOTS / f"failed-{failed}.png"))
            for page in context.pages:
                page.close()
            if context not in self.shared.values():
                context.close()


@pytest.fixture(scope="session")
def contexts() -> dict[str, Any]:
    """Give the browsers that visitors share, by their language."""
    return {}


@pytest.fixture
def visit(request: pytest.FixtureRequest, browser: Any, address: str, contexts: dict[str, Any]) -> Iterator[Visitors]:
    """Give a function that opens the page as a new visitor; afterwards nothing foreign may have been asked for."""
    visitors = Visitors(browser, address, contexts)
    yield visitors
    visitors.leave(request.node.name if request.node.stash.get(FAILED, False) else None)
    assert not visitors.complaints, "\n".join(visitors.complaints)

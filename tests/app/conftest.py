"""A served page and a browser in front of it; every test also checks that the page kept to itself."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHOTS = ROOT / "screenshots"
PATIENCE = 120_000  # milliseconds; a machine may be busy with other things
FAILED = pytest.StashKey[bool]()
BROWSER = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync"
).split()


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the page in a process of its own, started from another folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    where = tmp_path_factory.mktemp("served")
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); "
        f"from app.main import main; main('127.0.0.1', {port}, open_browser=False)"
    )
    settings = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "GRADIO_TEMP_DIR": str(where / "gradio")}
    with (where / "log.txt").open("w") as log:
        server = subprocess.Popen([sys.executable, "-c", code], cwd=where, env=settings, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}/"
        _await(url, server, where / "log.txt")
        yield url
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
    log = (where / "log.txt").read_text()
    assert "Traceback" not in log, log[-4000:]


def _await(url: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + 240
    while time.monotonic() < end:
        if server.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    pytest.fail(f"the page is not served:\n{log.read_text()[-4000:]}")


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
    """Opens the page for new visitors, and listens for what a page must not do."""

    def __init__(self, browser: Any, address: str) -> None:
        self.browser, self.address = browser, address
        self.contexts: list[Any] = []
        self.complaints: list[str] = []

    def __call__(self, **options: Any) -> Any:
        """Open the page and wait until it is ready."""
        given = {"viewport": {"width": 1280, "height": 900}, "locale": "en-US", "reduced_motion": "reduce", **options}
        context = self.browser.new_context(**given)
        context.set_default_timeout(PATIENCE)
        self.contexts.append(context)
        page = context.new_page()
        page.on("console", self.heard)
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("request", self.asked)
        page.goto(self.address)
        page.locator("#inspector h3").wait_for()
        return page

    def heard(self, message: Any) -> None:
        if message.type == "error":
            self.complaints.append(f"console: {message.text}")

    def asked(self, request: Any) -> None:
        if not request.url.startswith((self.address, "data:", "blob:")):
            self.complaints.append(f"foreign request: {request.url}")

    def leave(self, failed: str | None) -> None:
        for context in self.contexts:
            if failed:
                context.pages[0].screenshot(path=str(SHOTS / f"failed-{failed}.png"))
            context.close()


@pytest.fixture
def visit(request: pytest.FixtureRequest, browser: Any, address: str) -> Iterator[Visitors]:
    """Give a function that opens the page as a new visitor; afterwards nothing foreign may have been asked for."""
    visitors = Visitors(browser, address)
    yield visitors
    visitors.leave(request.node.name if request.node.stash.get(FAILED, False) else None)
    assert not visitors.complaints, "\n".join(visitors.complaints)


@pytest.fixture
def tiny_zip(tiny_folder: Callable[..., Path], tmp_path: Path) -> Callable[..., Path]:
    """Give a function that writes a tiny checkpoint as a zip, called `name`."""

    def write(name: str = "tiny", **options: Any) -> Path:
        tiny_folder(**options).rename(tmp_path / name)
        return Path(shutil.make_archive(str(tmp_path / f"{name}-upload"), "zip", tmp_path, name))

    return write


@pytest.fixture(scope="session")
def shot() -> Callable[..., None]:
    """Give a function that keeps a picture of the page, to be looked at by people."""
    SHOTS.mkdir(exist_ok=True)

    def take(page: Any, name: str, full: bool = True) -> None:
        page.wait_for_timeout(600)
        page.screenshot(path=str(SHOTS / f"{name}.png"), full_page=full)

    return take

"""A served page and a browser in front of it; every test also checks that the page asked nobody else for anything."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.handlers import results
from app.plan import Plan
from app.presets import preset
from app.session import Done, Shelf, Source
from app.settings import Settings
from tools.space import answered, free_port

ROOT = Path(__file__).resolve().parents[2]
SHOTS = ROOT / "screenshots"
PATIENCE = 120_000  # milliseconds; a machine may be busy with other things
FAILED = pytest.StashKey[bool]()
BROWSER = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync"
).split()


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """Serve the page in a process of its own, started from another folder; give its address and the process."""
    port = free_port()
    where = tmp_path_factory.mktemp("served")
    command = [sys.executable, str(Path(__file__).with_name("served.py")), str(port)]
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


@pytest.fixture
def forget(served: tuple[str, "subprocess.Popen[bytes]"]) -> Callable[[], None]:
    """Give a function that makes the server forget every visit."""
    return lambda: served[1].send_signal(signal.SIGUSR1)


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
    """Opens the page for new visitors, and collects errors and requests to other addresses."""

    def __init__(self, browser: Any, address: str) -> None:
        self.browser, self.address = browser, address
        self.contexts: list[Any] = []
        self.complaints: list[str] = []
        self.leaving = False
        """Requests that are under way when a page is left fail, which Gradio reports as errors."""

    def __call__(self, **options: Any) -> Any:
        """Open the page and wait until it is ready."""
        given = {"viewport": {"width": 1280, "height": 900}, "locale": "en-US", "reduced_motion": "reduce", **options}
        context = self.browser.new_context(**given)
        context.set_default_timeout(PATIENCE)
        self.contexts.append(context)
        page = context.new_page()
        page.on("console", self.heard)
        page.on("pageerror", lambda error: self.complain(f"error: {error}"))
        page.on("request", self.asked)
        page.goto(self.address)
        page.locator("#inspector h2").wait_for()
        return page

    def reload(self, page: Any) -> None:
        """Load a page anew, also while something is under way."""
        self.leaving = True
        page.reload()
        self.leaving = False

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
            context.close()


@pytest.fixture
def visit(request: pytest.FixtureRequest, browser: Any, address: str) -> Iterator[Visitors]:
    """Give a function that opens the page as a new visitor; afterwards nothing foreign may have been asked for."""
    visitors = Visitors(browser, address)
    yield visitors
    visitors.leave(request.node.name if request.node.stash.get(FAILED, False) else None)
    assert not visitors.complaints, "\n".join(visitors.complaints)


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
def tiny_zip(tiny_folder: Callable[..., Path], tmp_path: Path) -> Callable[..., Path]:
    """Give a function that writes a tiny checkpoint as a zip, called `name`."""

    def write(name: str = "tiny", **options: Any) -> Path:
        tiny_folder(**options).rename(tmp_path / name)
        return Path(shutil.make_archive(str(tmp_path / f"{name}-upload"), "zip", tmp_path, name))

    return write

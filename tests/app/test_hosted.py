"""A hosted page: built without torch and telemetry, one queue for heavy work, and no way to its files."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tools.space import answered, free_port

ROOT = Path(__file__).resolve().parents[2]
RECIPE = "steps: [{method: l1_unstructured, fraction: 0.5, select: {roles: [attention.key]}}]"
STARTED = """
import json, os, sys, time
from types import SimpleNamespace
sys.path.insert(0, {root!r})
from app import main, runtime
from tests.app import quick_gradio
from app.settings import Settings
from app.store import Store
def run(self, key, progress=None):
    report = progress or self.timed()
    print("began", key.seed, flush=True)
    while os.path.exists("hold"):
        time.sleep(0.05)
        report(0.5, "")
    print("ended", key.seed, flush=True)
    return SimpleNamespace(notes=(), report=SimpleNamespace(to_dict=dict))
blocks = main.build(Settings())
print("built", json.dumps({{
    "events": len(blocks.fns),
    "slow": [name for name in ("torch", "transformers") if name in sys.modules],
    "telemetry": [os.environ["GRADIO_ANALYTICS_ENABLED"], os.environ["HF_HUB_DISABLE_TELEMETRY"]],
}}), flush=True)
Store.run, runtime.warm_up, runtime.wait_until_warm = run, lambda: None, lambda: None
main.main("127.0.0.1", {port}, open_browser=False)
"""
"""While there is a file `hold` in its folder, no run goes on."""


class Page:
    """A hosted page whose runs can be held, and a log of what it did."""

    def __init__(self, address: str, log: Path) -> None:
        self.address, self.log = address, log
        self.client = httpx.Client(base_url=address, timeout=60)

    def call(self, verb: str, *values: object, session: str = "visitor") -> str:
        """Queue a call, and return the address of its stream."""
        body = {"data": values, "session_hash": session}
        answer = self.client.post(f"gradio_api/call/{verb}", json=body)
        answer.raise_for_status()
        return f"gradio_api/call/{verb}/{answer.json()['event_id']}"

    def prune(self, seed: int) -> str:
        """Queue a run by a visitor of its own."""
        return self.call("prune", "demo", RECIPE, seed, "", session=f"visitor{seed}")

    def wait(self, stream: str) -> str:
        """Wait for the end of a call, and return the answer."""
        return self.client.get(stream).text

    def leave(self, stream: str) -> None:
        """Open a run's stream, close the connection while the run waits, and see that nobody waits any more."""
        with httpx.Client(base_url=self.address) as gone, gone.stream("GET", stream, timeout=0.3) as lines:
            try:
                for _ in lines.iter_raw():
                    break
            except httpx.ReadTimeout:
                pass
        while self.client.get("gradio_api/queue/status").json()["queue_size"]:
            time.sleep(0.05)

    def said(self, *words: str) -> list[str]:
        """List the lines of the log that begin with one of these words."""
        return [line for line in self.log.read_text().splitlines() if line.startswith(words)]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    where, port = tmp_path_factory.mktemp("queue"), free_port()
    given = {key: value for key, value in os.environ.items() if not key.startswith(("GRADIO", "HF_"))}
    environ = {**given, "SYSTEM": "spaces", "SPACE_ID": "me/page", "TMPDIR": str(where)}
    log = where / "log.txt"
    code = STARTED.format(root=str(ROOT), port=port)
    with log.open("w") as sink:
        served = subprocess.Popen([sys.executable, "-c", code], cwd=where, env=environ, stdout=sink, stderr=sink)
    running = Page(answered(f"http://127.0.0.1:{port}/", served, log), log)
    try:
        assert "complete" in running.wait(running.prune(0)), log.read_text()[-2000:]  # everything is loaded now
        yield running
    finally:
        running.client.close()
        served.terminate()
        served.wait(120)
    assert not list(where.glob("bertprune-*"))


@pytest.fixture(scope="module")
def built(page: Page) -> dict[str, Any]:
    """Give what the page looked like when it was built."""
    (line,) = page.said("built")
    return dict(json.loads(line.removeprefix("built ")))


def test_the_page_is_built_without_torch_and_without_telemetry(built: dict[str, Any]) -> None:
    assert built["slow"] == []
    assert built["telemetry"] in (["False", "1"], ["False", "True"])


def test_there_are_few_events(built: dict[str, Any]) -> None:
    assert built["events"] < 30


def test_runs_are_made_one_by_one_and_those_of_visitors_who_left_are_dropped(page: Page) -> None:
    hold = page.log.with_name("hold")
    hold.touch()
    first, left = page.prune(1), page.prune(2)
    page.leave(left)
    hold.unlink()
    streams = [first, page.prune(3), page.prune(4)]
    threads = [threading.Thread(target=page.wait, args=(stream,)) for stream in streams]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert page.said("began", "ended")[2:] == ["began 1", "ended 1", "began 3", "ended 3", "began 4", "ended 4"]


def test_no_file_of_the_server_can_be_downloaded(page: Page, tmp_path: Path) -> None:
    secret = tmp_path / "secret.json"
    secret.write_text("secret")
    for path in (secret, "/etc/passwd", "/proc/self/environ", ROOT / "app" / "main.py"):
        for way in ("file=", "file/", "stream/", "proxy="):
            assert page.client.get(f"gradio_api/{way}{path}").status_code >= 400, f"{way}{path}"


def test_no_call_reads_a_path_of_the_server(page: Page) -> None:
    for source in ("/etc", "../demo", "./app", "file:///etc/passwd", str(ROOT / "bertprune/demo/sentiment")):
        answer = page.wait(page.call("load", source))
        assert "event: error" in answer, source
        assert "Hub id" in answer, answer
        assert str(ROOT) not in json.loads(answer.partition("data: ")[2])["error"].replace(source, "")


def test_no_upload_names_a_path_of_the_server(page: Page) -> None:
    config = page.client.get("config").json()
    uploads = [
        part["id"]
        for part in config["components"]
        if part["type"] in ("uploadbutton", "file") and part["props"].get("label") != "zip"
    ]
    events = [one for one in config["dependencies"] if any(target in uploads for target, _ in one["targets"])]
    assert events
    for event in events:
        data = [
            [{"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}] if part in uploads else None
            for part in event["inputs"]
        ]
        body = {"data": data, "fn_index": event["id"], "session_hash": "thief"}
        page.client.post("gradio_api/queue/join", json=body).raise_for_status()
        with page.client.stream("GET", "gradio_api/queue/data?session_hash=thief") as lines:
            answer = next(line for line in lines.iter_lines() if "process_completed" in line)
        assert '"success":false' in answer
        assert "root:" not in answer

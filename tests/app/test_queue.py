"""The one queue for heavy work: who left is not waited for, who comes too many is told so."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tools.space import answered, free_port

ROOT = Path(__file__).resolve().parents[2]
RECIPE = "steps: [{method: l1_unstructured, fraction: 0.5, select: {roles: [attention.key]}}]"
SLOW = """
import sys, time
sys.path.insert(0, {root!r})
from app.main import main
from app.session import Shelf
def run(self, done, progress=None):
    tell = progress or self.timed()
    print("began", done.seed, flush=True)
    for _ in range(40):
        time.sleep(0.1)
        tell(0.5, "")
    print("ended", done.seed, flush=True)
    return real(self, done)
real, Shelf.run = Shelf.run, run
main("127.0.0.1", {port}, open_browser=False)
"""


class Page:
    """A hosted page whose every run takes four seconds, and what it did."""

    def __init__(self, address: str, log: Path) -> None:
        self.address, self.log = address, log
        self.client = httpx.Client(base_url=address, timeout=60)

    def ask(self, seed: int) -> str:
        """Queue a run, and return the address of its stream."""
        body = {"data": ["demo", RECIPE, seed], "session_hash": f"visitor{seed}"}
        told = self.client.post("gradio_api/call/prune", json=body)
        told.raise_for_status()
        return f"gradio_api/call/prune/{told.json()['event_id']}"

    def wait(self, stream: str) -> str:
        """Wait for the end of a run, and return what was said."""
        return self.client.get(stream).text

    def leave(self, stream: str) -> None:
        """Open a run's stream, and close the connection while the run waits."""
        with httpx.Client(base_url=self.address) as gone, gone.stream("GET", stream, timeout=0.3) as lines:
            try:
                for _ in lines.iter_raw():
                    break
            except httpx.ReadTimeout:
                pass

    def did(self, what: str) -> list[int]:
        """List the seeds whose runs began or ended."""
        lines = [line.split() for line in self.log.read_text().splitlines()]
        return [int(line[1]) for line in lines if line[:1] == [what]]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    where, port = tmp_path_factory.mktemp("queue"), free_port()
    environ = {**os.environ, "SYSTEM": "spaces", "SPACE_ID": "me/page", "TMPDIR": str(where)}
    log = where / "log.txt"
    code = SLOW.format(root=str(ROOT), port=port)
    with log.open("w") as sink:
        served = subprocess.Popen([sys.executable, "-c", code], cwd=where, env=environ, stdout=sink, stderr=sink)
    asked = Page(answered(f"http://127.0.0.1:{port}/", served, log), log)
    try:
        assert "complete" in asked.wait(asked.ask(0)), log.read_text()[-2000:]  # everything is loaded now
        yield asked
    finally:
        asked.client.close()
        served.terminate()
        served.wait(30)
    assert not list(where.glob("bertprune-*"))


def test_waiting_work_of_a_visitor_who_left_is_dropped(page: Page) -> None:
    first = page.ask(1)
    left = page.ask(2)
    page.leave(left)
    stayed = page.ask(3)
    assert "complete" in page.wait(first)
    assert "complete" in page.wait(stayed)
    assert 2 not in page.did("began")
    assert page.did("ended") == [0, 1, 3]


def test_runs_are_made_one_by_one(page: Page) -> None:
    streams = [page.ask(seed) for seed in (4, 5)]
    started = time.monotonic()
    threads = [threading.Thread(target=page.wait, args=(stream,)) for stream in streams]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - started > 7


def test_no_file_of_the_server_is_handed_out(page: Page, tmp_path: Path) -> None:
    secret = tmp_path / "secret.json"
    secret.write_text("secret")
    for path in (secret, "/etc/passwd", ROOT / "space.yaml", ROOT / "app" / "main.py"):
        for way in ("file=", "file/", "stream/", "proxy="):
            told = page.client.get(f"gradio_api/{way}{path}")
            assert told.status_code >= 400, f"{way}{path}"
    assert page.client.get("gradio_api/file=/proc/self/environ").status_code >= 400


@pytest.mark.parametrize(
    "source", ["/etc", "../demo", "./app", "file:///etc/passwd", str(ROOT / "bertprune/demo/sentiment")]
)
def test_no_call_reads_a_path_of_the_server(page: Page, source: str) -> None:
    for verb, more in (("load", []), ("preview", [RECIPE]), ("prune", [RECIPE, 0]), ("inspect", ["", "", 0])):
        told = page.client.post(f"gradio_api/call/{verb}", json={"data": [source, *more]}).json()
        said = page.wait(f"gradio_api/call/{verb}/{told['event_id']}")
        assert "event: error" in said, f"{verb} {source}"
        assert "id of" in said or "not a revision" in said, said
        assert str(ROOT) not in json.loads(said.partition("data: ")[2])["error"].replace(source, "")


def test_nor_does_an_upload_that_names_one(page: Page) -> None:
    config = page.client.get("config").json()
    uploads = [part["id"] for part in config["components"] if part["type"] == "uploadbutton"]
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
            said = next(line for line in lines.iter_lines() if "process_completed" in line)
        assert '"success":false' in said
        assert "root:" not in said

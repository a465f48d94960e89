"""What a page for strangers asks of the library: no path of the machine, nothing too large, no wait without an end."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from hub_stand import Stand, reach
from huggingface_hub import constants

import bertprune as bp
from bertprune.checkpoint import hub as hub_module
from bertprune.errors import CheckpointError, TooLargeError

PATHS = [
    "/etc",
    "/etc/passwd",
    "./here",
    "../x",
    "~",
    "~/x",
    "a/b/c",
    "x\\y",
    "C:x",
    "file:///etc",
    "m.safetensors",
    "..",
]


@pytest.mark.parametrize("given", [*PATHS, Path("tiny"), Path("/etc")])
def test_where_no_path_is_taken_none_is_looked_at(given, monkeypatch):
    monkeypatch.setattr(Path, "exists", lambda self: pytest.fail("the disk was asked"))
    with pytest.raises(CheckpointError, match=r"paths are not taken here|names no checkpoint"):
        bp.Checkpoint.open(given, local=False)
    with pytest.raises(CheckpointError, match="paths are not taken here"):
        bp.Checkpoint.open("kobert-shape").tokenizer(given, local=False)


@pytest.mark.parametrize("given", ["tiny", "org/tiny"])
def test_a_folder_that_lies_here_is_not_taken_for_an_id(given, tiny_folder, tmp_path, monkeypatch):
    folder = tiny_folder("BertModel")
    (tmp_path / "org").mkdir()
    monkeypatch.chdir(tmp_path)
    (tmp_path / given).symlink_to(folder)
    assert bp.Checkpoint.open(given).facts.architecture == "BertModel"
    with pytest.raises(CheckpointError, match="Hub cannot be reached") as told:
        bp.Checkpoint.open(given, local=False)
    assert "folder" not in str(told.value)  # nor is one offered
    with pytest.raises(CheckpointError, match="Hub cannot be reached"):
        bp.Checkpoint.open("kobert-shape").tokenizer(given, local=False)


def test_names_and_ids_are_taken_without_paths(hub, tiny_folder):
    hub.models["org/tiny"] = tiny_folder("BertModel")
    assert bp.Checkpoint.open("org/tiny@v1", local=False).revision == "v1"
    assert bp.Checkpoint.open("kobert-shape", local=False).facts.model_type == "bert"


@pytest.mark.parametrize(("pickled", "sharded"), [(False, False), (False, True), (True, False), (True, True)])
def test_weights_too_large_are_refused_before_they_are_fetched(hub, tiny_folder, pickled, sharded):
    folder = hub.models["org/tiny"] = tiny_folder("BertModel", pickle=pickled, sharded=sharded)
    with pytest.raises(TooLargeError, match=r"org/tiny holds [\d,]+ bytes of weights; at most 9,000 are taken") as told:
        bp.Checkpoint.open("org/tiny", largest=9000)
    assert told.value.size > 9000
    assert not [asked for asked in hub.asked if asked.endswith((".bin", ".safetensors"))]
    with pytest.raises(TooLargeError):
        bp.Checkpoint.open(folder, largest=9000)
    assert bp.Checkpoint.open(folder, largest=10**9)


def test_small_files_that_are_large_are_not_fetched(hub, tiny_folder):
    folder = hub.models["org/tiny"] = tiny_folder("BertModel")
    with (folder / "config.json").open("ab") as file:
        file.truncate(hub_module.LARGEST_SMALL + 1)
    with pytest.raises(CheckpointError, match=r"config\.json is larger than 64 MiB, so it is not fetched"):
        bp.Checkpoint.open("org/tiny")
    assert not [asked for asked in hub.asked if "config.json" in asked]


def test_a_model_in_very_many_files_is_refused(hub, tiny_folder):
    folder = hub.models["org/tiny"] = tiny_folder("BertModel")
    (folder / "model.safetensors").unlink()
    names = {f"tensor{number}": f"model-{number:05}.safetensors" for number in range(1000)}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
    with pytest.raises(CheckpointError, match="lies in 1000 files; at most 64"):
        bp.Checkpoint.open("org/tiny")


class Faulty(Stand):
    """A Hub that answers, and then fails in the middle of the weights."""

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.fault = fault
        self.over = threading.Event()

    def close(self) -> None:
        self.over.set()
        super().close()

    def answer(self, to: BaseHTTPRequestHandler, body: bool) -> None:
        ranged = to.headers.get("Range", "").startswith("bytes=0-")
        if not body or "model.safetensors" not in to.path or ranged:
            super().answer(to, body)
            return
        to.send_response(200)
        to.send_header("Content-Length", "1000000")
        to.end_headers()
        to.wfile.write(b"x" * 1000)
        to.wfile.flush()
        if self.fault == "hangs":
            self.over.wait(30)
        to.close_connection = True


@pytest.fixture(params=["hangs", "cuts off"])
def faulty(request, monkeypatch, cache) -> Iterator[Faulty]:
    stand = Faulty(request.param)
    reach(monkeypatch, stand.url)
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 60)
    monkeypatch.setattr(hub_module, "PATIENCE", 1.0)
    yield stand
    stand.close()


def test_a_hub_that_fails_half_way_is_given_up_and_can_be_asked_again(faulty, tiny_folder, monkeypatch):
    faulty.models["org/tiny"] = tiny_folder("BertModel")
    checkpoint = bp.Checkpoint.open("org/tiny")
    started = time.monotonic()
    with pytest.raises(CheckpointError, match=r"org/tiny.*cannot be reached"):
        checkpoint.model()
    assert time.monotonic() - started < 20
    faulty.over.set()
    healthy = Stand()
    healthy.models = faulty.models
    reach(monkeypatch, healthy.url)
    monkeypatch.setattr(hub_module, "PATIENCE", 30.0)
    assert checkpoint.model() is not None
    healthy.close()


def test_whoever_waits_for_a_hub_that_hangs_can_leave(monkeypatch, tiny_folder, cache):
    stand = Faulty("hangs")
    reach(monkeypatch, stand.url)
    stand.models["org/tiny"] = tiny_folder("BertModel")
    checkpoint = bp.Checkpoint.open("org/tiny")

    class Enough(Exception):
        pass

    def stop(share: float, words: str) -> None:
        raise Enough

    started = time.monotonic()
    with pytest.raises(Enough):
        checkpoint.model(progress=stop)
    assert time.monotonic() - started < 5
    stand.close()


def test_a_name_server_that_is_silent_is_given_up(monkeypatch, cache):
    reach(monkeypatch, "http://hub.invalid")
    monkeypatch.setattr(socket, "getaddrinfo", lambda *given, **more: time.sleep(30))
    started = time.monotonic()
    with pytest.raises(CheckpointError, match="no answer within"):
        bp.Checkpoint.open("org/tiny", local=False)
    assert time.monotonic() - started < 4

"""A Hub that does not answer, or fails half-way: every wait ends, and the download can be tried again."""

import logging
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from types import SimpleNamespace

import pytest
from fake_hub import FakeHub, reach
from huggingface_hub import close_session, constants, file_download

import bertprune as bp
from bertprune.checkpoint import hub as hub_module
from bertprune.checkpoint import network


@pytest.fixture
def hasty(monkeypatch):
    """Wait for the Hub's first answer less long."""
    monkeypatch.setattr(hub_module, "CONNECT_TIMEOUT", 0.5)


@pytest.mark.usefixtures("hasty")
def test_a_hub_that_never_answers_is_given_up(monkeypatch, refused, kobert):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        reach(monkeypatch, f"http://127.0.0.1:{listening.getsockname()[1]}")
        error = refused("org/tiny")
    assert error.code == "checkpoint.hub_unreachable"
    assert "kobert-shape, a local folder" in str(error)


def test_a_closed_hub_is_given_up_and_what_is_cached_is_named(hub, tiny_folder, monkeypatch, refused, caplog):
    hub.models["org/tiny"] = tiny_folder("BertModel")
    bp.Checkpoint.open("org/tiny").load()
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    reach(monkeypatch, f"http://127.0.0.1:{port}")
    with caplog.at_level(logging.WARNING):
        error = refused("org/other")
    assert "(such as org/tiny)" in str(error)
    assert error.values["reason"].code == "checkpoint.no_connection" and "Errno" not in str(error)
    assert "Retrying" not in caplog.text
    assert bp.Checkpoint.open("org/tiny").load() is not None


@pytest.mark.usefixtures("hasty")
def test_a_name_server_that_is_silent_is_given_up(monkeypatch, refused):
    reach(monkeypatch, "http://hub.invalid")
    answer = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *given, **more: answer.wait(30))
    try:
        assert refused("org/tiny").values["reason"].code == "checkpoint.no_answer"
    finally:
        answer.set()


def test_offline_mode_is_respected(hub, tiny_folder, monkeypatch, refused):
    hub.models["org/tiny"] = tiny_folder("BertModel")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert refused("org/tiny").values["reason"].code == "checkpoint.offline"
    assert hub.asked == []


def test_a_wait_ends_even_where_the_call_does_not():
    over = threading.Event()
    with pytest.raises(TimeoutError):
        network.with_timeout(0.2, lambda: over.wait(60))
    over.set()
    assert network.with_timeout(5, lambda: 3) == 3
    with pytest.raises(ZeroDivisionError):
        network.with_timeout(5, lambda: 1 // 0)


class Faulty(FakeHub):
    """A Hub that answers, and then fails in the middle of the weights."""

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.fault = fault
        self.over = threading.Event()

    def close(self) -> None:
        """Let what was given up come to its end, lest its attempts disturb what comes after it."""
        self.over.set()
        for thread in threading.enumerate():
            if thread.name == "hub":
                thread.join(20)
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
            self.over.wait(60)
        to.close_connection = True


@pytest.fixture
def hurried(monkeypatch):
    """Take away the pauses between the attempts of the Hub's client."""
    without_pauses = SimpleNamespace(**{**vars(time), "sleep": lambda seconds: None})
    monkeypatch.setattr(file_download, "time", without_pauses)


@pytest.fixture(params=["hangs", "cuts off"])
def faulty(request, monkeypatch, cache, hurried) -> Iterator[Faulty]:
    fake = Faulty(request.param)
    reach(monkeypatch, fake.url)
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 60)
    monkeypatch.setattr(hub_module, "STALL_TIMEOUT", 0.5)
    yield fake
    fake.close()


def test_a_hub_that_fails_half_way_is_given_up_and_can_be_asked_again(faulty, tiny_folder, monkeypatch, refused):
    faulty.models["org/tiny"] = tiny_folder("BertModel")
    checkpoint = bp.Checkpoint.open("org/tiny")
    assert refused(checkpoint.model).code == "checkpoint.hub_unreachable"
    assert not faulty.over.is_set()  # it was not the server that ended the wait
    faulty.over.set()
    healthy = FakeHub()
    healthy.models = faulty.models
    reach(monkeypatch, healthy.url)
    monkeypatch.setattr(hub_module, "STALL_TIMEOUT", 30.0)
    assert checkpoint.model() is not None
    healthy.close()


def test_waiting_for_a_hub_that_hangs_can_be_cancelled(monkeypatch, tiny_folder, cache, hurried):
    fake = Faulty("hangs")
    reach(monkeypatch, fake.url)
    fake.models["org/tiny"] = tiny_folder("BertModel")
    checkpoint = bp.Checkpoint.open("org/tiny")

    class Enough(Exception):
        pass

    def stop(share: float, words: str) -> None:
        raise Enough

    with pytest.raises(Enough):
        checkpoint.model(progress=stop)
    assert not fake.over.is_set()  # the wait ended although the download still hangs
    fake.close()


class CutOff(FakeHub):
    """A Hub whose client is closed while it waits for the first answers about each file."""

    def __init__(self) -> None:
        super().__init__()
        self.cuts: Counter[str] = Counter()

    def answer(self, to: BaseHTTPRequestHandler, body: bool) -> None:
        if self.cuts[to.path] == 3:
            super().answer(to, body)
            return
        self.cuts[to.path] += 1
        close_session()
        with suppress(ConnectionError):
            super().answer(to, body)


def test_a_call_goes_on_where_another_thread_closes_the_client_of_all(monkeypatch, tiny_folder, cache):
    fake = CutOff()
    reach(monkeypatch, fake.url)
    fake.models["org/tiny"] = tiny_folder("BertModel", sharded=True)
    assert bp.Checkpoint.open("org/tiny").model() is not None
    assert any("model-00001" in path for path in fake.cuts)
    fake.close()

"""Models of the Hub: from the cache, from a Hub that works (a stand-in on loopback), and from one that does not."""

import logging
import socket
import time
from collections.abc import Iterator

import pytest
from checkpoint_files import alike, contents
from hub_stand import COMMIT, reach
from huggingface_hub import constants

import bertprune as bp
from bertprune.checkpoint import network
from bertprune.errors import CheckpointError


@pytest.fixture
def silent_hub(monkeypatch) -> Iterator[None]:
    """Give a Hub that takes connections and never answers."""
    listening = socket.create_server(("127.0.0.1", 0))
    reach(monkeypatch, f"http://127.0.0.1:{listening.getsockname()[1]}")
    yield
    listening.close()


@pytest.mark.parametrize("sharded", [False, True])
def test_facts_come_from_headers_and_weights_when_they_are_needed(hub, tiny_folder, cache, sharded):
    folder = hub.models["org/tiny"] = tiny_folder("BertForMaskedLM", sharded=sharded)
    checkpoint = bp.Checkpoint.open("org/tiny")
    local = bp.Checkpoint.open(folder)
    assert (checkpoint.name, checkpoint.hub_id, checkpoint.revision) == ("org/tiny", "org/tiny", None)
    assert sorted(fact.name for fact in checkpoint.facts.tensors) == sorted(fact.name for fact in local.facts.tensors)
    assert (checkpoint.facts.bytes, checkpoint.facts.files) == (local.facts.bytes, local.facts.files)
    assert not list(cache.rglob("*.safetensors"))
    shares: list[float] = []
    assert alike(checkpoint.load(progress=lambda share, words: shares.append(share)), local.load())
    assert shares
    assert all(0 <= share <= 1 for share in shares)
    assert {path.name for path in cache.glob("*/snapshots/*/*.safetensors")} == set(local.facts.files)


def test_what_is_cached_is_used_without_asking(hub, tiny_folder, monkeypatch):
    folder = hub.models["org/tiny"] = tiny_folder("BertModel")
    first = bp.Checkpoint.open("org/tiny")
    first.load()
    assert len(first.tokenizer()) == 97
    hub.asked.clear()
    again = bp.Checkpoint.open("org/tiny")
    assert alike(again.load(), bp.Checkpoint.open(folder).load())
    assert len(again.tokenizer()) == 97
    assert {path.name for path in again.tokenizer_files} == {"tokenizer.json", "tokenizer_config.json"}
    assert hub.asked == []
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert alike(bp.Checkpoint.open("org/tiny").load(), again.load())


def test_half_a_download_is_not_taken_for_the_whole(hub, tiny_folder):
    hub.models["org/tiny"] = tiny_folder("BertModel")
    bp.Checkpoint.open("org/tiny")  # the config alone is cached now
    hub.asked.clear()
    assert bp.Checkpoint.open("org/tiny").facts.parameters > 0
    assert any("model.safetensors" in asked for asked in hub.asked)


def test_torch_files_are_fetched_at_once(hub, tiny_folder):
    folder = hub.models["org/tiny"] = tiny_folder("BertModel", pickle=True)
    checkpoint = bp.Checkpoint.open("org/tiny")
    assert checkpoint.facts.files == ("pytorch_model.bin",)
    assert alike(checkpoint.load(), bp.Checkpoint.open(folder).load())


@pytest.mark.parametrize(("given", "revision"), [("org/tiny@v1", None), ("org/tiny", "v1"), ("org/tiny@v1", "v1")])
def test_a_revision_is_asked_for_and_remembered(hub, tiny_folder, given, revision):
    hub.models["org/tiny"] = tiny_folder("BertModel")
    checkpoint = bp.Checkpoint.open(given, revision=revision)
    assert (checkpoint.name, checkpoint.revision) == ("org/tiny", "v1")
    assert any("/revision/v1" in asked for asked in hub.asked)


def test_a_script_names_the_revision_that_was_pruned(hub, tiny_folder):
    hub.models["org/tiny"] = tiny_folder("BertModel")
    run = bp.prune("org/tiny@v1", bp.Step(method="random_unstructured", fraction=0.5, select="*key"))
    assert "BertModel.from_pretrained(CHECKPOINT, revision='v1', dtype=torch.float32)" in run.as_python()
    assert "CHECKPOINT = 'org/tiny@v1' " in run.as_python(ours=True)


def test_what_the_hub_refuses_is_said(hub, tiny_folder):
    with pytest.raises(CheckpointError, match="'org/nothing' is not on the Hub, or is private"):
        bp.Checkpoint.open("org/nothing")
    folder = hub.models["org/tiny"] = tiny_folder("BertModel")
    with pytest.raises(CheckpointError, match="'org/tiny' has no revision 'v9'"):
        bp.Checkpoint.open("org/tiny", revision="v9")
    with pytest.raises(CheckpointError, match="give one of them"):
        bp.Checkpoint.open("org/tiny@v1", revision="v2")
    (folder / "model.safetensors").write_bytes(b"\xff" * 64)
    with pytest.raises(CheckpointError, match="no valid safetensors file on the Hub"):
        bp.Checkpoint.open("org/tiny")
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="holds no weights on the Hub"):
        bp.Checkpoint.open("org/tiny")
    (folder / "config.json").unlink()
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        bp.Checkpoint.open("org/tiny")


def test_a_download_can_be_cancelled(hub, tiny_folder):
    hub.models["org/tiny"] = tiny_folder("BertModel")
    checkpoint = bp.Checkpoint.open("org/tiny")

    class Enough(Exception):
        pass

    def stop(share: float, words: str) -> None:
        assert "downloading model.safetensors" in words
        raise Enough

    with pytest.raises(Enough):
        checkpoint.load(progress=stop)
    assert checkpoint.load() is not None


def test_the_tokenizer_of_another_id_can_be_taken(hub, tiny_folder, kobert):
    hub.models["org/tiny"] = tiny_folder("BertModel")
    assert len(kobert.tokenizer("org/tiny")) == 97
    assert not any("GET" in asked and "model.safetensors" in asked for asked in hub.asked)


def test_a_tokenizer_that_cannot_be_fetched_keeps_nobody_from_exporting(hub, tiny_folder, monkeypatch):
    hub.models["org/tiny"] = tiny_folder("BertModel")
    checkpoint = bp.Checkpoint.open("org/tiny")
    checkpoint.load()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert checkpoint.tokenizer_files == ()
    with pytest.raises(CheckpointError, match="cannot be reached"):
        checkpoint.tokenizer()


def test_loading_writes_nothing_into_the_cache(hub, tiny_folder, cache):
    hub.models["org/tiny"] = tiny_folder("BertModel")
    bp.Checkpoint.open("org/tiny").load()
    snapshot = cache / "models--org--tiny" / "snapshots" / COMMIT
    before = contents(snapshot)
    bp.Checkpoint.open("org/tiny").load()
    assert contents(snapshot) == before


def unreachable(given: str) -> str:
    started = time.monotonic()
    with pytest.raises(CheckpointError) as told:
        bp.Checkpoint.open(given)
    assert time.monotonic() - started < 3
    return str(told.value)


def test_a_silent_hub_is_given_up_within_three_seconds(silent_hub, kobert):
    text = unreachable("org/tiny")
    assert "'org/tiny'" in text
    assert "cannot be reached" in text
    assert "kobert-shape, a local folder" in text


def test_a_closed_hub_is_given_up_at_once_and_what_is_cached_is_named(hub, tiny_folder, monkeypatch, caplog):
    hub.models["org/tiny"] = tiny_folder("BertModel")
    bp.Checkpoint.open("org/tiny").load()
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    reach(monkeypatch, f"http://127.0.0.1:{port}")
    with caplog.at_level(logging.WARNING):
        text = unreachable("org/other")
    assert "such as org/tiny" in text
    assert "Retrying" not in caplog.text
    assert bp.Checkpoint.open("org/tiny").load() is not None


def test_a_name_without_an_address_is_given_up(monkeypatch):
    reach(monkeypatch, "http://hub.invalid")
    assert "cannot be reached" in unreachable("org/tiny")


def test_offline_mode_is_respected(hub, tiny_folder, monkeypatch):
    hub.models["org/tiny"] = tiny_folder("BertModel")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "offline mode is set" in unreachable("org/tiny")
    assert hub.asked == []


def test_a_wait_ends_even_where_the_call_does_not():
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        network.within(0.2, lambda: time.sleep(5))
    assert time.monotonic() - started < 2
    assert network.within(5, lambda: 3) == 3
    with pytest.raises(ZeroDivisionError):
        network.within(5, lambda: 1 // 0)

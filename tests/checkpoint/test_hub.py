"""Models of the Hub: from the cache, or from a Hub that works (a fake one on loopback)."""

import json

import pytest
from checkpoint_files import alike, contents
from fake_hub import COMMIT
from huggingface_hub import constants

import bertprune as bp
from bertprune.checkpoint.companions import companion_files
from bertprune.checkpoint.hub import LARGEST_SMALL
from bertprune.errors import BertpruneWarning, TooLargeError


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
    assert hub.asked == []
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert alike(bp.Checkpoint.open("org/tiny").load(), again.load())


def test_a_partly_cached_model_is_not_taken_for_the_whole(hub, tiny_folder):
    hub.models["org/tiny"] = tiny_folder("BertModel")
    bp.Checkpoint.open("org/tiny")  # the config alone is cached now
    hub.asked.clear()
    assert bp.Checkpoint.open("org/tiny").facts.parameters > 0
    assert any("model.safetensors" in asked for asked in hub.asked)


def test_torch_files_are_downloaded_at_once(hub, tiny_folder):
    folder = hub.models["org/tiny"] = tiny_folder("BertModel", pickle=True)
    checkpoint = bp.Checkpoint.open("org/tiny")
    assert checkpoint.facts.files == ("pytorch_model.bin",)
    assert alike(checkpoint.load(), bp.Checkpoint.open(folder).load())


def test_a_revision_is_requested_and_recorded(hub, tiny_folder, subtests):
    folder = tiny_folder("BertModel")
    for name, given, revision in [("org/one", "@v1", None), ("org/two", "", "v1"), ("org/three", "@v1", "v1")]:
        with subtests.test(name):
            hub.models[name] = folder
            checkpoint = bp.Checkpoint.open(name + given, revision=revision)
            assert (checkpoint.name, checkpoint.revision) == (name, "v1")
            assert any(f"{name}/revision/v1" in asked for asked in hub.asked)


def test_a_script_names_the_revision_that_was_pruned(hub, tiny_folder):
    hub.models["org/tiny"] = tiny_folder("BertModel")
    run = bp.prune("org/tiny@v1", bp.Step(method="random_unstructured", fraction=0.5, select="*key"))
    assert "BertModel.from_pretrained(CHECKPOINT, revision='v1', dtype=torch.float32)" in run.as_python()
    assert "CHECKPOINT = 'org/tiny@v1' " in run.as_python(ours=True)


def test_what_the_hub_refuses_is_reported(hub, tiny_folder, refused):
    assert refused("org/nothing").code == "checkpoint.hub_not_found"
    folder = hub.models["org/tiny"] = tiny_folder("BertModel")
    assert str(refused("org/tiny", revision="v9")) == "'org/tiny' has no revision 'v9' on the Hub"
    assert refused("org/tiny@v1", revision="v2").code == "checkpoint.two_revisions"
    (folder / "model.safetensors").write_bytes(b"\xff" * 64)
    assert refused("org/tiny").code == "checkpoint.hub_not_safetensors"
    (folder / "model.safetensors").unlink()
    assert refused("org/tiny").code == "checkpoint.no_weights"
    (folder / "config.json").unlink()
    assert refused("org/tiny").code == "checkpoint.no_config"


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


def test_the_tokenizer_of_another_id_can_be_used(hub, tiny_folder, kobert):
    hub.models["org/tiny"] = tiny_folder("BertModel")
    assert len(kobert.tokenizer("org/tiny")) == 97
    assert not any("GET" in asked and "model.safetensors" in asked for asked in hub.asked)


def test_an_export_is_possible_without_a_tokenizer_that_cannot_be_downloaded(hub, tiny_folder, refused, monkeypatch):
    hub.models["org/tiny"] = tiny_folder("BertModel")
    checkpoint = bp.Checkpoint.open("org/tiny")
    checkpoint.load()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.warns(BertpruneWarning, match="cannot be reached to see whether more files"):
        assert companion_files(checkpoint.folder(), "tiny") == {}
    assert refused(checkpoint.tokenizer).code == "checkpoint.hub_unreachable"


def test_modules_that_are_known_and_cannot_be_downloaded_are_not_left_out(
    hub, sentence_folder, refused, monkeypatch, cache
):
    hub.models["org/tiny"] = sentence_folder(dense=True)
    checkpoint = bp.Checkpoint.open("org/tiny")
    snapshot = checkpoint.folder()
    (snapshot / "2_Dense" / "config.json").unlink()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert refused(checkpoint.folder).code == "checkpoint.hub_unreachable"


def test_loading_writes_nothing_into_the_cache(hub, tiny_folder, cache):
    hub.models["org/tiny"] = tiny_folder("BertModel")
    bp.Checkpoint.open("org/tiny").load()
    snapshot = cache / "models--org--tiny" / "snapshots" / COMMIT
    before = contents(snapshot)
    bp.Checkpoint.open("org/tiny").load()
    assert contents(snapshot) == before


def test_names_and_ids_are_accepted_where_paths_are_not(hub, tiny_folder):
    hub.models["org/tiny"] = tiny_folder("BertModel")
    assert bp.Checkpoint.open("org/tiny@v1", local=False).revision == "v1"
    assert bp.Checkpoint.open("kobert-shape", local=False).facts.model_type == "bert"


def test_weights_too_large_are_refused_before_they_are_downloaded(hub, tiny_folder, subtests):
    for pickled, sharded in [(False, False), (False, True), (True, False), (True, True)]:
        with subtests.test(f"pickled: {pickled}, sharded: {sharded}"):
            name = f"org/{pickled}-{sharded}"  # what was downloaded of one is not taken for another
            folder = hub.models[name] = tiny_folder("BertModel", pickle=pickled, sharded=sharded)
            with pytest.raises(TooLargeError) as caught:
                bp.Checkpoint.open(name, largest=9000)
            assert caught.value.values["size"] > caught.value.values["most"] == 9000
            assert not [asked for asked in hub.asked if asked.endswith((".bin", ".safetensors"))]
            with pytest.raises(TooLargeError, match=r"holds [\d,]+ bytes of weights; at most 9,000 are accepted"):
                bp.Checkpoint.open(folder, largest=9000)
            assert bp.Checkpoint.open(folder, largest=10**9)


def test_a_config_that_is_too_large_is_not_downloaded(hub, tiny_folder, refused):
    folder = hub.models["org/tiny"] = tiny_folder("BertModel")
    with (folder / "config.json").open("ab") as file:
        file.truncate(LARGEST_SMALL + 1)
    assert str(refused("org/tiny")) == "org/tiny: config.json is larger than 64 MiB, so it is not downloaded"
    assert not [asked for asked in hub.asked if "config.json" in asked]


def test_a_model_in_very_many_files_is_refused(hub, tiny_folder, refused):
    folder = hub.models["org/tiny"] = tiny_folder("BertModel")
    (folder / "model.safetensors").unlink()
    names = {f"tensor{number}": f"model-{number:05}.safetensors" for number in range(1000)}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
    assert refused("org/tiny").values == {"name": "org/tiny", "files": 1000, "most": 64}

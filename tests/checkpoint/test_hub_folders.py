"""Hub models of more than one folder, and our own exports on the Hub: they open as their local folders do."""

import json
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from checkpoint_files import alike
from huggingface_hub import constants

import bertprune as bp
from bertprune.errors import BertpruneWarning

KEYS = bp.Step(method="l1_unstructured", fraction=0.5, select="*.key")
OURS = {"README.md", "recipe.yaml", "report.json"}
PLACES = ("", "0_Transformer")
STORED = {
    "org/plain": {},
    "org/sharded": {"sharded": True},
    "org/pickled": {"pickle": True},
    "org/pickled-in-parts": {"pickle": True, "sharded": True},
}


def files_of(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_transformer_opens_wherever_it_lies(
    hub: Any, sentence_folder: Callable[..., Path], cache: Path, subtests: pytest.Subtests
) -> None:
    for (name, stored), inside in product(STORED.items(), PLACES):
        with subtests.test(name + inside):
            name += inside
            folder = hub.models[name] = sentence_folder(inside=inside, **stored)
            checkpoint, local = bp.Checkpoint.open(name), bp.Checkpoint.open(folder)
            assert (checkpoint.subfolder, checkpoint.facts.files) == (inside, local.facts.files)
            assert checkpoint.facts.bytes == local.facts.bytes
            assert not list(cache.rglob(f"*{name.partition('/')[2]}/**/*.safetensors"))
            assert alike(checkpoint.load(), local.load())
            assert len(checkpoint.tokenizer()) == 97


def test_what_is_cached_of_an_embedding_model_is_used_without_asking(
    hub: Any, sentence_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = hub.models["org/tiny"] = sentence_folder("cls", dense=True, inside="0_Transformer")
    result = bp.export(bp.prune("org/tiny", bp.Recipe(steps=[])), tmp_path / "out")
    assert set(result.files) - OURS == files_of(folder)
    hub.asked.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    run = bp.prune("org/tiny", KEYS)
    bp.export(run, tmp_path / "again")
    assert len(run.checkpoint.tokenizer()) == 97
    assert files_of(tmp_path / "again") - OURS == files_of(folder)
    assert hub.asked == []


def test_a_download_that_was_interrupted_is_finished(hub: Any, sentence_folder: Callable[..., Path]) -> None:
    folder = hub.models["org/tiny"] = sentence_folder("cls", inside="0_Transformer")
    snapshot = bp.Checkpoint.open("org/tiny").folder()
    assert snapshot is not None
    for path in ("0_Transformer/tokenizer.json", "1_Pooling/config.json"):
        (snapshot / path).unlink()
        assert (bp.Checkpoint.open("org/tiny").folder() or folder) / path in snapshot.rglob("*"), path


def test_the_tokenizer_alone_does_not_count_as_all_of_an_embedding_model(
    hub: Any, sentence_folder: Callable[..., Path]
) -> None:
    folder = hub.models["org/tiny"] = sentence_folder(normalize=True)
    modules = json.loads((folder / "modules.json").read_text())
    (folder / "modules.json").write_text(json.dumps([modules[0], modules[2]]))
    checkpoint = bp.Checkpoint.open("org/tiny")
    checkpoint.tokenizer()
    home = checkpoint.folder()
    assert home is not None and (home / "sentence_bert_config.json").exists()


def test_a_tokenizer_is_found_in_the_folder_of_its_transformer(
    hub: Any, sentence_folder: Callable[..., Path], kobert: Any
) -> None:
    hub.models["org/tiny"] = sentence_folder(inside="0_Transformer")
    assert len(kobert.tokenizer("org/tiny")) == 97


def test_a_script_says_where_the_transformer_lies(hub: Any, sentence_folder: Callable[..., Path]) -> None:
    folder = hub.models["org/tiny"] = sentence_folder(inside="0_Transformer")
    for source in ("org/tiny@v1", folder):
        assert "subfolder='0_Transformer', dtype=torch.float32)" in bp.prune(source, KEYS).as_python()


def test_a_masked_export_opens_with_its_steps(
    hub: Any, sentence_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = bp.prune(sentence_folder("cls", inside="0_Transformer"), KEYS)
    bp.export(run, tmp_path / "masked", "masked")
    hub.models["org/masked"] = tmp_path / "masked"
    checkpoint = bp.Checkpoint.open("org/masked")
    assert checkpoint.pruning is not None and checkpoint.pruning.recipe == run.recipe
    assert bp.preview(checkpoint, KEYS).steps[0].removed == (512, 512)
    assert bp.snapshot(checkpoint.load()) == run.after
    bp.export(checkpoint, tmp_path / "baked")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    again = bp.Checkpoint.open("org/masked")
    assert bp.snapshot(again.load()) == run.after
    bp.export(again, tmp_path / "cached")
    assert files_of(tmp_path / "cached") == files_of(tmp_path / "baked")


def test_masks_whose_making_cannot_be_asked_for_open_with_a_warning(
    hub: Any, tiny_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bp.export(bp.prune(tiny_folder("BertModel"), KEYS), tmp_path / "masked", "masked")
    hub.models["org/masked"] = tmp_path / "masked"
    first = bp.Checkpoint.open("org/masked")
    first.load()
    (first.paths[0].parent / "report.json").unlink()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.warns(BertpruneWarning, match="cannot be reached to see how the masks were made"):
        again = bp.Checkpoint.open("org/masked")
    assert bp.sparsity(again.load()).total.masked == 1024


def test_a_baked_export_is_named_as_one(hub: Any, tiny_folder: Callable[..., Path], tmp_path: Path) -> None:
    bp.export(bp.prune(tiny_folder("BertModel"), KEYS), tmp_path / "baked")
    hub.models["org/baked"] = tmp_path / "baked"
    for _ in range(2):  # downloaded, then cached
        checkpoint = bp.Checkpoint.open("org/baked")
        assert [note for note in checkpoint.facts.notes if note.startswith("An export without masks")]
        checkpoint.load()


def test_an_index_may_only_name_files_that_are_there(
    hub: Any, sentence_folder: Callable[..., Path], refused: Any
) -> None:
    folder = hub.models["org/tiny"] = sentence_folder(inside="0_Transformer", sharded=True)
    next((folder / "0_Transformer").glob("model-00002*")).unlink()
    assert refused("org/tiny").code == "checkpoint.missing_shard"

"""Weight files of a folder: which ones are read, and which are refused as incomplete or changed."""

import json
from itertools import product

import pytest
import torch
from checkpoint_files import alike, contents, store, stored

import bertprune as bp
from bertprune.checkpoint.json_files import first_line
from bertprune.errors import CheckpointError


def test_every_layout_of_files_gives_the_same_model(tiny_folder, subtests):
    plain = bp.Checkpoint.open(tiny_folder("BertForMaskedLM"))
    for sharded, pickle in product([False, True], repeat=2):
        with subtests.test(f"sharded: {sharded}, pickle: {pickle}"):
            checkpoint = bp.Checkpoint.open(tiny_folder("BertForMaskedLM", sharded=sharded, pickle=pickle))
            facts = checkpoint.facts
            assert alike(checkpoint.load(), plain.load())
            assert {(one.name, one.shape) for one in facts.tensors} == {(f.name, f.shape) for f in plain.facts.tensors}
            assert (len(facts.files) > 1) is sharded
            assert all(file.endswith(".bin") is pickle for file in facts.files)
            assert facts.bytes == sum(path.stat().st_size for path in checkpoint.paths)


def test_safetensors_win_over_torch_files(tiny_folder):
    folder, other = tiny_folder("BertModel"), tiny_folder("BertModel", pickle=True, seed=1)
    (other / "pytorch_model.bin").rename(folder / "pytorch_model.bin")
    assert bp.Checkpoint.open(folder).facts.files == ("model.safetensors",)


def test_a_single_file_uses_the_config_beside_it(tiny_folder):
    folder = tiny_folder("BertModel")
    renamed = folder / "weights.safetensors"
    (folder / "model.safetensors").rename(renamed)
    checkpoint = bp.Checkpoint.open(str(renamed))
    assert checkpoint.name == "weights.safetensors"
    assert alike(checkpoint.load(), bp.Checkpoint.open(tiny_folder("BertModel")).load())


def test_truncated_files_are_refused(tiny_folder, refused, subtests):
    for pickled, size in product([False, True], [5, 3000]):
        with subtests.test(f"pickled: {pickled}, {size} bytes"):
            folder = tiny_folder("BertModel", pickle=pickled)
            file = folder / ("pytorch_model.bin" if pickled else "model.safetensors")
            file.write_bytes(file.read_bytes()[:size])
            assert refused(folder).values["file"] == file.name


def test_folders_without_weights_or_config_are_refused(tiny_folder, refused, tmp_path):
    (tmp_path / "empty").mkdir()
    assert str(refused(tmp_path / "empty")).startswith("empty has no weights: ")
    folder = tiny_folder("BertModel")
    (folder / "config.json").unlink()
    assert refused(folder).code == "checkpoint.no_config"
    assert refused(folder / "model.safetensors").code == "checkpoint.no_config"


def test_a_folder_without_a_usual_weight_file_says_what_to_open(tiny_folder, refused, tmp_path):
    for number in (500, 1000, 90):
        tiny_folder("BertModel").rename(tmp_path / f"checkpoint-{number}")
    error = refused(tmp_path)
    assert error.code == "checkpoint.weights_inside" and "checkpoint-1000" in str(error)
    folder = tiny_folder("BertModel", pickle=True)
    (folder / "pytorch_model.bin").rename(folder / "best.pt")
    error = refused(folder)
    assert error.code == "checkpoint.which_weights" and "best.pt" in str(error)
    assert bp.Checkpoint.open(folder / "best.pt").facts.architecture == "BertModel"


def test_a_file_of_another_kind_is_refused(tiny_folder, refused):
    assert refused(tiny_folder("BertModel") / "config.json").code == "checkpoint.not_a_weight_file"


def test_an_index_cannot_point_elsewhere(folder, refused, subtests):
    for name in ["../x.safetensors", "/etc/passwd", "", 3, "a\0.bin", "x" * 5000 + ".bin"]:
        with subtests.test(repr(name)[:20]):
            (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
            assert refused(folder).code == "checkpoint.bad_shard_name"


def test_shards_must_be_complete_and_agree(tiny_folder, refused, subtests):
    for pickled in [False, True]:
        with subtests.test(f"pickled: {pickled}"):
            folder = tiny_folder("BertModel", sharded=True, pickle=pickled)
            first, second, *_ = sorted(folder.glob("*.bin" if pickled else "*.safetensors"))
            (index,) = folder.glob("*.index.json")
            assert refused(first).code == "checkpoint.single_shard"
            full = json.loads(index.read_text())
            full["weight_map"]["lost.weight"] = first.name
            index.write_text(json.dumps(full))
            assert refused(folder).values == {"index": index.name, "tensor": "lost.weight"}
            del full["weight_map"]["lost.weight"]
            index.write_text(json.dumps(full))
            kept = second.read_bytes()
            second.write_bytes(first.read_bytes())
            assert refused(folder).code == "checkpoint.tensor_in_two_files"
            second.write_bytes(kept)
            first.unlink()
            assert refused(folder).code == "checkpoint.missing_shard"
            index.write_text("{}")
            assert refused(folder).code == "checkpoint.no_weight_map"


def test_a_file_that_changed_since_it_was_opened_is_refused(tiny_folder):
    folder = tiny_folder("BertModel")
    checkpoint = bp.Checkpoint.open(folder)
    store(folder, {name: value.half() for name, value in stored(folder).items()})
    for _ in range(5):  # transformers reads in threads, which must not get in each other's way
        with pytest.raises(CheckpointError, match="open it again"):
            checkpoint.load()


def test_a_file_that_is_gone_since_it_was_opened_is_named(tiny_folder, refused, subtests):
    for pickled in [False, True]:
        with subtests.test(f"pickled: {pickled}"):
            folder = tiny_folder("BertModel", pickle=pickled)
            checkpoint = bp.Checkpoint.open(folder)
            file = folder / checkpoint.facts.files[0]
            file.unlink()
            assert str(refused(checkpoint.load)).startswith(f"{file.name} has changed since")


def test_nothing_is_written_and_no_path_is_kept(tiny_folder):
    folder = tiny_folder("BertForMaskedLM")
    before = contents(folder)
    for path in [folder, *folder.iterdir()]:
        path.chmod(0o555)
    checkpoint = bp.Checkpoint.open(folder)
    model = checkpoint.load()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    checkpoint.tokenizer()
    assert contents(folder) == before
    shown = json.dumps([checkpoint.config.to_dict(), model.config.to_dict(), str(checkpoint.facts), repr(checkpoint)])
    assert str(folder) not in shown


def test_reasons_show_one_line_and_no_path():
    assert first_line(OSError("cannot open /home/me/secret/model.bin: no")) == "cannot open model.bin: no"
    assert first_line(OSError("C:\\Users\\me\\model.bin is not there")) == "model.bin is not there"
    assert first_line(ValueError("first\nsecond")) == "first"
    assert first_line(ValueError("it says:\nsomething\nthe end")) == "it says: the end"
    assert str(first_line(KeyError("gelu2"))) == "'gelu2' is unknown"
    assert len(first_line(ValueError("x" * 1000))) == 200

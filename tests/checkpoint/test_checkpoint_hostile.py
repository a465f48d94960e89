"""Files and names that are broken or mean harm: one clear error each, quickly, without a path in it."""

import json
import os
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from checkpoint_files import ENTRY, configure, raw_safetensors, store, stored
from hypothesis import given, settings
from hypothesis import strategies as st

import bertprune as bp
from bertprune.checkpoint.headers import safetensors_header
from bertprune.checkpoint.pickled import load_tensors
from bertprune.checkpoint.reading import reason
from bertprune.errors import CheckpointError

pytestmark = pytest.mark.usefixtures("kobert")  # transformers is imported before anything is timed


@pytest.mark.parametrize(
    ("header", "data", "says"),
    [
        ("{" + ENTRY + "}", b"\0" * 4, "safetensors"),  # the data ends early
        ("{" + ENTRY.replace("[0,8]", "[0,800]") + "}", b"\0" * 8, "safetensors"),  # an offset past the end
        ("{" + ENTRY.replace("[2]", "[1000000]") + "}", b"\0" * 8, "safetensors"),  # a shape without room
        ("{" + ENTRY.replace("[2]", "[4294967296,4294967296,4294967296]") + "}", b"\0" * 8, "safetensors"),
        ("{" + ENTRY + "," + ENTRY.replace('"a"', '"b"') + "}", b"\0" * 8, "safetensors"),  # overlapping
        ("{" + ENTRY + "," + ENTRY + "}", b"\0" * 8, "twice"),
        ("{" + ENTRY.replace("F32", "Q4") + "}", b"\0" * 8, "safetensors"),
        ("{" + ENTRY.replace("[2]", "[-2]") + "}", b"\0" * 8, "safetensors"),
        ("[1,2]", b"", "JSON object"),
        ("{not json", b"", "not JSON"),
        ("[" * 100_000, b"", "not JSON"),
    ],
)
def test_lying_safetensors_headers_are_refused(folder, refused, header, data, says):
    raw_safetensors(folder / "model.safetensors", header, data)
    assert says in refused(folder)


@pytest.mark.parametrize("length", [0, 2**20, 2**40, 2**64 - 1])
def test_lying_header_lengths_are_refused(folder, refused, length):
    raw_safetensors(folder / "model.safetensors", "{" + ENTRY + "}", b"\0" * 8, length)
    assert "model.safetensors" in refused(folder)


@pytest.mark.parametrize("header", ["{}", '{"__metadata__":{"format":"pt"}}', "{" + ENTRY + "}"])
def test_a_file_that_holds_nothing_of_the_model_is_refused(folder, refused, header):
    configure(folder, num_hidden_layers=1)
    raw_safetensors(folder / "model.safetensors", header, b"\0" * 8 if ENTRY in header else b"")
    assert refused(folder) == "suspect holds none of the tensors that BertModel expects"


@pytest.mark.parametrize("size", [0, 5, 200, 3000])
@pytest.mark.parametrize("pickled", [False, True])
def test_truncated_files_are_refused(tiny_folder, refused, size, pickled):
    made = tiny_folder("BertModel", pickle=pickled)
    file = made / ("pytorch_model.bin" if pickled else "model.safetensors")
    file.write_bytes(file.read_bytes()[:size])
    assert file.name in refused(made)


class Harm:
    """Create a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_pickle_with_code_is_refused_and_not_run(folder, refused, legacy):
    harm = folder / "harmed"
    torch.save({"a": Harm(harm)}, folder / "pytorch_model.bin", _use_new_zipfile_serialization=not legacy)
    assert refused(folder).endswith("(weights_only=True): it is damaged, or holds code, which is never run")
    assert not harm.exists()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Harm(harm)))
    assert refused(folder).endswith("(weights_only=True): it is damaged, or holds code, which is never run")
    assert not harm.exists()


@pytest.mark.parametrize(
    ("value", "says"),
    [([torch.zeros(2)], "a list"), ({}, "a dict"), ({"a": 3}, "'a' is a int"), ({1: torch.zeros(2)}, "'1' is a")],
)
def test_torch_files_hold_tensors_by_name(folder, refused, value, says):
    torch.save(value, folder / "pytorch_model.bin")
    assert says in refused(folder)


def test_torch_files_cannot_claim_more_than_they_hold(folder, refused):
    torch.save({"a": torch.zeros(1).expand(10**6, 10**6)}, folder / "pytorch_model.bin")
    assert "more values than are stored" in refused(folder)
    torch.save({"a": torch.zeros(1000)}, folder / "honest.bin")
    with zipfile.ZipFile(folder / "honest.bin") as honest, zipfile.ZipFile(folder / "pytorch_model.bin", "w") as lie:
        for name in honest.namelist():
            data = honest.read(name)
            lie.writestr(name, data[:8] if name.endswith("data/0") else data)
    assert "pytorch_model.bin" in refused(folder)


def test_the_torch_format_of_old_is_read(tiny_folder):
    made = tiny_folder("BertModel", pickle=True)
    tensors = torch.load(made / "pytorch_model.bin", weights_only=True)
    torch.save(tensors, made / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    model = bp.Checkpoint.open(made).load()
    assert all(torch.equal(value, tensors[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("legacy", [False, True])
def test_every_plain_tensor_that_torch_writes_is_read(folder, legacy):
    kinds = "float64 float32 float16 bfloat16 int64 int32 int16 int8 uint8 bool complex64".split()
    kinds += [] if legacy else ["float8_e4m3fn", "uint16"]
    layer = torch.nn.utils.skip_init(torch.nn.Linear, 600, 600)
    torch.nn.init.ones_(layer.weight)
    saved = layer.state_dict(keep_vars=True)  # parameters, and what torch notes of a module
    saved.update({kind: torch.zeros(2, 3, dtype=getattr(torch, kind)) for kind in kinds})
    saved.update({"tied": saved["weight"], "view": saved["weight"].detach().t()[1:], "one": torch.tensor(1.0)})
    torch.save(saved, folder / "pytorch_model.bin", _use_new_zipfile_serialization=not legacy)
    for device in ("meta", "cpu"):
        read = load_tensors(folder / "pytorch_model.bin", device)
        assert {name: (one.shape, one.dtype) for name, one in read.items()} == {
            name: (one.shape, one.dtype) for name, one in saved.items()
        }
    assert torch.equal(read["weight"], saved["weight"])
    assert torch.equal(read["view"], saved["view"])


def test_folders_without_what_is_needed(tiny_folder, folder, refused, tmp_path):
    assert "holds no weights" in refused(folder)
    (tmp_path / "empty").mkdir()
    assert "empty holds no weights" in refused(tmp_path / "empty")
    made = tiny_folder("BertModel")
    (made / "config.json").unlink()
    assert "no config.json" in refused(made)
    assert "no config.json" in refused(made / "model.safetensors")


def test_a_masked_export_is_sent_to_load(folder, refused):
    raw_safetensors(folder / "masked.safetensors", "{" + ENTRY + "}", b"\0" * 8)
    assert refused(folder) == "suspect: this is a masked export: bp.load(folder) opens it"


@pytest.mark.parametrize(
    "name", ["../x.safetensors", "..", "/etc/passwd", "a\\b.bin", "", 3, "config.json", "a\0.bin", "x" * 5000 + ".bin"]
)
def test_an_index_cannot_point_elsewhere(folder, refused, name):
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
    assert "points to" in refused(folder)


def test_shards_must_be_all_there_and_agree(tiny_folder, refused):
    made = tiny_folder("BertModel", sharded=True)
    shards = sorted(made.glob("*.safetensors"))
    assert "one shard of several" in refused(shards[0])
    index = made / "model.safetensors.index.json"
    full = json.loads(index.read_text())
    full["weight_map"]["lost.weight"] = shards[0].name
    index.write_text(json.dumps(full))
    assert "'lost.weight', which no shard holds" in refused(made)
    del full["weight_map"]["lost.weight"]
    index.write_text(json.dumps(full))
    kept = shards[1].read_bytes()
    shards[1].write_bytes(shards[0].read_bytes())
    assert "and so does" in refused(made)
    shards[1].write_bytes(kept)
    shards[0].unlink()
    assert "which is not there" in refused(made)
    index.write_text("{}")
    assert "no weight_map" in refused(made)


def test_a_file_that_changed_since_it_was_opened_is_refused(tiny_folder):
    made = tiny_folder("BertModel")
    checkpoint = bp.Checkpoint.open(made)
    store(made, {name: value.half() for name, value in stored(made).items()})
    for _ in range(5):  # transformers reads in threads, which must not get in each other's way
        with pytest.raises(CheckpointError, match="open it again"):
            checkpoint.load()


@pytest.mark.parametrize("pickled", [False, True])
def test_a_file_that_is_gone_since_it_was_opened_is_named(tiny_folder, pickled):
    made = tiny_folder("BertModel", pickle=pickled)
    checkpoint = bp.Checkpoint.open(made)
    file = made / checkpoint.facts.files[0]
    file.unlink()
    with pytest.raises(CheckpointError, match=f"^{file.name} cannot be read") as told:
        checkpoint.load()
    assert str(made) not in str(told.value)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("", "names no checkpoint"),
        ("   ", "names no checkpoint"),
        ("a\0b", "names no checkpoint"),
        (None, "names no checkpoint"),
        (3, "names no checkpoint"),
        ("./nowhere", "'nowhere' does not exist here"),
        ("/x/nowhere", "'nowhere' does not exist here"),
        ("a/b/c", "'c' does not exist here"),
        ("weights.safetensors", "'weights.safetensors' does not exist here"),
        ("org/weights.bin", "'weights.bin' does not exist here"),
        ("~/nowhere", "'nowhere' does not exist here"),
        ("C:\\models\\bert", "does not exist here"),
        (Path("nowhere"), "'nowhere' does not exist here"),
        ("x" * 5000, "does not exist here"),
        ("two words", "neither a path here nor an id of the Hub"),
        ("<b>bold</b>", "neither a path here nor an id of the Hub"),
        ("org/na--me", "neither a path here nor an id of the Hub"),
        ("/dev/zero", "does not exist here"),
    ],
)
def test_names_that_name_nothing(refused, given, says):
    assert says in refused(given)


def test_a_revision_is_for_the_hub(tiny_folder, refused):
    assert "is for ids of the Hub" in refused(tiny_folder("BertModel"), revision="main")
    assert "is for ids of the Hub" in refused("kobert-shape", revision="main")
    assert "open already" in refused(bp.Checkpoint.open("kobert-shape"), revision="main")


def test_a_file_that_is_no_weight_file(tiny_folder, refused):
    assert "config.json is no weight file" in refused(tiny_folder("BertModel") / "config.json")


def test_reasons_give_no_path_away():
    assert reason(OSError("cannot open /home/me/secret/model.bin: no")) == "cannot open model.bin: no"
    assert reason(OSError("C:\\Users\\me\\model.bin is not there")) == "model.bin is not there"
    assert reason(ValueError("first\nsecond")) == "first"
    assert len(reason(ValueError("x" * 1000))) == 200


@settings(max_examples=100)
@given(st.binary(max_size=300), st.one_of(st.none(), st.integers(0, 2**64 - 1)))
def test_any_bytes_are_read_or_refused(tmp_path_factory, data, length):
    path = tmp_path_factory.getbasetemp() / "fuzz.safetensors"
    path.write_bytes(data if length is None else length.to_bytes(8, "little") + data)
    try:
        safetensors_header(path)
    except CheckpointError as error:
        assert "fuzz.safetensors" in str(error)

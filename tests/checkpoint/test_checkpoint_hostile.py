"""Checkpoints that are broken or mean harm: one clear error each, quickly, without a path in it."""

import json
import os
import pickle
import time
import zipfile
from pathlib import Path

import pytest
import torch
from checkpoint_files import CONFIG, configure, raw_safetensors, store, stored
from hypothesis import given, settings
from hypothesis import strategies as st

import bertprune as bp
from bertprune.checkpoint.headers import safetensors_header
from bertprune.checkpoint.reading import reason
from bertprune.errors import CheckpointError

ENTRY = '"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}'


@pytest.fixture(scope="module", autouse=True)
def warm():
    """Import transformers before anything is timed."""
    bp.Checkpoint.open("kobert-shape")


@pytest.fixture
def refused(tmp_path):
    """Give a function that opens what is refused, and returns the message after general checks."""

    def message(source, **options) -> str:
        started = time.thread_time()
        with pytest.raises(CheckpointError) as told:
            bp.Checkpoint.open(source, **options)
        text = str(told.value)
        assert time.thread_time() - started < 3  # 2 s on a machine of one's own
        assert "\n" not in text
        assert len(text) < 500
        assert str(tmp_path) not in text
        assert str(Path.cwd()) not in text
        return text

    return message


@pytest.fixture
def folder(tmp_path):
    """Give a folder that holds a good config and no weights."""
    made = tmp_path / "suspect"
    made.mkdir()
    (made / "config.json").write_text(json.dumps(CONFIG))
    return made


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
    assert "weights_only=True" in refused(folder)
    assert not harm.exists()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Harm(harm)))
    assert "weights_only=True" in refused(folder)
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


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"num_hidden_layers": 1_000_000_000}, "num_hidden_layers = 1000000000; at most 96"),
        ({"num_hidden_layers": 90}, "the files hold 39 tensors"),
        ({"num_hidden_layers": -1}, "a whole number"),
        ({"num_hidden_layers": "12"}, "a whole number"),
        ({"num_hidden_layers": 2.0}, "a whole number"),
        ({"num_hidden_layers": True}, "a whole number"),
        ({"hidden_size": 2**40}, "at most"),
        ({"vocab_size": 10**9}, "is stored as (97, 32)"),
        ({"max_position_embeddings": 10**9}, "is stored as (32, 32)"),
        ({"intermediate_size": 65}, "encoder.layer.0.intermediate.dense.bias"),
        ({"num_labels": 10**9}, "num_labels"),
        ({"hidden_size": 0}, "suspect"),
        ({"num_attention_heads": 0}, "suspect"),
        ({"num_attention_heads": 7}, "suspect"),
        ({"hidden_act": "no_such"}, "suspect"),
        ({"model_type": "no_such"}, "'no_such'"),
        ({"model_type": 3}, "model_type 3"),
        ({"model_type": "roberta"}, "do not fit"),
        ({"model_type": None, "architectures": None, "hidden_size": 32}, None),
        ({"quantization_config": {"quant_method": "gptq"}}, "gptq"),
    ],
)
def test_configs_that_cannot_be_are_refused(tiny_folder, tmp_path, refused, changes, says):
    made = tiny_folder("BertModel").rename(tmp_path / "suspect")
    configure(made, **changes)
    if says is None:
        assert bp.Checkpoint.open(made).facts.model_type == "bert"
    else:
        assert says in refused(made)


def test_layers_cannot_hide_in_another_key(tiny_folder, refused):
    made = tiny_folder("BertModel")
    nested = {"model_type": "encoder-decoder", "architectures": ["EncoderDecoderModel"], "encoder": CONFIG}
    (made / "config.json").write_text(json.dumps({**nested, "decoder": {**CONFIG, "num_hidden_layers": 10**9}}))
    assert "num_hidden_layers" in refused(made)
    hidden = {"model_type": "swin", "architectures": ["SwinModel"], "depths": [10**9]}
    (made / "config.json").write_text(json.dumps(hidden))
    assert "depths = 1000000000; at most 65,536" in refused(made)
    (made / "config.json").write_text(json.dumps({**hidden, "depths": [400]}))
    assert "more modules" in refused(made)


def test_a_huge_tensor_cannot_hide_by_being_missing(tiny_folder, refused):
    made = tiny_folder("BertModel")
    tensors = stored(made)
    del tensors["embeddings.word_embeddings.weight"]
    store(made, tensors)
    configure(made, vocab_size=10**9)
    assert "asks for 32,0" in refused(made)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{not json", "not JSON"),
        ("[1]", "holds a list"),
        ('"text"', "holds a str"),
        ("null", "holds a NoneType"),
        ('{"model_type": "bert", "model_type": "roberta"}', "'model_type' twice"),
        ('{"a": {"b": 1, "b": 2}}', "'b' twice"),
        ("\ufeff{}\udcff", "not JSON"),
        ("[" * 200_000, "not JSON"),
        ('{"a": "' + "x" * 9_000_000 + '"}', "larger than 8 MiB"),
        ("{}", "neither model_type nor architectures"),
    ],
)
def test_config_files_that_are_none(folder, refused, text, says):
    raw_safetensors(folder / "model.safetensors", "{" + ENTRY + "}", b"\0" * 8)
    (folder / "config.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert says in refused(folder)


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


@pytest.mark.parametrize("name", ["../model.safetensors", "/etc/passwd", "a\\b", "", 3])
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

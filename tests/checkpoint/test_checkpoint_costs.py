"""Files that would cost minutes, gigabytes or secrets: refused in two seconds, by one line."""

import json
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from checkpoint_files import ENTRY, configure, raw_safetensors, set_tokenizer

import bertprune as bp
from bertprune.checkpoint.headers import MOST_TENSORS
from bertprune.errors import CheckpointError
from tests.conftest import cheaply

INTEGERS = b"\x80\x02]q\x00(" + b"K\x01" * 3_000_000 + b"e."

pytestmark = pytest.mark.usefixtures("kobert")  # transformers is imported before anything is timed


def refused(act: Callable[[], object], seconds: float = 2.5, most: int = 200_000_000) -> str:
    """Return the one line of a refusal that comes soon and takes little memory."""
    with cheaply(seconds, most), pytest.raises(CheckpointError) as told:
        act()
    text = str(told.value)
    assert "\n" not in text and len(text) < 500
    return text


def zipped(path: Path, pickled: bytes, entries: int = 0, method: int = zipfile.ZIP_STORED) -> None:
    """Write a torch file whose pickle is another one, with some more entries."""
    torch.save({"a": torch.zeros(2)}, path)
    with zipfile.ZipFile(path) as honest:
        parts = {name: honest.read(name) for name in honest.namelist()}
    with zipfile.ZipFile(path, "w", method) as lie:
        for name, data in parts.items():
            lie.writestr(name, pickled if name.endswith("data.pkl") else data)
        for number in range(entries):
            lie.writestr(f"archive/data/{number}", b"")


def test_a_pickle_of_millions_of_instructions(folder):
    path = folder / "pytorch_model.bin"
    for content in (INTEGERS, b"\x80\x02" + b"]" * 3_000_000 + b"."):
        path.write_bytes(content)
        assert "more than tensors by name" in refused(lambda: bp.Checkpoint.open(folder))
    zipped(path, INTEGERS)
    assert "more than tensors by name" in refused(lambda: bp.Checkpoint.open(folder))
    zipped(path, bytes(300_000_000), method=zipfile.ZIP_DEFLATED)
    assert "more than tensors by name" in refused(lambda: bp.Checkpoint.open(folder))


def test_a_torch_file_of_very_many_entries(folder):
    zipped(folder / "pytorch_model.bin", b"", entries=2 * MOST_TENSORS)
    assert "more files than tensors" in refused(lambda: bp.Checkpoint.open(folder))
    zipped(folder / "pytorch_model.bin", b"", entries=100_000)
    assert "more files than tensors" in refused(lambda: bp.Checkpoint.open(folder))


def test_an_array_of_bytes_as_large_as_a_disk(folder):
    class Huge:
        def __init__(self, size):
            self.size = size

        def __reduce__(self):
            return bytearray, (self.size,)

    for size in (10**9, 10**12):
        torch.save({"a": Huge(size)}, folder / "pytorch_model.bin")
        assert "holds code" in refused(lambda: bp.Checkpoint.open(folder))


def text(word: bytes) -> bytes:
    return b"X" + len(word).to_bytes(4, "little") + word


def number(value: int) -> bytes:
    written = value.to_bytes((value.bit_length() + 8) // 8, "little")
    return b"\x8a" + bytes([len(written)]) + written


NESTED = b"K\x01q\x00" + b"h\x00\x86q\x00" * 60
COLLIDING = b"".join(number(n * (2**61 - 1)) + b"N" for n in range(1, 60_000))
ORDERED = b"ccollections\nOrderedDict\n"
DEAR = {
    "a key that takes for ever to hash": b"}" + NESTED + b"Ns.",
    "the same among others": b"}(" + NESTED + b"Nu.",
    "the same in a list of pairs": ORDERED + b"]]" + NESTED + b"aNaa\x85R.",
    "the same as an attribute": ORDERED + b")R]]" + NESTED + b"aNaab.",
    "keys that collide": b"}(" + COLLIDING + b"u.",
    "a set": b"\x8f.",
    "a storage made to measure": b"}(" + text(b"a") + b"ctorch.storage\nUntypedStorage\nJ\x00\x00\x00\x7f\x85Ru.",
    "a tensor made to measure": b"}(" + text(b"a") + b"ctorch\nFloatTensor\nJ\x00\x00\x00\x7f\x85\x81u.",
    "an instruction without a stack": b"\x85.",
    "a name of gigabytes": b"X\xff\xff\xff\x7f" + b"x" * 5_000_000,
    "a line without end": b"c" + b"x" * 5_000_000,
    "a method hidden": ORDERED + b")R}(" + text(b"items") + b"K\x01ub.",
}


@pytest.mark.parametrize("case", DEAR)
def test_a_pickle_that_is_dear_to_read(folder, case):
    pickled = b"\x80\x02" + DEAR[case]
    zipped(folder / "pytorch_model.bin", pickled)
    assert "pytorch_model.bin" in refused(lambda: bp.Checkpoint.open(folder))
    old = torch.serialization.MAGIC_NUMBER.to_bytes(10, "little")
    before = b"\x80\x02\x8a\x0a" + old + b".\x80\x02M\xe9\x03.\x80\x02}."
    (folder / "pytorch_model.bin").write_bytes(before + pickled + b"\x80\x02].")
    assert "pytorch_model.bin" in refused(lambda: bp.Checkpoint.open(folder))


def test_headers_of_very_many_tensors_or_lengths(folder):
    path = folder / "model.safetensors"
    raw_safetensors(path, "{" + " " * 90_000_000 + "}")
    assert "has a header of 90,000,002 bytes" in refused(lambda: bp.Checkpoint.open(folder))
    empty = '{"dtype":"F32","shape":[0],"data_offsets":[0,0]}'
    raw_safetensors(path, "{" + ",".join(f'"{n}":{empty}' for n in range(60_000)) + "}")
    assert "60,000 tensors; at most 10,000" in refused(lambda: bp.Checkpoint.open(folder))
    raw_safetensors(path, "{" + ENTRY.replace("[2]", json.dumps([1] * 1_000_000)) + "}", b"\0" * 8)
    assert "1,000,000 dimensions" in refused(lambda: bp.Checkpoint.open(folder))


@pytest.mark.filterwarnings("ignore::bertprune.errors.MissingTensorsWarning")
@pytest.mark.parametrize(
    "changes",
    [
        {"hidden_dropout_prob": float("nan")},
        {"layer_norm_eps": float("inf")},
        {"initializer_range": float("nan")},
        {"hidden_size": float("nan")},
        {"vocab_size": 1e400},
        {"id2label": {str(n): "x" for n in range(60_000)}},
        {"id2label": {"0": "x" * 1_000_000}},
        {"pad_token_id": -(2**31)},
        {"pad_token_id": 10**9},
        {"type_vocab_size": 0},
        {"max_position_embeddings": 0},
        {"hidden_act": "__import__('os').system('true')"},
        {"torch_dtype": "float1"},
        {"dtype": {"": "x"}},
        {"architectures": ["__class__"]},
        {"architectures": ["Trainer"]},
        {"architectures": ["BertModel"] * 100_000},
        {"model_type": "../../etc/passwd"},
        {"pruned_heads": {"0": list(range(60_000))}},
        {"rope_scaling": {"type": "x" * 100_000}},
        {"label2id": {"a": {"b": {"c": []}}}},
        {"problem_type": {"a": 1}},
        {"is_decoder": True, "add_cross_attention": True},
        {"chunk_size_feed_forward": 10**9},
    ],
    ids=lambda changes: ",".join(changes),
)
def test_configs_are_taken_or_refused_in_one_line(tiny_folder, changes):
    made = tiny_folder("BertForSequenceClassification")
    configure(made, **changes)
    started = time.thread_time()
    try:
        bp.Checkpoint.open(made).model()
    except CheckpointError as error:
        assert "\n" not in str(error) and len(str(error)) < 500
    assert time.thread_time() - started < 3


def test_configs_name_no_place_and_no_code(tiny_folder, tmp_path):
    made = tiny_folder("BertModel")
    harm = tmp_path / "harmed"
    (made / "evil.py").write_text(f"import os; os.mkdir({str(harm)!r})")
    (made / "configuration_evil.py").write_text(f"import os; os.mkdir({str(harm)!r})")
    mapped = {"AutoConfig": "configuration_evil.Evil", "AutoModel": "evil.Evil", "AutoTokenizer": ["evil.Evil", None]}
    configure(
        made, auto_map=mapped, _name_or_path="/etc", _attn_implementation="org/kernel", name_or_path="/etc/passwd"
    )
    checkpoint = bp.Checkpoint.open(made)
    assert checkpoint.model() is not None
    assert any("auto_map" in note for note in checkpoint.facts.notes)
    assert checkpoint.name == made.name
    assert "/etc" not in str(checkpoint.config.to_dict())
    assert len(checkpoint.tokenizer()) == 97
    assert not harm.exists()


@pytest.mark.parametrize("key", ["vocab", "merges", "gguf_file", "tokenizer_object"])
@pytest.mark.parametrize("plain", [False, True])
def test_a_tokenizer_reads_no_file_of_the_server(tiny_folder, tmp_path, key, plain):
    made = tiny_folder("BertModel")
    secret = tmp_path / "secret.txt"
    secret.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "secret"]))
    if plain:
        (made / "tokenizer.json").unlink()
        (made / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n")
    set_tokenizer(made, **{key: str(secret)})
    text = refused(lambda: bp.Checkpoint.open(made).tokenizer())
    assert f"names a file under '{key}'" in text
    for other in ("vocab_file", "tokenizer_file", "name_or_path", "special_tokens_map_file"):
        set_tokenizer(made, **{key: None, other: str(secret)})
        assert "secret" not in bp.Checkpoint.open(made).tokenizer().get_vocab()


def test_a_tokenizer_of_gigabytes_is_not_read(tiny_folder):
    made = tiny_folder("BertModel")
    with (made / "tokenizer.json").open("ab") as file:
        file.truncate(2**31)
    assert "tokenizer.json is larger than 24 MiB" in refused(lambda: bp.Checkpoint.open(made).tokenizer())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"version": "1.0"}',
        "[" * 100_000,
        '{"version":"1.0","model":{"type":"WordPiece","vocab":{"a":-1},"unk_token":"a"}}',
        '{"version":"1.0","model":{"type":"WordPiece","vocab":{"a":99999999999999},"unk_token":"a"}}',
        '{"version":"1.0","model":{"type":"BPE","vocab":{},"merges":["a b"]}}',
        '{"version":"1.0","normalizer":{"type":"Replace","pattern":{"Regex":"("},"content":""},"model":{"type":"BPE"}}',
        '{"version":"1.0","normalizer":{"type":"Precompiled","precompiled_charsmap":"////"},"model":{"type":"BPE"}}',
    ],
)
def test_tokenizers_that_are_none(tiny_folder, text):
    made = tiny_folder("BertModel")
    (made / "tokenizer.json").write_text(text)
    try:
        made_of_it = bp.Checkpoint.open(made).tokenizer()
        made_of_it("a b c")
    except CheckpointError as error:
        assert "\n" not in str(error) and len(str(error)) < 500


def test_names_are_shown_as_text_in_the_card(tiny_folder, tmp_path):
    made = tiny_folder("BertModel").rename(tmp_path / "x`](javascript:1)<script>alert(1)<|script>")
    step = bp.Step(method="l1_unstructured", fraction=0.5, select=bp.Selection(roles=["pooler"]))
    bp.export(bp.prune(made, step), tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text()
    for line in card.splitlines():
        if "<script>" in line:
            assert line.count("``") >= 2, line
    assert "<script>" not in (tmp_path / "out" / "config.json").read_text()

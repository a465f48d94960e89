"""Torch files: plain tensors are read, and anything else is refused before it is executed or built."""

import os
import pickle
import zipfile
from collections.abc import Iterable
from pathlib import Path

import torch

import bertprune as bp
from bertprune.checkpoint.headers import MOST_TENSORS
from bertprune.checkpoint.pickled import load_tensors


def zipped(path: Path, pickled: bytes, entries: Iterable[str] = (), method: int = zipfile.ZIP_STORED) -> None:
    """Write a torch file whose pickle is replaced, with some more entries."""
    torch.save({"a": torch.zeros(2)}, path)
    with zipfile.ZipFile(path) as honest:
        parts = {name: honest.read(name) for name in honest.namelist()}
    with zipfile.ZipFile(path, "w", method) as changed:
        for name, data in parts.items():
            changed.writestr(name, pickled if name.endswith("data.pkl") else data)
        for name in entries:
            changed.writestr(name, b"")


def old_format(path: Path, pickled: bytes) -> None:
    """Write a torch file of the old format whose fourth pickle, the tensors, is this one."""
    magic = torch.serialization.MAGIC_NUMBER.to_bytes(10, "little")
    path.write_bytes(b"\x80\x02\x8a\x0a" + magic + b".\x80\x02M\xe9\x03.\x80\x02}." + pickled + b"\x80\x02].")


def reason(error) -> str:
    assert error.code == "checkpoint.not_plain_tensors"
    return error.values["reason"].code


def test_a_pickle_of_millions_of_instructions_is_refused(folder, refused):
    integers = b"\x80\x02]q\x00(" + b"K\x01" * 600_000 + b"e."
    path = folder / "pytorch_model.bin"
    for content in (integers, b"\x80\x02" + b"]" * 600_000 + b"."):
        path.write_bytes(content)
        assert reason(refused(folder)) == "checkpoint.pickle_of_more"
    zipped(path, integers)
    assert reason(refused(folder)) == "checkpoint.pickle_of_more"
    zipped(path, bytes(2_000_000), method=zipfile.ZIP_DEFLATED)
    assert reason(refused(folder)) == "checkpoint.pickle_of_more"


def test_a_torch_file_of_very_many_entries_is_refused(folder, refused):
    zipped(folder / "pytorch_model.bin", b"", [str(number) for number in range(2 * MOST_TENSORS)])
    assert reason(refused(folder)) == "checkpoint.too_many_entries"
    long = [f"{number}" + "x" * 30_000 for number in range(150)]  # few entries, and a directory that is too long
    zipped(folder / "pytorch_model.bin", b"", long)
    assert reason(refused(folder)) == "checkpoint.too_many_entries"


def text(word: bytes) -> bytes:
    return b"X" + len(word).to_bytes(4, "little") + word


def number(value: int) -> bytes:
    written = value.to_bytes((value.bit_length() + 8) // 8, "little")
    return b"\x8a" + bytes([len(written)]) + written


NESTED = b"K\x01q\x00" + b"h\x00\x86q\x00" * 60
COLLIDING = b"".join(number(n * (2**61 - 1)) + b"N" for n in range(1, 60_000))
ORDERED = b"ccollections\nOrderedDict\n"
BYTES = b"c__builtin__\nbytearray\nJ\x00\x00\x00\x7f\x85R"
STORAGE = b"ctorch.storage\nUntypedStorage\nJ\x00\x00\x00\x7f\x85R"
TENSOR = b"ctorch\nFloatTensor\nJ\x00\x00\x00\x7f\x85\x81"
EXPENSIVE = {
    "a key that takes forever to hash": (b"}" + NESTED + b"Ns.", "more"),
    "the same among others": (b"}(" + NESTED + b"Nu.", "more"),
    "the same in a list of pairs": (ORDERED + b"]]" + NESTED + b"aNaa\x85R.", "code"),
    "the same as an attribute": (ORDERED + b")R]]" + NESTED + b"aNaab.", "code"),
    "keys that collide": (b"}(" + COLLIDING + b"u.", "more"),
    "a set": (b"\x8f.", "code"),
    "an array of bytes": (b"}(" + text(b"a") + BYTES + b"u.", "code"),
    "a storage made to measure": (b"}(" + text(b"a") + STORAGE + b"u.", "code"),
    "a tensor made to measure": (b"}(" + text(b"a") + TENSOR + b"u.", "code"),
    "an instruction without a stack": (b"\x85.", "code"),
}


def test_a_pickle_that_is_expensive_to_read_is_refused(folder, refused, subtests):
    for case in EXPENSIVE:
        with subtests.test(case):
            pickled, expected = EXPENSIVE[case]
            zipped(folder / "pytorch_model.bin", b"\x80\x02" + pickled)
            assert reason(refused(folder)) == f"checkpoint.pickle_of_{expected}"
            old_format(folder / "pytorch_model.bin", b"\x80\x02" + pickled)
            assert reason(refused(folder)) == f"checkpoint.pickle_of_{expected}"


def test_a_name_of_gigabytes_or_a_line_without_end_is_not_read(folder, refused, subtests):
    for long in [b"X\xff\xff\xff\x7f" + b"x" * 2_000_000, b"c" + b"x" * 2_000_000]:
        with subtests.test(repr(long[:1])):
            old_format(folder / "pytorch_model.bin", b"\x80\x02" + long)
            assert refused(folder).code == "checkpoint.not_plain_tensors"


def test_a_method_hidden_by_an_attribute_is_not_called(folder, refused):
    zipped(folder / "pytorch_model.bin", b"\x80\x02" + ORDERED + b")R}(" + text(b"items") + b"K\x01ub.")
    assert refused(folder).code == "checkpoint.no_tensors"


class Harm:
    """Create a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_pickle_with_code_is_refused_and_not_run(folder, refused, subtests):
    for legacy in [False, True]:
        with subtests.test(f"legacy: {legacy}"):
            harm = folder / "harmed"
            torch.save({"a": Harm(harm)}, folder / "pytorch_model.bin", _use_new_zipfile_serialization=not legacy)
            error = refused(folder)
            assert reason(error) == "checkpoint.pickle_of_code"
            assert str(error).endswith("(weights_only=True): it is damaged or holds code, which is never run")
            assert not harm.exists()


def test_a_bare_pickle_with_code_is_refused_and_not_run(folder, refused):
    harm = folder / "harmed"
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Harm(harm)))
    assert reason(refused(folder)) == "checkpoint.pickle_of_code"
    assert not harm.exists()


NO_TENSORS = [
    ([torch.zeros(2)], "not_a_dict"),
    ({}, "no_tensors"),
    ({"a": 3}, "not_a_tensor"),
    ({1: torch.zeros(2)}, "not_a_tensor"),
    ({"state_dict": {"model.a": torch.zeros(2)}, "epoch": 1}, "nested_tensors"),
    ({"a": {"b": 1}}, "not_a_tensor"),
]


def test_torch_files_hold_tensors_by_name(folder, refused, subtests):
    for value, expected in NO_TENSORS:
        with subtests.test(expected):
            torch.save(value, folder / "pytorch_model.bin")
            assert refused(folder).code == f"checkpoint.{expected}"


ONE, TWO = {"a": torch.zeros(2)}, {"a": torch.zeros(2), "b": torch.zeros(2)}


BELOW = [
    ({"state_dict": {"model.a": torch.zeros(2)}, "epoch": 1}, "['state_dict']"),
    ({"epoch": 1, "student_weights": ONE}, "['student_weights']"),
    ({"checkpoint": {"epoch": 1, "state": {"model": TWO}}, "ema": ONE}, "['checkpoint']['state']['model']"),
    ({"step": torch.zeros(1), "net": TWO, "optimizer": {"state": {0: TWO}, "lr": 0.1}}, "['net']"),
]


def test_tensors_below_other_keys_are_found_and_named(folder, refused, subtests):
    for value, key in BELOW:
        with subtests.test(key):
            torch.save(value, folder / "pytorch_model.bin")
            error = refused(folder)
            assert (error.code, error.values["key"]) == ("checkpoint.nested_tensors", key)


def test_dicts_that_hold_each_other_are_looked_into_once(folder, refused):
    inside = dict(ONE)
    for _ in range(3):
        inside = {f"k{number}": inside for number in range(3000)}
    inside["itself"] = inside
    torch.save(inside, folder / "pytorch_model.bin")
    assert refused(folder).code == "checkpoint.nested_tensors"


def test_torch_files_cannot_claim_more_than_they_hold(folder, refused):
    torch.save({"a": torch.zeros(1).expand(10**6, 10**6)}, folder / "pytorch_model.bin")
    assert refused(folder).code == "checkpoint.tensor_too_small"
    torch.save({"a": torch.zeros(1000)}, folder / "honest.bin")
    with zipfile.ZipFile(folder / "honest.bin") as honest, zipfile.ZipFile(folder / "pytorch_model.bin", "w") as cut:
        for name in honest.namelist():
            data = honest.read(name)
            cut.writestr(name, data[:8] if name.endswith("data/0") else data)
    assert refused(folder).values["file"] == "pytorch_model.bin"


def test_the_old_torch_format_is_read(tiny_folder):
    folder = tiny_folder("BertModel", pickle=True)
    tensors = torch.load(folder / "pytorch_model.bin", weights_only=True)
    torch.save(tensors, folder / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    model = bp.Checkpoint.open(folder).load()
    assert all(torch.equal(value, tensors[name]) for name, value in model.state_dict().items())


def test_every_plain_tensor_that_torch_writes_is_read(folder, subtests):
    for legacy in [False, True]:
        with subtests.test(f"legacy: {legacy}"):
            kinds = "float64 float32 float16 bfloat16 int64 int32 int16 int8 uint8 bool complex64".split()
            kinds += [] if legacy else ["float8_e4m3fn", "uint16"]
            layer = torch.nn.utils.skip_init(torch.nn.Linear, 600, 600)
            torch.nn.init.ones_(layer.weight)
            saved = layer.state_dict(keep_vars=True)  # parameters, and what torch notes of a module
            saved.update({kind: torch.zeros(2, 3, dtype=getattr(torch, kind)) for kind in kinds})
            saved.update({"tied": saved["weight"], "view": saved["weight"].detach().t()[1:], "one": torch.tensor(1.0)})
            torch.save(saved, folder / "pytorch_model.bin", _use_new_zipfile_serialization=not legacy)
            read = load_tensors(folder / "pytorch_model.bin")
            assert {name: (one.shape, one.dtype) for name, one in read.items()} == {
                name: (one.shape, one.dtype) for name, one in saved.items()
            }
            assert torch.equal(read["weight"], saved["weight"])
            assert torch.equal(read["view"], saved["view"])


def test_tensors_that_share_their_values_are_stored_once_and_stay_tied(tiny_mlm, tmp_path, subtests):
    for legacy in [False, True]:
        with subtests.test(f"legacy: {legacy}"):
            tiny_mlm.config.architectures = ["BertForMaskedLM"]
            tiny_mlm.config.save_pretrained(tmp_path)
            saved = tiny_mlm.state_dict()
            assert "cls.predictions.decoder.weight" in saved  # as the files of most language models on the Hub
            torch.save(saved, tmp_path / "pytorch_model.bin", _use_new_zipfile_serialization=not legacy)
            checkpoint = bp.Checkpoint.open(tmp_path)
            loaded = checkpoint.load()
            assert loaded.cls.predictions.decoder.weight is loaded.bert.embeddings.word_embeddings.weight
            assert all(torch.equal(value, saved[name]) for name, value in loaded.state_dict().items())
            assert checkpoint.facts.parameters == sum(one.numel() for one in tiny_mlm.parameters())

"""Fuzz the parsers of untrusted input: checkpoints, archives, recipes and globs.

Any input gives either a correct result or one clear error. `make fuzz` tries many more inputs than the tests, and fails
where one takes seconds.
"""

import io
import json
import struct
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import event, given
from hypothesis import strategies as st
from safetensors import safe_open

import bertprune as bp
from app.settings import Settings
from app.uploads import take_upload
from bertprune.checkpoint.headers import safetensors_header
from bertprune.checkpoint.pickled import load_tensors
from bertprune.checkpoint.weights import SafetensorsWeights

HOSTED = Settings.for_strangers("me/page")

pytestmark = pytest.mark.usefixtures("kobert")  # imports what is slow to import before `make fuzz` times anything

names = st.text(max_size=12) | st.sampled_from(
    ["__metadata__", "", "a", "b", "dtype", "shape", "data_offsets", "\0", "../x"]
)
numbers = st.integers(-3, 70) | st.sampled_from([2**31, 2**32, 2**53, 2**63 - 1, 2**64, 10**30, -1, -(2**63)])
anything = st.recursive(
    st.none() | st.booleans() | numbers | st.floats() | names,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=8,
)


@contextmanager
def accepted_or_refused() -> Iterator[None]:
    """Fail on any error but a BertpruneError of one short line."""
    try:
        yield
    except bp.BertpruneError as error:
        event("refused")
        assert "\n" not in str(error)
        assert len(str(error)) < 4000
    else:
        event("accepted")


dtypes = st.sampled_from(["F32", "F16", "BF16", "I64", "U8", "BOOL", "F64", "F8_E4M3", "Q4", "f32", ""])
offsets = st.lists(numbers, min_size=2, max_size=2) | anything
tensors = st.fixed_dictionaries(
    {"dtype": dtypes | anything, "shape": st.lists(numbers, max_size=4) | anything, "data_offsets": offsets}
)
headers = st.dictionaries(names, tensors | anything, max_size=4) | anything


@st.composite
def valid_headers(draw: Any) -> tuple[dict[str, Any], bytes]:
    """Draw a valid header and as much data as it describes."""
    sizes, at, header = {"F32": 4, "F16": 2, "BF16": 2, "I64": 8, "U8": 1, "BOOL": 1}, 0, {}
    for name in draw(st.lists(names.filter(lambda one: one != "__metadata__"), max_size=4, unique=True)):
        dtype, shape = draw(st.sampled_from(sorted(sizes))), draw(st.lists(st.integers(0, 4), max_size=3))
        end = at + sizes[dtype] * int(np.prod(shape, dtype=int))
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, end]}
        at = end
    return header, bytes(at)


def put(folder: Path, header: bytes, data: bytes, length: int | None) -> Path:
    path = folder / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(header) if length is None else length % 2**64) + header + data)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@given(headers, st.binary(max_size=64), st.none() | numbers, st.booleans())
def test_headers(folder: Path, header: Any, data: bytes, length: int | None, strict: bool) -> None:
    path = put(folder, json.dumps(header, ensure_ascii=strict).encode("utf-8", "surrogatepass"), data, length)
    with accepted_or_refused():
        for fact in safetensors_header(path):
            assert fact.size <= len(data)  # the smallest dtype has one byte


@given(valid_headers())
def test_valid_headers_are_read_as_by_safetensors(folder: Path, made: tuple[dict[str, Any], bytes]) -> None:
    path = put(folder, json.dumps(made[0]).encode(), made[1], None)
    found = {fact.name: fact.shape for fact in SafetensorsWeights((path,)).tensors}
    assert found == {name: tuple(entry["shape"]) for name, entry in made[0].items()}
    with safe_open(path, framework="np") as opened:
        assert set(opened.keys()) == set(found)


@given(valid_headers(), st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4), st.integers(0, 500))
def test_damaged_headers(folder: Path, made: Any, flips: list[tuple[int, int]], keep: int) -> None:
    path = put(folder, json.dumps(made[0]).encode(), made[1], None)
    damaged = bytearray(path.read_bytes()[: keep + 8])
    for at, value in flips:
        if at < len(damaged):
            damaged[at] = value
    path.write_bytes(damaged)
    with accepted_or_refused():
        safetensors_header(path)


@given(st.binary(max_size=200), st.sampled_from([b"", b"\x80\x02", b"PK\x03\x04", b"\x80\x02}q\x00("]))
def test_torch_files(folder: Path, content: bytes, start: bytes) -> None:
    path = folder / "pytorch_model.bin"
    path.write_bytes(start + content)
    with accepted_or_refused():
        load_tensors(path)


members = st.text(max_size=10) | st.sampled_from(
    ["config.json", "model.safetensors", "a/config.json", "../config.json", "/config.json", "C:\\x", "x.zip", "a/", "."]
)


@given(
    st.lists(st.tuples(members, st.binary(max_size=30), st.sampled_from([0, 8, 12, 14]), numbers), max_size=5),
    st.lists(st.tuples(st.integers(0, 600), st.integers(0, 255)), max_size=6),
    st.binary(max_size=12),
)
def test_archives(folder: Path, files: list[Any], flips: list[tuple[int, int]], tail: bytes) -> None:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive, _no_warning():
        for name, data, method, attributes in files:
            entry = zipfile.ZipInfo(name or "x")
            entry.compress_type, entry.external_attr = method, attributes % 2**32
            archive.writestr(entry, data)
    content = bytearray(sink.getvalue())
    for at, value in flips:
        content[-1 - at % len(content)] = value
    _unpacked(folder, bytes(content) + tail)


@given(st.binary(max_size=300), st.sampled_from([b"", b"PK\x03\x04", b"PK\x05\x06"]))
def test_any_bytes_as_an_archive(folder: Path, content: bytes, end: bytes) -> None:
    _unpacked(folder, content + end + bytes(18))


@contextmanager
def _no_warning() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python warns about duplicate names
        yield


def _unpacked(folder: Path, content: bytes) -> None:
    path, into = folder / "up.zip", folder / "into"
    path.write_bytes(content)
    before = {one.name for one in folder.iterdir()}
    accepted = False
    with accepted_or_refused():
        made = take_upload([path], into, HOSTED)
        accepted = True
        assert {one.name for one in made.iterdir()} >= {"config.json"}
        assert all(one.is_file() and not one.is_symlink() for one in made.iterdir())
        for one in made.iterdir():
            one.unlink()
        made.rmdir()
    assert accepted or not into.exists()
    assert {one.name for one in folder.iterdir()} == before


fields = st.sampled_from(["method", "fraction", "count", "scope", "select", "options", "steps", "version"])
selections = st.dictionaries(
    st.sampled_from(["roles", "layers", "types", "include", "exclude", "tensor"]) | names,
    anything
    | st.sampled_from(["*", "attention.key", ["attention.key"], [0], ["Linear"], "{a,b}*", "{" * 9, "[!", "weight"]),
    max_size=3,
)
steps = st.dictionaries(
    fields | names,
    anything
    | selections
    | st.sampled_from(["l1_unstructured", "random_structured", "ln_structured", "global", "local", 0.5, 1.0, 3]),
    max_size=5,
)
recipes = st.fixed_dictionaries({"steps": st.lists(steps, max_size=3) | anything}, optional={"version": anything})


@given(recipes | anything, st.booleans())
def test_recipes(kobert: bp.Checkpoint, recipe: Any, as_json: bool) -> None:
    with accepted_or_refused():
        if as_json:
            read = bp.Recipe.from_json(json.dumps(recipe))
        else:
            read = bp.Recipe.from_yaml(yaml.safe_dump(recipe, allow_unicode=True))
        assert bp.Recipe.from_yaml(read.to_yaml()) == read
        assert bp.Recipe.from_json(read.to_json()) == read
        bp.preview(kobert, read)


@given(
    st.text(max_size=200) | st.text("[]{}:,&*!|>-?'\"%@` \n#a1.~", max_size=300), st.sampled_from(["", "steps:\n- "])
)
def test_any_text_as_a_recipe(text: str, start: str) -> None:
    with accepted_or_refused():
        bp.Recipe.from_yaml(start + text)
    with accepted_or_refused():
        bp.Recipe.from_json(text)


@given(st.text("*?[]{}!,.-abl0129", max_size=60), st.text("*?[]{}!,.-a", max_size=30))
def test_patterns(kobert: bp.Checkpoint, include: str, exclude: str) -> None:
    with accepted_or_refused():
        select = bp.Selection(include=[include], exclude=[exclude])
        bp.preview(kobert, bp.Step(method="l1_unstructured", count=1, select=select))

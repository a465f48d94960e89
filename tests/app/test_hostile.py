"""Uploads that mean harm, each made here: one clear error within two seconds, little memory, nothing left behind."""

import io
import json
import resource
import stat
import struct
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import bertprune as bp
from app.api import Api
from app.archives import take_upload
from app.handlers import model, take
from app.presets import preset
from app.session import Done, Shelf, Source
from app.settings import Settings
from app.trouble import reason

GOOD = {"config.json": b"{}", "model.safetensors": b"weights"}
HOSTED = Settings.for_strangers("me/page")


def entry(name: str | bytes, data: bytes = b"x", **changes: Any) -> tuple[bytes, bytes]:
    """Write one member of a zip by hand: its local part, and its line in the directory (at offset 0)."""
    raw = name if isinstance(name, bytes) else name.encode()
    given = {"flags": 0, "method": 0, "size": len(data), "packed": len(data), "attr": 0, "extra": b"", **changes}
    common = struct.pack(
        "<HHHHIIIHH", given["flags"], given["method"], 0, 33, zlib.crc32(data), given["packed"], given["size"],
        len(raw), len(given["extra"]),
    )  # fmt: skip
    line = b"PK\x01\x02" + struct.pack("<HH", 788, 20) + common + struct.pack("<HHHII", 0, 0, 0, given["attr"], 0)
    return b"PK\x03\x04" + struct.pack("<H", 20) + common + raw + given["extra"] + data, line + raw + given["extra"]


def by_hand(*members: tuple[bytes, bytes]) -> bytes:
    """Put members together into a zip."""
    body, directory = b"", b""
    for local, line in members:
        directory += line[:42] + struct.pack("<I", len(body)) + line[46:]
        body += local
    count = min(len(members), 65535)
    return body + directory + b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, count, count, len(directory), len(body), 0)


def good(**more: bytes) -> list[tuple[bytes, bytes]]:
    return [entry(name, data) for name, data in {**GOOD, **more}.items()]


def with_link(kind: int) -> bytes:
    return by_hand(*good(), entry("tokenizer.json", b"/etc/passwd", attr=(kind | 0o777) << 16))


def crowd(count: int) -> bytes:
    """List one member very often: a directory of many megabytes in a small time."""
    local, line = entry("config.json", b"{}")
    directory = line * count
    end = struct.pack("<HHHHIIH", 0, 0, 65535, 65535, len(directory), len(local), 0)
    return local + directory + b"PK\x05\x06" + end


def crowd_64(count: int) -> bytes:
    """Hide the same behind the directory's 64-bit end."""
    local, line = entry("config.json", b"{}")
    directory = line * count
    end = struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, count, count, len(directory), len(local))
    locator = struct.pack("<IQI", 0, len(local) + len(directory), 1)
    short = struct.pack("<HHHHIIH", 0, 0, 65535, 65535, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return local + directory + b"PK\x06\x06" + end + b"PK\x06\x07" + locator + b"PK\x05\x06" + short


def packed_as(method: int) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", method) as archive:
        for name, data in GOOD.items():
            archive.writestr(name, data)
    return sink.getvalue()


def quine() -> bytes:
    """Let every member share the same packed bytes, so that little unpacks to much."""
    data = zlib.compress(bytes(9_000_000), 9)[2:-4]
    shared = entry("model.safetensors", data, method=8, size=9_000_000)
    lines = [
        entry(f"model-{number:05}-of-00050.safetensors", data, method=8, size=9_000_000)[1] for number in range(50)
    ]
    directory = b"".join(line[:42] + struct.pack("<I", 0) + line[46:] for line in lines)
    end = struct.pack("<HHHHIIH", 0, 0, 50, 50, len(directory), len(shared[0]), 0)
    return shared[0] + directory + b"PK\x05\x06" + end


def small_bombs() -> bytes:
    """Write many members of zeros, each too small to be judged by itself."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("config.json", *(f"model-{number:05}-of-00040.safetensors" for number in range(40))):
            archive.writestr(name, bytes(9_000_000))
    return sink.getvalue()


ARCHIVES: dict[str, tuple[Callable[[], bytes], str]] = {
    "symbolic link": (lambda: with_link(stat.S_IFLNK), "a link or a device"),
    "device": (lambda: with_link(stat.S_IFBLK), "a link or a device"),
    "pipe": (lambda: with_link(stat.S_IFIFO), "a link or a device"),
    "socket": (lambda: with_link(stat.S_IFSOCK), "a link or a device"),
    "same name twice": (lambda: by_hand(*good(), entry("config.json", b"[]")), "two files of the same name"),
    "same name by a dot": (lambda: by_hand(*good(), entry("./config.json", b"[]")), "same name|several folders"),
    "no name": (lambda: by_hand(*good(), entry("")), "a file without a name"),
    "dots": (lambda: by_hand(*good(), entry("..")), "leaves its folder"),
    "drive": (lambda: by_hand(*good(), entry("C:tokenizer.json")), "leaves its folder"),
    "network share": (lambda: by_hand(*good(), entry("//host/share/tokenizer.json")), "leaves its folder"),
    "backslash": (lambda: by_hand(*good(), entry(r"..\..\tokenizer.json")), "leaves its folder"),
    "zero byte": (lambda: by_hand(*good(), entry("tokenizer.json\0.txt")), "leaves its folder|same name|not a file"),
    "text turned around": (lambda: by_hand(*good(), entry("tokenizer\u202enosj.exe", flags=0x800)), "not a file"),
    "full-width dots": (lambda: by_hand(*good(), entry("．．/tokenizer.json", flags=0x800)), "several folders"),
    "no text": (lambda: by_hand(*good(), entry(b"\xff\xfe.json", flags=0x800)), "not a readable zip"),
    "markup": (lambda: by_hand(*good(), entry("<img src=x onerror=alert(1)>.json")), "not a file"),
    "line ends": (lambda: by_hand(*good(), entry("a\n\n# heading\n.json")), "not a file"),
    "program": (lambda: by_hand(*good(), entry("run.exe")), "not a file"),
    "nested": (lambda: by_hand(*good(), entry("weights.zip", b"PK")), "archive within"),
    "password": (lambda: by_hand(*good(), entry("vocab.txt", flags=1)), "encrypted"),
    "bzip2": (lambda: packed_as(zipfile.ZIP_BZIP2), "in a rare way"),
    "lzma": (lambda: packed_as(zipfile.ZIP_LZMA), "in a rare way"),
    "crowd": (lambda: crowd(1_000_000), "bytes of entries"),
    "crowd behind 64 bits": (lambda: crowd_64(1_000_000), "bytes of entries"),
    "too many": (lambda: by_hand(*(entry(f"{number}.json") for number in range(70))), "70 files; at most 60"),
    "overlapping": (quine, "would unpack to|not a readable zip"),
    "many small bombs": (small_bombs, "the zip would unpack to"),
    "huge by its word": (lambda: by_hand(*good(), entry("vocab.txt", size=4_000_000_000)), "would take|would unpack"),
    "longer than it says": (lambda: by_hand(*good(), entry("vocab.txt", b"x" * 99, size=9)), "readable|longer than"),
    "cut off": (lambda: by_hand(*good())[:-30], "not a readable zip"),
    "directory elsewhere": (lambda: by_hand(*good())[:-6] + b"\xff\xff\xff\x7f\0\0", "not a readable zip"),
    "end in the end": (lambda: by_hand(*good())[:-10] + b"PK\x05\x06\0\0\0\0\0\0", "a readable zip|bytes of entr"),
    "empty": (lambda: b"", "not a readable zip"),
    "no zip": (lambda: b"Rar!\x1a\x07\x00" + b"x" * 99, "not a readable zip"),
    "nothing in it": (lambda: by_hand(), "config.json is missing"),
}


@pytest.fixture(scope="module", autouse=True)
def warm() -> None:
    """Import what is slow to import before anything is timed."""
    bp.Checkpoint.open("kobert-shape")


def refused(act: Callable[[], Any], most_seconds: float = 2.0, most_bytes: int = 100_000_000) -> str:
    """Check how a refusal comes about, and return it in both languages."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.thread_time()
    with pytest.raises(bp.BertpruneError) as told:
        act()
    assert time.thread_time() - started < most_seconds
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < most_bytes
    said = " ".join(reason(language, told.value) for language in ("en", "ko"))
    assert "\n" not in said
    assert len(said) < 1500
    return said


@pytest.mark.parametrize("case", ARCHIVES)
def test_archives(tmp_path: Path, case: str) -> None:
    make, words = ARCHIVES[case]
    archive, into = tmp_path / "up.zip", tmp_path / "in"
    archive.write_bytes(make())
    said = refused(lambda: take_upload([archive], into, HOSTED))
    assert any(word in said for word in words.split("|")), said
    assert str(tmp_path) not in said
    assert [path.name for path in tmp_path.iterdir()] == ["up.zip"]


def test_a_zip_written_by_hand_is_taken_where_it_is_honest(tmp_path: Path) -> None:
    (tmp_path / "up.zip").write_bytes(by_hand(*good()))
    assert {path.name for path in take_upload([tmp_path / "up.zip"], tmp_path / "in", HOSTED).iterdir()} == set(GOOD)


def test_code_beside_the_weights_is_never_unpacked(tmp_path: Path) -> None:
    (tmp_path / "up.zip").write_bytes(by_hand(*good(), entry("modeling_bert.py")))
    assert {path.name for path in take_upload([tmp_path / "up.zip"], tmp_path / "in", HOSTED).iterdir()} == set(GOOD)


def test_a_zip_with_a_comment_is_taken(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "up.zip", "w") as archive:
        archive.comment = b"PK\x05\x06" * 5 + b"made by hand"
        for name, data in GOOD.items():
            archive.writestr(name, data)
    try:
        zipfile.ZipFile(tmp_path / "up.zip").close()
    except zipfile.BadZipFile:
        pytest.skip("nor does Python read it")
    assert take_upload([tmp_path / "up.zip"], tmp_path / "in", HOSTED)


def test_two_loose_files_of_one_name_are_refused(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "config.json").write_text("{}")
    files = [tmp_path / "a" / "config.json", tmp_path / "b" / "config.json"]
    assert "two files of the same name" in refused(lambda: take_upload(files, tmp_path / "in", HOSTED))


@pytest.fixture
def upload(tiny_folder: Callable[..., Path]) -> Callable[..., str]:
    """Give a function that uploads a tiny checkpoint, some of its files changed, and returns the refusal."""

    def send(**files: Any) -> str:
        folder = tiny_folder("BertForSequenceClassification")
        for name, content in files.items():
            path = folder / {"config": "config.json", "weights": "model.safetensors"}[name]
            path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        shelf, paths = Shelf(HOSTED), [str(path) for path in folder.iterdir()]
        return refused(lambda: model.open_source("en", shelf, model.Wanted("upload", files=paths), Source()))

    return send


HEADER = {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}


def safetensors(header: Any, data: bytes = b"\0" * 8) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


@pytest.mark.parametrize(
    "weights",
    {
        "a header of 100 MB": safetensors(b"{" + b" " * 100_000_000 + b"}"),
        "a million tensors": safetensors(
            b"{" + b",".join(b'"%d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}' % n for n in range(10**6)) + b"}"
        ),
        "metadata that is a list": safetensors({"__metadata__": [1], **HEADER}),
        "metadata of numbers": safetensors({"__metadata__": {"format": 3}, **HEADER}),
        "metadata that nests": safetensors({"__metadata__": {"a": {"b": {}}}, **HEADER}),
        "metadata as a tensor": safetensors({"__metadata__": HEADER["a"]}),
        "a shape of a million lengths": safetensors({"a": {**HEADER["a"], "shape": [1] * 10**6}}),
        "a length beyond 64 bits": safetensors({"a": {**HEADER["a"], "shape": [2**70]}}),
        "lengths that come to zero": safetensors({"a": {**HEADER["a"], "shape": [2**62, 0], "data_offsets": [0, 0]}}),
        "offsets the wrong way": safetensors({"a": {**HEADER["a"], "data_offsets": [8, 0]}}),
        "offsets that are text": safetensors({"a": {**HEADER["a"], "data_offsets": ["0", "8"]}}),
        "not a number": safetensors(b'{"a":{"dtype":"F32","shape":[NaN],"data_offsets":[0,8]}}'),
        "a hole in the data": safetensors({"a": {**HEADER["a"], "data_offsets": [4, 12]}}, b"\0" * 12),
        "more data than tensors": safetensors(HEADER, b"\0" * 4000),
    }.items(),
    ids=lambda case: case[0],
)
def test_safetensors_files(upload: Callable[..., str], weights: tuple[str, bytes]) -> None:
    assert "model.safetensors" in upload(weights=weights[1]) or "upload" in upload(weights=weights[1])


@pytest.mark.parametrize("form", ["\0", "\ud800", "../../../etc/x", "/etc/x", "x" * 200_000, "<b>"])
def test_a_form_of_a_strangers_is_no_path(shelf: Shelf, done: Done, form: str) -> None:
    said = refused(lambda: take.build("en", shelf, done, form))
    assert "choose baked or masked" in said or "form '" in said
    assert tempfile.gettempdir() not in said


def test_a_long_name_of_an_upload_has_room_in_a_files_name(shelf: Shelf, tiny_folder: Callable[..., Path]) -> None:
    named = Done(Source(str(tiny_folder()), shown="모" * 200), preset("random"))
    assert take.build("en", shelf, named, "masked").zip.is_file()


@pytest.mark.parametrize("given", [None, 3, [], {}, {"path": "/etc/passwd"}, "\0", "x" * 200_000])
def test_calls_with_values_of_another_kind_are_refused_by_the_library(shelf: Shelf, given: Any) -> None:
    api, recipe = Api(shelf), preset("random").to_yaml()
    assert "module" in refused(lambda: api.inspect("demo", given, recipe, 0))
    assert refused(lambda: api.preview(given, recipe))
    assert "seed" in refused(lambda: api._done("demo", recipe, [given]))  # type: ignore[arg-type]

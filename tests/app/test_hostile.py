"""Malicious uploads, each made here: one clear error, nothing left behind."""

import io
import json
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import bertprune as bp
from app import exporting
from app.api import Api
from app.errors import error_text
from app.offers import preset
from app.opening import open_upload
from app.runs import RunKey, Source
from app.settings import Settings
from app.store import Store
from app.uploads import take_upload

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
    """List one member very often: a directory of many megabytes."""
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


def zipped(method: int = zipfile.ZIP_DEFLATED, model: bytes = b"weights") -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", method) as archive:
        for name, data in {**GOOD, "model.safetensors": model}.items():
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
        for name in ("config.json", *(f"model-{number:05}-of-00003.safetensors" for number in range(3))):
            archive.writestr(name, bytes(9_000_000))
    return sink.getvalue()


ARCHIVES: dict[str, tuple[Callable[[], bytes], str]] = {
    "symbolic link": (lambda: with_link(stat.S_IFLNK), "a link or a device"),
    "device": (lambda: with_link(stat.S_IFBLK), "a link or a device"),
    "same name twice": (lambda: by_hand(*good(), entry("config.json", b"[]")), "two files with the same name"),
    "same name by a dot": (lambda: by_hand(*good(), entry("./config.json", b"[]")), "same name|several folders"),
    "no name": (lambda: by_hand(*good(), entry("")), "a file without a name"),
    "dots": (lambda: by_hand(*good(), entry("..")), "outside its folder"),
    "drive": (lambda: by_hand(*good(), entry("C:tokenizer.json")), "outside its folder"),
    "absolute": (lambda: by_hand(*good(), entry("/etc/tokenizer.json")), "outside its folder"),
    "backslash": (lambda: by_hand(*good(), entry(r"..\..\tokenizer.json")), "outside its folder"),
    "zero byte": (
        lambda: by_hand(*good(), entry("tokenizer.json\0.txt")),
        "outside its folder|same name|not a checkpoint file",
    ),
    "text turned around": (
        lambda: by_hand(*good(), entry("tokenizer\u202enosj.exe", flags=0x800)),
        "not a checkpoint file",
    ),
    "full-width dots": (lambda: by_hand(*good(), entry("．．/tokenizer.json", flags=0x800)), "several folders"),
    "no text": (lambda: by_hand(*good(), entry(b"\xff\xfe.json", flags=0x800)), "not a readable zip"),
    "markup": (lambda: by_hand(*good(), entry("<img src=x onerror=alert(1)>.json")), "not a checkpoint file"),
    "line ends": (lambda: by_hand(*good(), entry("a\n\n# heading\n.json")), "not a checkpoint file"),
    "program": (lambda: by_hand(*good(), entry("run.exe")), "not a checkpoint file"),
    "two folders": (lambda: by_hand(*good(), entry("other/pytorch_model.bin")), "several folders"),
    "one bomb": (lambda: zipped(model=bytes(40_000_000)), "model.safetensors' would unpack"),
    "nested": (lambda: by_hand(*good(), entry("weights.zip", b"PK")), "archive inside"),
    "password": (lambda: by_hand(*good(), entry("vocab.txt", flags=1)), "encrypted"),
    "lzma": (lambda: zipped(zipfile.ZIP_LZMA), "an uncommon compression"),
    "crowd": (lambda: crowd(1_000_000), "bytes of directory"),
    "crowd behind 64 bits": (lambda: crowd_64(1_000_000), "bytes of directory"),
    "too many": (lambda: by_hand(*(entry(f"{number}.json") for number in range(70))), "70 files; at most 60"),
    "overlapping": (quine, "would unpack|not a readable zip"),
    "many small bombs": (small_bombs, "the zip would unpack"),
    "huge by its word": (lambda: by_hand(*good(), entry("vocab.txt", size=4_000_000_000)), "would unpack"),
    "longer than it says": (lambda: by_hand(*good(), entry("vocab.txt", b"x" * 99, size=9)), "readable|longer than"),
    "cut off": (lambda: by_hand(*good())[:-30], "not a readable zip"),
    "directory elsewhere": (lambda: by_hand(*good())[:-6] + b"\xff\xff\xff\x7f\0\0", "not a readable zip"),
    "end in the end": (lambda: by_hand(*good())[:-10] + b"PK\x05\x06\0\0\0\0\0\0", "a readable zip|bytes of directory"),
    "empty": (lambda: b"", "not a readable zip"),
    "no zip": (lambda: b"Rar!\x1a\x07\x00" + b"x" * 99, "not a readable zip"),
    "nothing in it": (lambda: by_hand(), "config.json is missing"),
}


def refused(act: Callable[[], Any]) -> str:
    """See it refused in one short line, and return that."""
    with pytest.raises(bp.BertpruneError) as caught:
        act()
    said = error_text("en", caught.value)
    assert "\n" not in said
    assert len(said) <= 600
    return said


def test_hostile_archives_are_refused(tmp_path: Path, subtests: pytest.Subtests) -> None:
    for number, case in enumerate(ARCHIVES):
        with subtests.test(case):
            (here := tmp_path / str(number)).mkdir()
            make, words = ARCHIVES[case]
            archive, into = here / "up.zip", here / "in"
            archive.write_bytes(make())
            said = refused(lambda: take_upload([archive], into, HOSTED))
            assert any(word in said for word in words.split("|")), said
            assert str(here) not in said
            assert [path.name for path in here.iterdir()] == ["up.zip"]


def test_an_honest_zip_written_by_hand_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "up.zip").write_bytes(by_hand(*good()))
    assert {path.name for path in take_upload([tmp_path / "up.zip"], tmp_path / "in", HOSTED).iterdir()} == set(GOOD)


def test_code_beside_the_weights_is_never_unpacked(tmp_path: Path) -> None:
    (tmp_path / "up.zip").write_bytes(by_hand(*good(), entry("modeling_bert.py")))
    assert {path.name for path in take_upload([tmp_path / "up.zip"], tmp_path / "in", HOSTED).iterdir()} == set(GOOD)


def test_a_zip_with_a_comment_is_accepted(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "up.zip", "w") as archive:
        archive.comment = b"PK\x05\x06" * 5 + b"made by hand"
        for name, data in GOOD.items():
            archive.writestr(name, data)
    try:
        zipfile.ZipFile(tmp_path / "up.zip").close()
    except zipfile.BadZipFile:
        pytest.skip("nor does Python read it")
    assert take_upload([tmp_path / "up.zip"], tmp_path / "in", HOSTED)


def test_two_files_of_the_same_name_are_refused(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "config.json").write_text("{}")
    files = [tmp_path / "a" / "config.json", tmp_path / "b" / "config.json"]
    assert "two files with the same name" in refused(lambda: take_upload(files, tmp_path / "in", HOSTED))


def test_weights_with_a_broken_header_are_refused_by_their_name(tiny_folder: Callable[..., Path]) -> None:
    folder = tiny_folder()
    header = json.dumps({"a": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]}}).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(12))
    files = [str(path) for path in folder.iterdir()]
    assert "model.safetensors" in refused(lambda: open_upload(Store(HOSTED), files))


def test_a_form_is_never_used_as_a_path(store: Store, done: RunKey, subtests: pytest.Subtests) -> None:
    for form in ["\0", "../../../etc/x", "/etc/x", "x" * 200_000]:
        with subtests.test(repr(form)[:20]):
            said = refused(lambda: exporting.export(store, done, form, ""))
            assert "choose baked or masked" in said or "form '" in said
            assert tempfile.gettempdir() not in said


def test_a_long_name_of_an_upload_fits_in_a_file_name(store: Store, tiny_folder: Callable[..., Path]) -> None:
    named = RunKey(Source(str(tiny_folder()), shown="모" * 200), preset("random"))
    assert exporting.export(store, named, "masked", "").zip.is_file()


def test_calls_with_values_of_another_kind_are_refused_by_the_library(store: Store, subtests: pytest.Subtests) -> None:
    for given in [None, 3, {"path": "/etc/passwd"}, "\0", "x" * 200_000]:
        with subtests.test(repr(given)[:20]):
            api, recipe = Api(store), preset("random").to_yaml()
            assert "module" in refused(lambda: api.inspect("demo", given, recipe, 0))
            assert refused(lambda: api.preview(given, recipe))


def test_a_seed_is_a_whole_number(store: Store, subtests: pytest.Subtests) -> None:
    for seed in [-1, 1.5, True, 2**64, [0]]:
        with subtests.test(str(seed)):
            assert "seed must be a whole number" in refused(
                lambda: Api(store).report("demo", preset("random").to_yaml(), seed)
            )

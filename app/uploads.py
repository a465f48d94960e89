"""Turn uploaded files into a checkpoint folder, or refuse them before a byte is unpacked."""

import io
import re
import shutil
import stat
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from .errors import DISK_FULL, LimitError
from .i18n import LocalizedError
from .settings import Settings

_ALLOWED = re.compile(
    r"(config|generation_config|tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab"
    r"|preprocessor_config|processor_config|modules|config_sentence_transformers|sentence_[\w-]{1,40}_config"
    r"|(model|pytorch_model)(-\d{5}-of-\d{5})?\.(safetensors|bin)\.index|masked|recipe|report)\.(json|txt|yaml)"
    r"|(model|pytorch_model|masked)(-\d{5}-of-\d{5})?\.(safetensors|bin)(\.index\.json)?"
    r"|vocab\.txt|merges\.txt|spiece\.model|sentencepiece\.bpe\.model|tokenizer\.model|recipe\.yaml"
)
_MODULES = re.compile(r"(\d{1,2}_\w{1,40}/){0,2}", re.ASCII)
"""Folders of the modules within a checkpoint of sentence-transformers."""
_IGNORED = re.compile(
    r"(__MACOSX/.*|.*/)?(\.[^/]*|README[^/]*\.md|LICENSE[^/]*|[^/]*\.md)$"
    # files of the Trainer, other frameworks and authors beside a checkpoint: never unpacked
    r"|([^/]+/){0,3}((onnx|openvino)/[^/]+|(data_config|trainer_state)\.json|training_args\.bin"
    r"|(optimizer|scheduler)\.pt|rng_state\w*\.pth|tf_model\.h5|flax_model\.msgpack|rust_model\.ot"
    r"|(all|train|eval|test|predict)_results\.(json|txt)|tokenizer_\w+\.model"
    r"|[^/]*\.(py|onnx|log|csv|ipynb|png|jpe?g|svg|pdf))"
)
_CHUNK = 1 << 20
_LONGEST_DIRECTORY = 1 << 20
"""Bytes; Python's reader keeps an object per entry, and a directory of hundreds of megabytes has millions."""
_UNREADABLE = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, ValueError, EOFError, OSError)
_PACKED_AS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""The other methods let the file choose how much memory unpacking takes."""


class UploadError(LocalizedError):
    """An upload is not a checkpoint, or not one that may be unpacked."""

    def __init__(self, key: str, /, **values: Any) -> None:
        """Say what is wrong by the key of its text, without `upload_bad_` in front."""
        super().__init__(f"upload_bad_{key}", **values)


def take_upload(files: Sequence[str | Path], into: Path, settings: Settings) -> Path:
    """Copy or unpack uploaded files into the empty folder `into` and return it.

    Accepts one zip of a checkpoint folder, or a `.safetensors` file with its `config.json` (and tokenizer files).
    Raises UploadError, and leaves nothing behind, where a name, a link, a count or a size is not allowed.
    """
    given = [Path(file) for file in files]
    if not given:
        raise UploadError("nothing")
    if odd := [path for path in given if not path.is_file()]:
        raise UploadError("unreadable", name=_short(odd[0].name))
    paths = [path for path in given if not _IGNORED.fullmatch(path.name)] or given
    try:
        if len(paths) == 1 and paths[0].suffix.lower() == ".zip":
            _unpack(paths[0], into, settings)
        else:
            _copy(paths, into, settings)
        _check_complete(into)
    except BaseException:
        shutil.rmtree(into, ignore_errors=True)
        raise
    return into


def _copy(paths: Sequence[Path], into: Path, settings: Settings) -> None:
    names = [path.name for path in paths]
    if any(name.lower().endswith(".zip") for name in names):
        raise UploadError("zip_with_others")
    if len(set(names)) < len(names):
        raise UploadError("same_name")
    _check_count(names, settings)
    _check_size(sum(path.stat().st_size for path in paths), settings)
    for path, name in zip(paths, _canonical(names), strict=True):
        _check_name(name)
        into.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, into / name)


def _canonical(names: Sequence[str]) -> list[str]:
    """Rename a single safetensors file, whatever its name, to that of the model."""
    weights = [name for name in names if name.endswith(".safetensors")]
    lone = weights[0] if len(weights) == 1 and not _ALLOWED.fullmatch(weights[0]) else None
    return ["model.safetensors" if name == lone else name for name in names]


def _unpack(archive: Path, into: Path, settings: Settings) -> None:
    try:
        with _BoundedZip(io.FileIO(archive)) as file, zipfile.ZipFile(file) as opened:
            members = _checked(opened, settings)
            into.mkdir(parents=True, exist_ok=True)
            for member, name in members:
                _write(opened, member, into / name)
    except _UNREADABLE as error:
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            raise
        raise UploadError("unreadable", name=_short(archive.name)) from None


class _BoundedZip(io.BufferedReader):
    """A zip whose directory is refused where it is larger than any legitimate one."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > _LONGEST_DIRECTORY:
            raise UploadError("directory", size=size)
        return super().read(size)


def _checked(opened: zipfile.ZipFile, settings: Settings) -> list[tuple[zipfile.ZipInfo, str]]:
    """Check every entry in the zip's directory."""
    infos = opened.infolist()
    _check_count([info.filename for info in infos], settings)
    for info in infos:
        _check_entry(info)
    files = [info for info in infos if not info.is_dir() and not _IGNORED.fullmatch(info.filename)]
    _check_size(sum(info.file_size for info in files), settings)
    _check_packing(None, sum(info.file_size for info in files), sum(info.compress_size for info in files))
    members = _within_one_folder(files)
    names = [name for _, name in members]
    if len(set(names)) < len(names):
        raise UploadError("same_name_in_zip")
    for name in names:
        _check_name(name)
    return members


def _within_one_folder(files: Sequence[zipfile.ZipInfo]) -> list[tuple[zipfile.ZipInfo, str]]:
    """Name files by their path from the folder of the checkpoint, which may hold those of modules."""
    paths = [PurePosixPath(info.filename) for info in files]
    folders = sorted({path.parent for path in paths}, key=lambda folder: len(folder.parts))
    root = folders[0] if folders else PurePosixPath()
    inner = [folder for folder in folders if folder.is_relative_to(root)]
    if len(inner) < len(folders) or not all(_MODULES.fullmatch(f"{one.relative_to(root)}/") for one in inner[1:]):
        raise UploadError("folders", names=_few(sorted(map(str, folders))))
    return [(info, str(path.relative_to(root))) for info, path in zip(files, paths, strict=True)]


def _check_entry(info: zipfile.ZipInfo) -> None:
    if not info.filename:
        raise UploadError("no_name")
    path = PurePosixPath(info.filename.replace("\\", "/"))
    drive = re.match(r"^[A-Za-z]:", info.filename)
    if path.is_absolute() or ".." in path.parts or "\\" in info.filename or drive or "\0" in info.orig_filename:
        raise UploadError("path", name=_short(info.filename))
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise UploadError("link", name=_short(info.filename))
    if info.compress_type not in _PACKED_AS:
        raise UploadError("packed", name=_short(info.filename))
    if info.flag_bits & 0x1:
        raise UploadError("encrypted", name=_short(info.filename))
    _check_packing(info.filename, info.file_size, info.compress_size)


def _check_packing(name: str | None, size: int, packed: int) -> None:
    """Check the compression of one file of a zip, or without a name of all of them."""
    if size > 10 * _CHUNK and size > 200 * max(packed, 1):
        numbers = {"size": size, "packed": packed}
        raise UploadError("bomb", name=_short(name), **numbers) if name else UploadError("bomb_zip", **numbers)


def _check_name(name: str) -> None:
    if name.lower().endswith((".zip", ".tar", ".gz", ".tgz", ".7z", ".xz", ".bz2", ".rar")):
        raise UploadError("nested", name=_short(name))
    if not _ALLOWED.fullmatch(PurePosixPath(name).name):
        raise UploadError("foreign", name=_short(name))


def _check_count(names: Sequence[str], settings: Settings) -> None:
    if len(names) > settings.max_files:
        raise LimitError("files", settings, files=len(names), most=settings.max_files)


def _check_size(total: int, settings: Settings) -> None:
    if total > settings.max_unpacked:
        raise LimitError("unpacked", settings, size=total, most=settings.max_unpacked)


def _check_complete(folder: Path) -> None:
    places = [place for place in (folder, *folder.glob("0_*")) if place.is_dir()]
    names = {path.name for place in places for path in place.iterdir()}
    if "config.json" not in names:
        raise UploadError("no_config")
    if not any(name.endswith((".safetensors", ".bin")) for name in names):
        raise UploadError("no_weights")


def _write(opened: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
    """Unpack one entry, and stop where it is longer than the directory says."""
    left = member.file_size
    target.parent.mkdir(exist_ok=True, parents=True)
    with opened.open(member) as source, target.open("xb") as sink:
        while chunk := source.read(_CHUNK):
            left -= len(chunk)
            if left < 0:
                raise UploadError("longer", name=_short(member.filename))
            sink.write(chunk)


def _few(names: Sequence[str]) -> str:
    return ", ".join(_short(name) for name in names[:3]) + ("…" if len(names) > 3 else "")


def _short(name: str) -> str:
    printable = "".join(c if c.isprintable() else "?" for c in name)
    return repr(printable if len(printable) <= 60 else printable[:57] + "…")

"""Uploaded files become a checkpoint folder, or are refused before a byte is unpacked."""

import re
import shutil
import stat
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from bertprune import BertpruneError

from .settings import Settings

_ALLOWED = re.compile(
    r"(config|generation_config|tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab"
    r"|(model|pytorch_model)(-\d{5}-of-\d{5})?\.(safetensors|bin)\.index|masked|recipe|report)\.(json|txt|yaml)"
    r"|(model|pytorch_model|masked)(-\d{5}-of-\d{5})?\.(safetensors|bin)(\.index\.json)?"
    r"|vocab\.txt|merges\.txt|spiece\.model|sentencepiece\.bpe\.model|tokenizer\.model|recipe\.yaml"
)
_IGNORED = re.compile(r"(__MACOSX/.*|.*/)?(\.[^/]*|README[^/]*\.md|LICENSE[^/]*|[^/]*\.md)$")
_CHUNK = 1 << 20


class UploadError(BertpruneError):
    """An upload is not a checkpoint, or not one that may be unpacked."""


def take_upload(files: Sequence[str | Path], into: Path, settings: Settings) -> Path:
    """Copy or unpack uploaded files into the empty folder `into` and return it.

    Takes one zip of a checkpoint folder, or a `.safetensors` file with its `config.json` (and tokenizer files).
    Raises UploadError, and leaves nothing behind, where a name, a link, a count or a size is not allowed.
    """
    paths = [Path(file) for file in files]
    if not paths:
        raise UploadError(
            "nothing was uploaded; give a zip of a checkpoint folder, or model.safetensors with config.json"
        )
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
        raise UploadError("a zip comes alone; take the other files out of the upload")
    _check_count(names, settings)
    _check_size(sum(path.stat().st_size for path in paths), settings)
    for path, name in zip(paths, _canonical(names), strict=True):
        _check_name(name)
        into.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, into / name)


def _canonical(names: Sequence[str]) -> list[str]:
    """Let a lone safetensors file have any name: it is the model."""
    weights = [name for name in names if name.endswith(".safetensors")]
    lone = weights[0] if len(weights) == 1 and not _ALLOWED.fullmatch(weights[0]) else None
    return ["model.safetensors" if name == lone else name for name in names]


def _unpack(archive: Path, into: Path, settings: Settings) -> None:
    try:
        with zipfile.ZipFile(archive) as opened:
            members = _checked(opened, settings)
            into.mkdir(parents=True, exist_ok=True)
            for member, name in members:
                _write(opened, member, into / name)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise UploadError(f"{archive.name}: not a readable zip file ({type(error).__name__})") from None


def _checked(opened: zipfile.ZipFile, settings: Settings) -> list[tuple[zipfile.ZipInfo, str]]:
    """Judge every entry from the zip's directory alone."""
    infos = opened.infolist()
    _check_count([info.filename for info in infos], settings)
    for info in infos:
        _check_entry(info)
    files = [info for info in infos if not info.is_dir() and not _IGNORED.fullmatch(info.filename)]
    _check_size(sum(info.file_size for info in files), settings)
    folders = {str(PurePosixPath(info.filename).parent) for info in files}
    if len(folders) > 1:
        raise UploadError(
            f"the zip holds files of several folders ({_few(sorted(folders))}); zip one checkpoint folder"
        )
    members = [(info, PurePosixPath(info.filename).name) for info in files]
    names = [name for _, name in members]
    if len(set(names)) < len(names):
        raise UploadError("the zip holds two files of the same name; zip one checkpoint folder")
    for name in names:
        _check_name(name)
    return members


def _check_entry(info: zipfile.ZipInfo) -> None:
    path = PurePosixPath(info.filename.replace("\\", "/"))
    drive = re.match(r"^[A-Za-z]:", info.filename)
    if path.is_absolute() or ".." in path.parts or "\\" in info.filename or drive or "\0" in info.orig_filename:
        raise UploadError(
            f"the zip holds a path that leaves its folder: {_short(info.filename)}; zip the folder itself"
        )
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise UploadError(f"the zip holds a link or a device: {_short(info.filename)}; put the file itself in")
    if info.flag_bits & 0x1:
        raise UploadError(f"the zip is encrypted: {_short(info.filename)}; zip it without a password")
    if info.file_size > 10 * _CHUNK and info.file_size > 200 * max(info.compress_size, 1):
        sizes = f"{info.file_size:,} bytes from {info.compress_size:,}"
        raise UploadError(f"{_short(info.filename)} would unpack to {sizes}; weights do not compress like that")


def _check_name(name: str) -> None:
    if name.lower().endswith((".zip", ".tar", ".gz", ".tgz", ".7z", ".xz", ".bz2", ".rar")):
        raise UploadError(f"{_short(name)} is an archive within the upload; unpack it first")
    if not _ALLOWED.fullmatch(name):
        raise UploadError(
            f"{_short(name)} is not a file of a checkpoint; allowed are config.json, weights and tokenizer files"
        )


def _check_count(names: Sequence[str], settings: Settings) -> None:
    if len(names) > settings.max_files:
        raise UploadError(f"the upload holds {len(names):,} files; at most {settings.max_files:,} are taken")


def _check_size(total: int, settings: Settings) -> None:
    if total > settings.max_unpacked:
        raise UploadError(f"the upload would take {total:,} bytes; at most {settings.max_unpacked:,} are taken here")


def _check_complete(folder: Path) -> None:
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if "config.json" not in names:
        raise UploadError("config.json is missing from the upload; it says what kind of model the weights are")
    if not any(name.endswith((".safetensors", ".bin")) for name in names):
        raise UploadError("no weights are in the upload; add model.safetensors")


def _write(opened: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
    """Unpack one entry, and stop where it turns out longer than its directory said."""
    left = member.file_size
    with opened.open(member) as source, target.open("xb") as sink:
        while chunk := source.read(_CHUNK):
            left -= len(chunk)
            if left < 0:
                raise UploadError(f"{_short(member.filename)} is longer than the zip says")
            sink.write(chunk)


def _few(names: Sequence[str]) -> str:
    return ", ".join(_short(name) for name in names[:3]) + ("…" if len(names) > 3 else "")


def _short(name: str) -> str:
    printable = "".join(c if c.isprintable() else "?" for c in name)
    return repr(printable if len(printable) <= 60 else printable[:57] + "…")

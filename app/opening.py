"""What a visitor brings: a checkpoint of the package, the Hub, a folder or an upload; and files of texts."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

import bertprune as bp

from .errors import PageError, naming_field
from .runs import EMBEDDED, Source, TextFile, Texts
from .runtime import new_folder, remove
from .store import Store
from .uploads import take_upload

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9][\w.-]{0,95})?")
_REVISION = re.compile(r"[\w./-]{1,100}")
_HUB = ("huggingface.co", "hf.co")


def offered() -> tuple[str, ...]:
    """List the embedded checkpoints of this installation, the default first."""
    folder = Path(bp.__file__).parent / "demo"
    there = {"demo": folder / "sentiment" / "config.json", "demo-mlm": folder / "mlm" / "config.json"}
    return tuple(name for name in EMBEDDED if name not in there or there[name].is_file())


def open_given(store: Store, given: str) -> Source:
    """Open what is typed: an embedded name, a Hub id or its address, or locally a path. Raises BertpruneError."""
    text = given.strip()
    if not text:
        raise PageError("open_no_name")
    if text in EMBEDDED:
        return _opened(store, Source(text), "embedded")
    if _is_path(text) and not store.settings.hosted:
        path = Path(text)
        from_home = text.startswith("~")  # which the library resolves
        return _opened(store, Source(str(path if from_home else path.absolute()), shown=path.name), "folder")
    return open_hub(store, *_hub_id(text))


def _is_path(text: str) -> bool:
    return (
        text.startswith(("/", "~", "./", "../", ".\\", "\\"))
        or text == "."
        or re.match(r"[A-Za-z]:[\\/]", text) is not None
    )


def _hub_id(text: str) -> tuple[str, str]:
    """Split an id or an address of the Hub into the id and a revision."""
    if "://" not in text:
        name, _, revision = text.partition("@")
        return name, revision
    address = urlsplit(text)
    parts = unquote(address.path).strip("/").split("/")
    if address.netloc.removeprefix("www.") not in _HUB:
        return text, ""
    revision = "/".join(parts[3:]) if parts[2:3] == ["tree"] else ""
    return "/".join(parts[:2]), revision


def open_hub(store: Store, name: str, revision: str = "") -> Source:
    """Open a model from the Hub. Raises BertpruneError."""
    if not _HUB_ID.fullmatch(name):
        raise PageError("open_bad_id", given=name[:80])
    if revision and not _REVISION.fullmatch(revision):
        raise PageError("open_bad_revision", given=revision[:80])
    return _opened(store, Source(name, revision or None, local=False), "hub")


def open_upload(store: Store, files: Sequence[str]) -> Source:
    """Open uploaded files. Raises BertpruneError, and leaves nothing behind."""
    if not files:
        raise PageError("open_no_files")
    home = new_folder()
    names = [Path(file).name for file in files]
    shown = next((name for name in names if name.endswith((".zip", ".safetensors"))), names[0]).rsplit(".", 1)[0]
    try:
        with naming_field("upload"):
            name = re.sub(r"[^\w.-]+", "-", shown).strip(".-") or "upload"
            folder = take_upload(files, home / name, store.settings)
    except BaseException:
        remove(home)
        raise
    return _opened(store, Source(str(folder), folder=str(home), shown=shown), "upload")


def _opened(store: Store, source: Source, field: str) -> Source:
    try:
        with naming_field(field):
            store.checkpoint(source)
    except BaseException:
        store.forget(source)
        raise
    return source


def name_of(store: Store, source: Source) -> str:
    """Return the name to show."""
    return source.shown or store.checkpoint(source).name


def first_module(root: bp.ModuleNode) -> str:
    """Return the module to show first: the first key projection, as in the tutorial."""
    holders = [node for node in root.walk() if node.own_parameters]
    keys = [node.path for node in holders if node.place and node.place.role == "attention.key"]
    return keys[0] if keys else (holders[0].path if holders else root.path)


def check_texts(texts: Texts | None) -> None:
    """Refuse texts with which no run can begin. Raises BertpruneError."""
    if texts is not None and texts.file is None:
        raise PageError("texts_none")
    with naming_field("texts"):
        if texts is not None and Path(texts.file.path).is_file():  # type: ignore[union-attr]
            texts.read()


def take_texts(file: str) -> TextFile:
    """Keep an uploaded file, and count its texts. Raises BertpruneError where it has none."""
    with naming_field("texts"):
        return _keep(lambda home: Path(shutil.copy(file, home)), lambda path: len(bp.Calibration(path)))


def take_table(file: str) -> TextFile:
    """Keep an uploaded file to measure on; what is wrong with it is said when it is measured on."""
    return _keep(lambda home: Path(shutil.copy(file, home)), lambda path: 0)


def take_lines(lines: str) -> TextFile:
    """Keep texts, one a line, and count them. Raises BertpruneError where there are none."""

    def write(home: Path) -> Path:
        rows = [json.dumps({"text": line.strip()}) for line in lines.splitlines() if line.strip()]
        path = home / "texts.jsonl"
        path.write_text("\n".join(rows), encoding="utf-8")
        return path

    with naming_field("texts"):
        return _keep(write, lambda path: len(bp.Calibration(path)))


def _keep(write: Callable[[Path], Path], count: Callable[[Path], int]) -> TextFile:
    """Write a file into a folder of its own. Raises BertpruneError where it cannot be counted."""
    home = new_folder()
    try:
        path = write(home)
        texts = count(path)
        with path.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256")
        digest.update(path.suffix.lower().encode())  # which says how it is read
    except BaseException:
        remove(home)
        raise
    return TextFile(digest.hexdigest(), texts, path.name, str(path), str(home))

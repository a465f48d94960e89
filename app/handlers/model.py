"""Open a checkpoint and list what can be selected in it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import bertprune as bp

from ..archives import take_upload
from ..folders import new_folder, remove
from ..session import Shelf, Source
from ..trouble import PageError, naming_field

EMBEDDED = ("demo", "demo-mlm", "kobert-shape")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9][\w.-]{0,95})?")


def offered() -> tuple[str, ...]:
    """List the embedded checkpoints of this installation, the default first."""
    folder = Path(bp.__file__).parent / "demo"
    there = {"demo": folder / "sentiment" / "config.json", "demo-mlm": folder / "mlm" / "config.json"}
    return tuple(name for name in EMBEDDED if name not in there or there[name].is_file())


@dataclass(frozen=True)
class Wanted:
    """What a visitor typed or uploaded to open a checkpoint."""

    kind: str
    """The name of an embedded checkpoint, or `hub`, `upload`, `folder`."""
    hub_id: str = ""
    revision: str = ""
    path: str = ""
    files: Sequence[str] = ()


def open_source(shelf: Shelf, wanted: Wanted, old: Source) -> Source:
    """Open a checkpoint, remove the old upload, and return the new source. Raises BertpruneError."""
    field = wanted.kind if wanted.kind in ("hub", "upload", "folder") else "embedded"
    with naming_field(field):
        source = _source(shelf, wanted)
    try:
        with naming_field(field):
            shelf.checkpoint(source)
    except BaseException:
        shelf.forget(source)
        raise
    if old.folder != source.folder:
        shelf.forget(old)
    return source


def _source(shelf: Shelf, wanted: Wanted) -> Source:
    if wanted.kind in EMBEDDED:
        return Source(wanted.kind)
    if wanted.kind == "hub":
        return _from_hub(wanted)
    if wanted.kind == "upload":
        return _from_upload(shelf, wanted)
    if wanted.kind == "folder" and not shelf.settings.hosted:
        if not wanted.path.strip():
            raise PageError("open_no_path")
        path = Path(wanted.path.strip())
        from_home = wanted.path.strip().startswith("~")  # which the library resolves
        return Source(str(path if from_home else path.absolute()), shown=path.name)
    raise PageError("open_nothing")


def _from_hub(wanted: Wanted) -> Source:
    hub_id, revision = wanted.hub_id.strip(), wanted.revision.strip()
    if not hub_id:
        raise PageError("open_no_id")
    if not _HUB_ID.fullmatch(hub_id):
        raise PageError("open_bad_id", given=hub_id[:80])
    if revision and not re.fullmatch(r"[\w./-]{1,100}", revision):
        raise PageError("open_bad_revision", given=revision[:80])
    return Source(hub_id, revision or None, local=False)


def _from_upload(shelf: Shelf, wanted: Wanted) -> Source:
    if not wanted.files:
        raise PageError("open_no_files")
    home = new_folder()
    names = [Path(file).name for file in wanted.files]
    shown = next((name for name in names if name.endswith((".zip", ".safetensors"))), names[0]).rsplit(".", 1)[0]
    try:
        folder = take_upload(
            wanted.files, home / (re.sub(r"[^\w.-]+", "-", shown).strip(".-") or "upload"), shelf.settings
        )
    except BaseException:
        remove(home)
        raise
    return Source(str(folder), folder=str(home), shown=shown)


def name_of(shelf: Shelf, source: Source) -> str:
    """Return the name to show."""
    return source.shown or shelf.checkpoint(source).name


@dataclass(frozen=True)
class Choices:
    """What can be selected in a model."""

    types: tuple[tuple[str, int], ...]
    """Class names of the modules with tensors, with their number."""
    first: str
    """The module to show first: the first key projection, as in the tutorial."""


def choices_of(root: bp.ModuleNode) -> Choices:
    """Read the types and the first module to show from a tree."""
    nodes = list(root.walk())
    holders = [node for node in nodes if node.own_parameters]
    keys = [node.path for node in holders if node.place and node.place.role == "attention.key"]
    first = keys[0] if keys else (holders[0].path if holders else root.path)
    types = Counter(node.type for node in holders)
    return Choices(tuple(types.most_common()), first)

"""Take calibration texts from a visitor, and say what is there and what is missing."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

import bertprune as bp

from ..folders import new_folder, remove
from ..i18n import say
from ..offers import reads_texts
from ..session import Shelf, Source
from ..texts import TextFile, Texts
from ..trouble import PageError, naming_field
from ..views.html import note
from .model import EMBEDDED


@dataclass(frozen=True)
class Given:
    """The fields of the calibration texts, in the order of the page."""

    file: TextFile | None = None
    way: str = "own"
    """`own` for the texts that the checkpoint brings, where it brings some, or `file`."""
    count: Any = 512
    max_length: Any = 128

    def are_own(self, source: Source) -> bool:
        """Return whether the texts are those that the checkpoint brings."""
        return self.way == "own" and brings_texts(source)

    def chosen(self, source: Source, recipe: bp.Recipe) -> Texts | None:
        """Return what a run is calibrated on; None where it reads no texts, or those that the checkpoint brings."""
        asked = any(reads_texts(step.method, step.reconstruct, step.fraction == 1) for step in recipe.steps)
        return Texts(self.file, self.count, self.max_length) if asked and not self.are_own(source) else None


def brings_texts(source: Source) -> bool:
    """Return whether a checkpoint comes with texts: the embedded ones share those of the demo."""
    return source.given in EMBEDDED


def check(texts: Texts | None) -> None:
    """Refuse texts with which no run can begin. Raises BertpruneError."""
    if texts is not None and texts.file is None:
        raise PageError("texts_none")
    with naming_field("texts"):
        if texts is not None and Path(texts.file.path).is_file():  # type: ignore[union-attr]
            texts.read()


def take(file: str) -> TextFile:
    """Keep an uploaded file, and count its texts. Raises BertpruneError where it has none."""
    return _keep(lambda home: Path(shutil.copy(file, home)))


def take_lines(lines: str) -> TextFile:
    """Keep texts, one a line, and count them. Raises BertpruneError where there are none."""

    def write(home: Path) -> Path:
        rows = [json.dumps({"text": line.strip()}) for line in lines.splitlines() if line.strip()]
        path = home / "texts.jsonl"
        path.write_text("\n".join(rows), encoding="utf-8")
        return path

    return _keep(write)


def _keep(write: Callable[[Path], Path]) -> TextFile:
    """Write a file into a folder of its own, and count its texts. Raises BertpruneError where it has none."""
    home = new_folder()
    try:
        path = write(home)
        with naming_field("texts"):
            count = len(bp.Calibration(path))
        with path.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256")
        digest.update(path.suffix.lower().encode())  # which says how it is read
    except BaseException:
        remove(home)
        raise
    return TextFile(digest.hexdigest(), count, path.name, str(path), str(home))


def show(language: str, shelf: Shelf, source: Source, given: Given) -> Markup:
    """Say which texts a run would be calibrated on, or which are missing."""
    if given.are_own(source):
        return note(say(language, "texts_are_own"))
    if given.file is None:
        return note(say(language, "texts_none"), "bp-refused")
    if not shelf.has(given.file):
        return note(say(language, "texts_gone", name=given.file.shown), "bp-refused")
    return note(say(language, "texts_there", name=given.file.shown, count=f"{given.file.texts:,}"))


def to_keep(shelf: Shelf, texts: Given | Texts | None) -> dict[str, Any] | None:
    """Return what the browser keeps of them; the file stays here, under a ticket."""
    if texts is None:
        return None
    file = texts.file
    kept = {"count": texts.count, "max_length": texts.max_length}
    ticket = None if file is None else shelf.ticket(file)
    return {
        **kept,
        "ticket": ticket,
        "shown": None if file is None else file.shown,
        "way": getattr(texts, "way", "file"),
    }


def given_again(shelf: Shelf, kept: Any) -> Given:
    """Return the fields as the browser kept them; without the file where it was removed."""
    if not isinstance(kept, dict):
        return Given()
    file = shelf.ticketed(kept.get("ticket"), TextFile)
    return Given(file, "file" if kept.get("way") == "file" else "own", *_numbers(kept))


def texts_again(shelf: Shelf, kept: Any) -> Texts | None:
    """Return what a run that the browser kept was calibrated on. Raises ValueError where it was removed."""
    if not isinstance(kept, dict):
        return None
    if (file := shelf.ticketed(kept.get("ticket"), TextFile)) is None:
        raise ValueError("the calibration texts were removed")
    return Texts(file, *_numbers(kept))


def is_lost(shelf: Shelf, kept: Any) -> str | None:
    """Return the name of a kept file that was removed; None where none was."""
    lost = isinstance(kept, dict) and kept.get("ticket") and shelf.ticketed(kept["ticket"], TextFile) is None
    return str(kept.get("shown")) if lost else None


def _numbers(kept: dict[str, Any]) -> list[Any]:
    given = (kept.get("count"), kept.get("max_length"))
    return [one if isinstance(one, int | float) else None for one in given]

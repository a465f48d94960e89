"""Build the export as a zip, and show what it contains."""

from __future__ import annotations

import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

import bertprune as bp

from ..folders import new_folder, remove
from ..i18n import say
from ..session import Done, Progress, Shelf, measured
from ..trouble import PageError, naming_field
from ..views.take import SIZED, estimate_view, result_view
from ..weigh import export_size

_LONGEST = 60
"""Characters of a checkpoint's name in the name of a file, whatever their width in bytes."""
CHUNK = 1 << 22
_EPOCH = (1980, 1, 1, 0, 0, 0)  # a fixed time: the same run gives the same bytes


@dataclass(frozen=True)
class Parcel:
    """A finished export: its zip, and what it contains."""

    zip: Path
    form: str
    files: dict[str, int]
    checked: int
    zipped: int
    card: str
    architecture: str
    loads: str
    """What is needed to load it: `plain`, `bertprune` or `anywhere`."""
    drift: Any
    """How far its answers are from those of the pruned model; None where they are the same."""

    @property
    def bytes(self) -> int:
        """The size of the files before zipping."""
        return sum(self.files.values())


def build(
    language: str, shelf: Shelf, done: Done | None, form: str, precision: str, progress: Progress | None = None
) -> Parcel:
    """Export the run, which reads it back and compares it, and zip it. Raises BertpruneError."""
    if done is None:
        raise PageError("result_none")
    with shelf.model_of(done) as run, naming_field("form"):
        return _build(language, done, run, form, precision, progress or shelf.timed())


def _build(language: str, done: Done, run: bp.PruningRun, form: str, precision: str, progress: Progress) -> Parcel:
    home = new_folder()
    name = _plain("-".join([(done.source.shown or run.checkpoint.name)[:_LONGEST], form[:10], precision[:10]]))
    numbers = {"quantize" if precision == "int8" else "dtype": precision} if precision else {}
    try:
        subject = measured(run)
        result = bp.export(
            subject, home / name, form=form, progress=lambda share, words: progress(0.8 * share, words), **numbers
        )
        card = home / name / "README.md"
        text = card.read_text(encoding="utf-8") if card.is_file() else ""
        packed = _zip(home / name, home / f"{name}.zip", say(language, "take_zipping"), progress)
    except BaseException:
        remove(home)
        raise
    shutil.rmtree(home / name)
    return Parcel(
        packed, form, dict(result.files), result.checked, packed.stat().st_size, text,
        run.checkpoint.facts.architecture, result.loads, result.drift,
    )  # fmt: skip


def _zip(folder: Path, target: Path, words: str, progress: Progress) -> Path:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    total, done = sum(path.stat().st_size for path in files), 0
    with zipfile.ZipFile(target, "w") as packed:
        for path in files:
            entry = zipfile.ZipInfo(f"{folder.name}/{path.relative_to(folder).as_posix()}", _EPOCH)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            with path.open("rb") as source, packed.open(entry, "w", force_zip64=True) as sink:
                while chunk := source.read(CHUNK):
                    progress(0.8 + 0.2 * done / total, words)
                    done += sink.write(chunk)
    return target


def _plain(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in name).strip(".-") or "model"


def show_parcel(language: str, parcel: Parcel | None) -> Markup:
    """Show what was built and checked."""
    return Markup("") if parcel is None else result_view(language, parcel)


def show_estimate(language: str, shelf: Shelf, done: Done | None, form: str) -> Markup:
    """Show the estimated size of the export, how it is loaded, and that zeros do not make a file smaller."""
    if done is None or form not in SIZED:
        return estimate_view(language, form, None, None)
    checkpoint = shelf.checkpoint(done.source)
    size = shelf.keep((done, "weight", form), lambda: (export_size(checkpoint, shelf.run(done), form), 200))
    return estimate_view(language, form, size, checkpoint.facts.bytes)


def throw_away(parcel: Parcel | None) -> None:
    """Remove a zip that is not needed any more."""
    if parcel is not None:
        remove(parcel.zip.parent)

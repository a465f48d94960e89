"""A run as a zip: exported, read back and compared, packed."""

from __future__ import annotations

import shutil
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import bertprune as bp

from .errors import naming_field
from .i18n import say
from .runs import RunKey, TextFile
from .runtime import new_folder, remove
from .store import Progress, Store, measured

_LONGEST = 60
"""Characters of a checkpoint's name in the name of a file, whatever their width in bytes."""
CHUNK = 1 << 22
_TEXTS = 64
"""On how many texts it is measured what other numbers change."""
_EPOCH = (1980, 1, 1, 0, 0, 0)  # a fixed time: the same run gives the same bytes


@dataclass(frozen=True)
class Built:
    """A finished export: its zip, and what it contains."""

    zip: Path
    form: str
    """A key of `FORMS`."""
    precision: str
    files: dict[str, int]
    checked: int
    zipped: int
    card: str
    architecture: str
    loads: str
    """What is needed to load it: `plain`, `bertprune` or `anywhere`."""
    drift: Any
    """How far its answers are from those of the pruned model; None where they are the same."""
    texts: str = ""
    """The file of a visitor's own on which that was measured."""
    speed: Any = None
    """How fast it is beside the checkpoint; None until that is asked for."""

    @property
    def named(self) -> dict[str, str]:
        """The form and the precision, which identify it among the exports of its run."""
        return {"form": self.form, "precision": self.precision}

    @property
    def bytes(self) -> int:
        """The size of the files before zipping."""
        return sum(self.files.values())


def export(
    store: Store,
    key: RunKey,
    form: str,
    precision: str,
    language: str = "en",
    report: Progress | None = None,
    texts: TextFile | None = None,
) -> Built:
    """Export a run, which reads it back and compares it, and zip it. Raises BertpruneError.

    What half precision and int8 change is measured on the texts of the run, or else on `texts`, a visitor's own.
    """
    precision = "int8" if form == "int8" else precision
    half = precision not in ("", "float32")
    file = texts if key.texts is None else key.texts.file
    own = {"texts": bp.Calibration(file.path, count=_TEXTS)} if half and file and store.still_has(file) else {}
    with store.model_of(key) as run, naming_field("form"):
        built = _export(key, run, form, precision, own, say(language, "take_zipping"), report or store.timed())
    return replace(built, texts=file.shown) if file and own else built


def _export(
    key: RunKey, run: bp.PruningRun, form: str, precision: str, own: Any, words: str, report: Progress
) -> Built:
    home = new_folder()
    written = "onnx" if form == "int8" else form
    name = _plain("-".join([(key.source.shown or run.checkpoint.name)[:_LONGEST], written[:10], precision[:10]]))
    numbers: dict[str, Any] = {"quantize" if precision == "int8" else "dtype": precision} if precision else {}
    try:
        result = bp.export(
            measured(run), home / name, form=written, progress=lambda share, said: report(0.8 * share, said),
            **numbers, **own,
        )  # fmt: skip
        card = home / name / "README.md"
        text = card.read_text(encoding="utf-8") if card.is_file() else ""
        packed = _zip(home / name, home / f"{name}.zip", words, report)
    except BaseException:
        remove(home)
        raise
    shutil.rmtree(home / name)
    return Built(
        packed, form, "" if form == "int8" else precision, dict(result.files), result.checked, packed.stat().st_size,
        text, run.checkpoint.facts.architecture, result.loads, result.drift,
    )  # fmt: skip


def _zip(folder: Path, target: Path, words: str, report: Progress) -> Path:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    total, done = sum(path.stat().st_size for path in files), 0
    with zipfile.ZipFile(target, "w") as packed:
        for path in files:
            entry_ = zipfile.ZipInfo(f"{folder.name}/{path.relative_to(folder).as_posix()}", _EPOCH)
            entry_.compress_type, entry_.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            with path.open("rb") as source, packed.open(entry_, "w", force_zip64=True) as sink:
                while chunk := source.read(CHUNK):
                    report(0.8 + 0.2 * done / total, words)
                    done += sink.write(chunk)
    return target


def _plain(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in name).strip(".-") or "model"

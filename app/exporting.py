"""A run as a zip: how large it will be, exported, read back and compared, packed."""

from __future__ import annotations

import shutil
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bertprune as bp

from .errors import naming_field
from .i18n import say
from .runs import RunKey
from .runtime import new_folder, remove
from .store import Progress, Store, measured

_LONGEST = 60
"""Characters of a checkpoint's name in the name of a file, whatever their width in bytes."""
CHUNK = 1 << 22
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
    speed: Any = None
    """How fast it is beside the checkpoint; None until that is asked for."""

    @property
    def named(self) -> dict[str, str]:
        """What tells it apart from what else was built of its run."""
        return {"form": self.form, "precision": self.precision}

    @property
    def bytes(self) -> int:
        """The size of the files before zipping."""
        return sum(self.files.values())


def export(
    store: Store, key: RunKey, form: str, precision: str, language: str = "en", report: Progress | None = None
) -> Built:
    """Export a run, which reads it back and compares it, and zip it. Raises BertpruneError."""
    precision = "int8" if form == "int8" else precision
    with store.model_of(key) as run, naming_field("form"):
        return _export(key, run, form, precision, say(language, "take_zipping"), report or store.timed())


def _export(key: RunKey, run: bp.PruningRun, form: str, precision: str, words: str, report: Progress) -> Built:
    home = new_folder()
    written = "onnx" if form == "int8" else form
    name = _plain("-".join([(key.source.shown or run.checkpoint.name)[:_LONGEST], written[:10], precision[:10]]))
    numbers: dict[str, Any] = {"quantize" if precision == "int8" else "dtype": precision} if precision else {}
    try:
        result = bp.export(
            measured(run), home / name, form=written, progress=lambda share, said: report(0.8 * share, said), **numbers
        )
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


_PIECES, _LENGTH = 16, 1 << 11
"""How many pieces of each tensor, of how many values, are zipped to estimate how well all of it compresses."""


@dataclass(frozen=True)
class ExportSize:
    """The bytes of an export's weight files."""

    stored: int
    """The size of the source, plus a byte per mask entry where masks are kept."""
    zipped: int
    """An estimate from pieces of each tensor."""


def export_size(checkpoint: Any, run: Any, form: str) -> ExportSize:
    """Estimate the size of a run's weights in a form of export, without building the run's model."""
    import torch

    known, model = checkpoint.facts, checkpoint.model(run.seed)
    dtype = getattr(torch, known.dtype, torch.float32)
    stored = zipped = 0
    for one in run.report.tensors:
        tensor, mask = weight_after(run, model, one), mask_after(run, model, one)
        piece, kept = _sample(tensor), None if mask is None else _sample(mask)
        if kept is not None and form == "baked":
            piece = piece * kept
        parts = [(piece.to(dtype), dtype.itemsize)]
        if kept is not None and form == "masked":
            parts.append((kept, 1))
        for part, bytes_each in parts:
            stored += tensor.numel() * bytes_each
            zipped += int(tensor.numel() * bytes_each * _compression(part))
    same_files = form == "baked" and checkpoint.pruning is None
    return ExportSize((known.bytes or stored) if same_files else stored, zipped)


def _sample(tensor: Any) -> Any:
    """Take pieces from all over a tensor: rows of rare words differ from those of frequent ones."""
    flat = tensor.reshape(-1)
    if len(flat) <= _PIECES * _LENGTH:
        return flat
    return flat[: len(flat) // _PIECES * _PIECES].view(_PIECES, -1)[:, :_LENGTH].reshape(-1)


def _compression(piece: Any) -> float:
    """Return the share of a piece's bytes that is left after zipping."""
    import torch

    content = piece.contiguous().view(torch.uint8).numpy().tobytes()
    return len(zlib.compress(content)) / max(1, len(content))


def weight_after(run: Any, model: Any, tensor: Any) -> Any:
    """Return the values of a counted tensor without its mask: those that a run adjusted, or those that it came with."""
    if tensor.name in run.values:
        return run.values[tensor.name]
    module = model.get_submodule(tensor.module)
    return getattr(module, f"{tensor.tensor}_orig", getattr(module, tensor.tensor)).detach()


def mask_before(model: Any, tensor: Any) -> Any:
    """Return the mask with which a tensor came, as bool; None for one that came without."""
    mask = getattr(model.get_submodule(tensor.module), f"{tensor.tensor}_mask", None)
    return None if mask is None else mask.bool()


def mask_after(run: Any, model: Any, tensor: Any) -> Any:
    """Return the mask that a run leaves on a tensor: its own, or the one with which the tensor came."""
    return run.masks[tensor.name] if tensor.name in run.masks else mask_before(model, tensor)

"""How large an export will be, before it is built."""

import zlib
from dataclasses import dataclass
from typing import Any

from .weights import mask_after, weight_after

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

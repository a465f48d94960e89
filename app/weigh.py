"""What an export will weigh, before it is built."""

import zlib
from dataclasses import dataclass
from typing import Any

_PIECES, _LENGTH = 16, 1 << 11
"""How many pieces of each tensor, of how many values, are zipped to tell how well the whole would pack."""


@dataclass(frozen=True)
class Weight:
    """The bytes of an export's weight files."""

    stored: int
    """As many as the source has, and a byte a mask entry where masks are kept."""
    zipped: int
    """About; foreseen from pieces of each tensor."""


def weigh(checkpoint: Any, run: Any, form: str) -> Weight:
    """Foresee how much the weights of a run on a checkpoint take in a form of export; its model is not built."""
    import torch

    known, model, masks = checkpoint.facts, checkpoint.model(run.seed), run.masks
    dtype = getattr(torch, known.dtype, torch.float32)
    stored = zipped = 0
    for name, tensor in model.named_parameters():
        piece, kept = _sample(tensor.detach()), _sample(masks[name]) if name in masks else None
        if kept is not None and form == "baked":
            piece = piece * kept
        parts = [(piece.to(dtype), dtype.itemsize)]
        if kept is not None and form == "masked":
            parts.append((kept, 1))
        for part, bytes_each in parts:
            stored += tensor.numel() * bytes_each
            zipped += int(tensor.numel() * bytes_each * _packs_to(part))
    return Weight((known.bytes or stored) if form == "baked" else stored, zipped)


def _sample(tensor: Any) -> Any:
    """Take pieces from all over a tensor: rows of rare words are not like those of frequent ones."""
    flat = tensor.reshape(-1)
    if len(flat) <= _PIECES * _LENGTH:
        return flat
    return flat[: len(flat) // _PIECES * _PIECES].view(_PIECES, -1)[:, :_LENGTH].reshape(-1)


def _packs_to(piece: Any) -> float:
    """Zip a piece; return the share of its bytes that is left."""
    import torch

    content = piece.contiguous().view(torch.uint8).numpy().tobytes()
    return len(zlib.compress(content)) / max(1, len(content))

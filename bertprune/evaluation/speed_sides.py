"""The models whose speed is compared: opened as they load, with their sizes."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ..checkpoint import Checkpoint
from ..checkpoint.loading import HALF, dtype_as_loaded
from ..checkpoint.onnx_folder import OnnxFolder, find_onnx, onnxruntime_version
from ..errors import CheckpointError, Note
from ..model.bake import bake
from ..model.copies import copied
from ..model.macs import computed_macs
from ..model.names import pruned_names
from .models import Model, checked_model, is_run


@dataclass(frozen=True)
class Sized:
    """What is known of a model without running it; None where it is not known."""

    name: str
    runtime: str
    """What runs it, with its version."""
    dtype: str
    """The dtype of its weights as it loads."""
    parameters: int | None
    """How many numbers it holds, tied ones once."""
    memory: int | None
    """The bytes of its weights and buffers in memory."""
    disk: int | None
    """The bytes of its weight files."""
    macs: tuple[float, float] | None
    """The multiply-accumulates of its layers for each token of a text, and for each pair of its tokens."""

    def macs_at(self, length: float) -> float | None:
        """Return the MACs of a text of so many tokens."""
        if self.macs is None:
            return None
        token, pair = self.macs
        return token * length + pair * length**2


@dataclass(frozen=True)
class TimedSide:
    """One of the compared models, ready to run."""

    model: PreTrainedModel
    sized: Sized
    tokenizer: PreTrainedTokenizerBase | None
    notes: tuple[Note, ...] = ()


def open_side(role: str, given: Model) -> TimedSide:
    """Open a model as it leaves or loads: in its own dtype, with its masks baked. Raises DataError, CheckpointError."""
    if (onnx := find_onnx(given)) is not None:
        return _of_onnx(onnx)
    if isinstance(given, str | Path | Checkpoint):
        checkpoint = Checkpoint.open(given)
        return _stored(checkpoint, checkpoint.name, checked_model(role, checkpoint.model()), checkpoint.facts.bytes)
    if is_run(given):
        side = _stored(given.checkpoint, f"{given.checkpoint.name}, pruned", checked_model(role, given.model), None)
        return replace(side, tokenizer=given.tokenizer) if side.tokenizer is not None else side
    model = checked_model(role, given)
    return _ready(type(model).__name__, model, model.dtype, None, None)


def _of_onnx(folder: OnnxFolder) -> TimedSide:
    model, size = folder.model(), folder.size()
    sized = Sized(
        name=folder.title,
        runtime=f"onnxruntime {onnxruntime_version()}",
        dtype=folder.made.quantize or folder.made.dtype or "unknown dtype",
        parameters=folder.made.parameters,
        memory=size,
        disk=size,
        macs=folder.made.macs,
    )
    return TimedSide(model, sized, _tokenizer(folder))


def _stored(checkpoint: Checkpoint, name: str, model: PreTrainedModel, disk: int | None) -> TimedSide:
    return _ready(name, model, dtype_as_loaded(checkpoint.facts, model), _tokenizer(checkpoint), disk or None)


def _tokenizer(checkpoint: Checkpoint | OnnxFolder) -> PreTrainedTokenizerBase | None:
    """Return a checkpoint's tokenizer; where there is none, token ids can still be made up."""
    try:
        return checkpoint.tokenizer()
    except CheckpointError:
        return None


def _ready(
    name: str,
    model: PreTrainedModel,
    dtype: torch.dtype,
    tokenizer: PreTrainedTokenizerBase | None,
    disk: int | None,
) -> TimedSide:
    notes = []
    masked = any(name for module in model.modules() for name in pruned_names(module))
    if masked or dtype != model.dtype:
        model = bake(copied(model)).to(dtype)
    if masked:
        notes.append(
            Note(
                "{name} is timed as it leaves baked: hooks would derive its weights anew for each batch",
                code="note.timed_baked", name=name,
            )
        )  # fmt: skip
    written = str(dtype).removeprefix("torch.")
    if written in HALF and model.device.type == "cpu":
        notes.append(
            Note(
                '{name} is timed in {dtype}, as it loads; from_pretrained(…, dtype="float32") is another speed',
                code="note.timed_half", name=name, dtype=written,
            )
        )  # fmt: skip
    sized = Sized(
        name=name,
        runtime=f"torch {torch.__version__}",
        dtype=written,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        memory=_memory(model),
        disk=disk,
        macs=computed_macs(model),
    )
    return TimedSide(model, sized, tokenizer, tuple(notes))


def _memory(model: nn.Module) -> int:
    storages = {
        tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes()
        for tensor in (*model.parameters(), *model.buffers())
    }
    return sum(storages.values())

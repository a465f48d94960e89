"""Who is compared with whom: a run's two models, or two that the caller holds."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ..checkpoint import Checkpoint
from ..errors import CheckpointError, DataError


@dataclass(frozen=True)
class Subjects:
    """The model to score, the one it is compared with if any, their names, and the tokenizer of both."""

    after: PreTrainedModel
    before: PreTrainedModel | None
    after_name: str
    before_name: str | None
    tokenizer: PreTrainedTokenizerBase


def resolve(model: Any, baseline: Any, tokenizer: Any) -> Subjects:
    """Build the models and the tokenizer that the caller's words stand for. Raises DataError, CheckpointError."""
    if _is_run(model):
        before = baseline if baseline is not None else model.checkpoint
        seed, source, name = model.seed, model.checkpoint, f"{model.checkpoint.name}, pruned"
        after = _model("the run's model", model.model)
    else:
        before, seed = baseline, 0
        source = _checkpoint(model)
        after, name = _open("model", source or model, seed)
    other = _checkpoint(before)
    reference, before_name = (None, None) if before is None else _open("baseline", other or before, seed)
    lender = source or other or (before.checkpoint if _is_run(before) else None)
    return Subjects(after, reference, name, before_name, _tokenizer(tokenizer, lender))


def _is_run(model: Any) -> bool:
    """Tell by the names, since evaluation does not know the room of runs; asking for `model` would build it."""
    return not isinstance(model, nn.Module) and all(hasattr(model, name) for name in ("checkpoint", "recipe", "seed"))


def _checkpoint(source: Any) -> Checkpoint | None:
    return Checkpoint.open(source) if isinstance(source, str | Path | Checkpoint) else None


def _open(role: str, source: Any, seed: int) -> tuple[PreTrainedModel, str]:
    if isinstance(source, Checkpoint):
        return _model(role, source.model(seed)), source.name
    if _is_run(source):
        return _model(role, source.model), f"{source.checkpoint.name}, pruned"
    return _model(role, source), type(source).__name__


def _model(role: str, model: Any) -> PreTrainedModel:
    if not isinstance(model, PreTrainedModel):
        raise DataError(f"{role} is a {type(model).__name__}: expected a transformers model, a run or a checkpoint")
    if any(parameter.is_meta for parameter in model.parameters()):
        raise DataError(f"{role} is a {type(model).__name__} on the meta device: load its weights first")
    return model


def _tokenizer(tokenizer: Any, checkpoint: Checkpoint | None) -> PreTrainedTokenizerBase:
    if isinstance(tokenizer, PreTrainedTokenizerBase):
        return tokenizer
    if tokenizer is not None and not isinstance(tokenizer, str | Path):
        raise DataError(f"tokenizer is a {type(tokenizer).__name__}: expected a tokenizer, a folder or a name")
    if tokenizer is None and checkpoint is None:
        raise DataError("a model of one's own comes without its tokenizer: pass tokenizer=")
    try:
        return _load(tokenizer, checkpoint)
    except CheckpointError as error:
        raise DataError(str(error)) from None


def _load(tokenizer: str | Path | None, checkpoint: Checkpoint | None) -> PreTrainedTokenizerBase:
    # Any checkpoint can load another's tokenizer; this one is always there and reads no file.
    return (checkpoint or Checkpoint.open("kobert-shape")).tokenizer(tokenizer)

"""Whether a smaller model gives what the masked one gives, on a few made-up texts."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from ..checkpoint.loading import rebuild
from ..data.batches import position_limit
from ..errors import ExportError
from .contents import Contents

_LENGTHS = (12, 7, 2)
"""In tokens; shorter texts are padded."""
_TOLERANCE = 1e-5
"""How far an output may be off, as a share of the largest one beside it."""


def outputs_of(contents: Contents) -> list[Tensor]:
    """Return what the masked model gives; it is built for that, around the tensors that are there."""
    return outputs(model_of(contents))


def model_of(contents: Contents) -> nn.Module:
    """Build the model that is written, in float32, without hooks, before it is rounded to another dtype."""
    tensors: dict[str, Any] = replace(contents, dtype=None).tensors("baked")
    return rebuild(contents.model_class, contents.model_config, tensors, contents.checkpoint.name, contents.seed or 0)


def outputs(model: nn.Module) -> list[Tensor]:
    """Return all outputs and hidden states of a model for the same made-up texts, but not for their padding."""
    inputs = _inputs(model)
    with torch.inference_mode():
        given = model.eval()(**inputs, output_hidden_states=True)
    return [_without_padding(one, inputs["attention_mask"]) for one in _tensors(given)]


def check_same(expected: list[Tensor], found: list[Tensor]) -> None:
    """Refuse other outputs than expected. Raises ExportError."""
    for one, other in zip(expected, found, strict=True):
        largest, worst = one.abs().max(), (one - other).abs().max()
        if not worst <= _TOLERANCE * largest:
            raise other_outputs(float(worst / largest))


def other_outputs(share: float) -> ExportError:
    """Return the error for outputs that are off by a share of the largest one."""
    return ExportError("its outputs are off by {share:.0e} of the largest", code="exports.other_outputs", share=share)


def _inputs(model: Any) -> dict[str, Tensor]:
    """Draw tokens from a seed; global random state is not touched."""
    size, longest = model.get_input_embeddings().weight.shape[0], min(max(_LENGTHS), position_limit(model))
    draw = torch.Generator().manual_seed(0)
    ids = torch.randint(size, (len(_LENGTHS), longest), generator=draw, device="cpu")
    mask = torch.arange(longest).expand_as(ids) < torch.tensor(_LENGTHS)[:, None]
    several = type(model).__name__.endswith("MultipleChoice")
    return {name: one[None] if several else one for name, one in (("input_ids", ids), ("attention_mask", mask.long()))}


def _without_padding(output: Tensor, mask: Tensor) -> Tensor:
    """Leave out what is given for padding, which attends to nothing where attention is local."""
    return output[mask != 0] if output.shape[: mask.dim()] == mask.shape else output


def _tensors(given: Any) -> Iterator[Tensor]:
    """Yield the tensors of an output, however deep."""
    if isinstance(given, Tensor):
        yield given
    elif given is not None:
        for one in given.values() if isinstance(given, dict) else given:
            yield from _tensors(one)

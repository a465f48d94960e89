"""Whether the stored tensors are those of the model: what is not understood is refused, not filled up at random."""

import re
from typing import TYPE_CHECKING

from ..errors import CheckpointError, first_names, shortened
from .architecture import check_parameters
from .headers import TensorFact
from .pruned_weights import PrunedWeights

if TYPE_CHECKING:
    from torch import nn

    from .loading import Layout

_NUMBERED = re.compile(r"(^|\.)\d+\.")
"""Part of the name of every tensor inside a layer."""
_WRAPPERS = ("module.", "_orig_mod.", "model.", "base_model.")
"""What the names of a model's tensors begin with where something else holds the model."""


def check_layout(layout: "Layout", tensors: tuple[TensorFact, ...], name: str) -> None:
    """Refuse files that do not hold the layers that the config asks for; raises CheckpointError."""
    check_parameters(layout.skeleton, tensors, name)
    if not layout.homes:
        raise _nothing_of(type(layout.skeleton).__name__, tensors, name)
    lost = [key for key in sorted(layout.missing) if _is_in_layer(key, layout.skeleton)]
    strange = [key for key in layout.unexpected if _NUMBERED.search(key)]
    if lost and strange:
        raise CheckpointError(
            "{name} lacks {count:,} tensors of the layers, such as {tensor}, and holds others instead: {others};"
            " its weights are stored in a form that is not known",
            code="checkpoint.layers_not_understood", name=name, count=len(lost), tensor=lost[0],
            others=first_names((shortened(key, 80) for key in strange), most=3),
        )  # fmt: skip


def _nothing_of(model: str, tensors: tuple[TensorFact, ...], name: str) -> CheckpointError:
    if wrapped := next((fact.name for fact in tensors if fact.name.startswith(_WRAPPERS)), None):
        return CheckpointError(
            "{name} holds {tensor!r}, as a wrapped model does: save the model inside (model.module of DataParallel,"
            " model._orig_mod of torch.compile, merge_and_unload() of PEFT)",
            code="checkpoint.wrapped_model", name=name, tensor=shortened(wrapped, 80),
        )  # fmt: skip
    return CheckpointError(
        "{name} holds none of the tensors that {model} expects",
        code="checkpoint.nothing_of_the_model", name=name, model=model,
    )  # fmt: skip


def check_complete(missing: frozenset[str], weights: PrunedWeights, name: str) -> None:
    """Refuse one of our masked exports that lacks a tensor; raises CheckpointError."""
    if missing:
        raise CheckpointError(
            "{name}: {file} lacks {tensor!r}; the export is incomplete",
            code="checkpoint.masked_incomplete", name=name, file=weights.files[0], tensor=min(missing),
        )  # fmt: skip


def _is_in_layer(key: str, model: "nn.Module") -> bool:
    """Return whether a tensor belongs to a layer of the encoder, and not to a head."""
    prefix = f"{getattr(model, 'base_model_prefix', '')}."
    has_prefix = any(name.startswith(prefix) for name, _ in model.named_parameters())
    return (not has_prefix or key.startswith(prefix)) and _NUMBERED.search(key) is not None

"""What stands in the file of weights: names, values and dtypes, for both forms."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from ..checkpoint import Checkpoint
from ..checkpoint.masked import MASKED_FILE
from ..model.targets import every_target

Form = Literal["baked", "masked"]
FILES: dict[Form, str] = {"baked": "model.safetensors", "masked": MASKED_FILE}
"""The weight file of each form."""

_WIDENED = ("float16", "bfloat16", "float64")
"""What loading turns into float32, and an export turns back."""


@dataclass(frozen=True, eq=False)
class Entry:
    """One entry of the finished model's state dict."""

    name: str
    """`weight`, or `weight_orig` and `weight_mask` where the form keeps masks."""
    dense: str
    """The name in the model without hooks."""
    dense_value: Tensor
    mask: Tensor | None = None

    @property
    def value(self) -> Tensor:
        """Compute the value, float32 for weights; a masked value of a baked tensor is zero, as torch makes it."""
        return self.dense_value if self.mask is None else self.dense_value * self.mask


def entries(model: nn.Module, masks: Mapping[str, Tensor], form: Form) -> Iterator[Entry]:
    """Yield every entry of the finished model's state dict; the dense model is not changed.

    `masks` are by target name, and hold for every name of a tied tensor.
    """
    by_name = {alias: masks[t.name] for t in every_target(model) if t.name in masks for alias in (t.name, *t.aliases)}
    for name, value in model.state_dict().items():
        mask = by_name.get(name)
        if mask is None or form == "baked":
            yield Entry(name, name, value, mask)
        else:
            yield Entry(name + "_orig", name, value)
            yield Entry(name + "_mask", name, mask)


def stored(checkpoint: Checkpoint, model: nn.Module, masks: Mapping[str, Tensor], form: Form) -> dict[str, Tensor]:
    """Compute what goes into the file: tied tensors once, everything in the dtype of the source."""
    twice = repeated(model)
    return {
        entry.name: entry.value.to(_dtype(checkpoint, entry)).contiguous()
        for entry in entries(model, masks, form)
        if entry.dense not in twice
    }


def repeated(model: nn.Module) -> frozenset[str]:
    """Name the tied tensors that transformers leaves out of a file and ties again when it loads."""
    groups: dict[int, list[str]] = {}
    for name, value in model.state_dict(keep_vars=True).items():
        groups.setdefault(id(value), []).append(name)
    known = getattr(model, "all_tied_weights_keys", None) or {}
    kept = {name for names in groups.values() for name in [n for n in names if n not in known] or names[:1]}
    return frozenset(name for names in groups.values() for name in names if name not in kept)


def _dtype(checkpoint: Checkpoint, entry: Entry) -> torch.dtype:
    """Narrow what loading widened; a tensor that the source lacks has no other dtype than the one it was made in."""
    source = checkpoint.source_dtype(entry.dense)
    widened = entry.dense_value.dtype == torch.float32 and source in _WIDENED
    dtype: torch.dtype = getattr(torch, source) if widened else entry.dense_value.dtype
    return entry.dense_value.dtype if entry.dense in checkpoint.missing else dtype

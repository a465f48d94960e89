"""Refuse values that cannot be pruned."""

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from ..errors import SelectionError
from ..parallel import choose_map


def refuse_unprunable(tensors: Mapping[str, Tensor]) -> None:
    """Refuse tensors without values, and values that are not finite. Raises SelectionError."""
    for name, values in tensors.items():
        if values.is_meta:
            raise SelectionError(
                "{tensor} is on the meta device and has no values to prune; load the weights first",
                code="prune.meta", tensor=name,
            )  # fmt: skip
    finite = choose_map(values.numel() for values in tensors.values())(_is_finite, tensors.values())
    for name, is_finite in zip(tensors, finite, strict=True):
        if not is_finite:
            raise SelectionError(
                "{tensor} holds NaN or infinite values; repair the checkpoint before pruning it",
                code="prune.not_finite", tensor=name,
            )  # fmt: skip


def _is_finite(values: Tensor) -> bool:
    """Check the sum of a tensor; where that is not finite, which large values can cause, check its extremes."""
    values = values.detach()
    if values.dtype in (torch.float32, torch.float64):
        with np.errstate(all="ignore"):
            if math.isfinite(values.numpy(force=True).sum()):
                return True
    return not values.numel() or all(map(math.isfinite, values.aminmax()))

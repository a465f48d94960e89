"""Compute as if the caller had set nothing: what a recipe chooses must not depend on where it is called from."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor

_AUTOCAST = ("cpu", "cuda", "mps", "xpu")


@contextmanager
def undisturbed() -> Iterator[None]:
    """Leave the caller's `torch.autocast`, which rounds, and `torch.inference_mode`, which allows no gradients."""
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        for kind in filter(torch.is_autocast_enabled, _AUTOCAST):
            stack.enter_context(torch.autocast(kind, enabled=False))
        yield


def differentiable(tensor: Tensor) -> Tensor:
    """Return a tensor that gradients can be computed with; one from inference mode is copied. Call it `undisturbed`."""
    return tensor.clone() if tensor.is_inference() else tensor

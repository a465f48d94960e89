"""The product of a tensor and its mask, which is what a pruning hook derives."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from ..model.snapshot import corners
from .memory import Fresh, own_pages


def dense(mask: Tensor, memory: Fresh) -> Tensor:
    """Return a mask of which every value has its own place, in memory from `memory` if it has to be written out."""
    if mask.is_contiguous():
        return mask
    if mask.device.type != "cpu":
        return mask.contiguous()
    written = memory.array(mask.shape, bool)
    np.copyto(written, mask.numpy())
    return torch.from_numpy(written)


def masked(values: Tensor, mask: Tensor, memory: Fresh | None = None) -> Tensor:
    """Return `values * mask`, to the bit; pure, and no part of a graph. Takes its memory from `memory` if given.

    torch first copies the whole mask into the dtype of the values; NumPy does so piece by piece.
    """
    if values.device.type != "cpu" or values.dtype not in (torch.float32, torch.float64):
        return values.detach() * mask
    array = values.detach().numpy()
    return torch.from_numpy(np.multiply(array, mask.numpy(), out=(memory or Fresh()).array(array.shape, array.dtype)))


def sketched(values: Tensor, mask: Tensor) -> Tensor:
    """Return a tensor like `values * mask` of which only the corners that a snapshot reads are worked out.

    The rest is memory that nobody has touched, so that it costs nothing: for a model that is looked at and let go.
    """
    values = values.detach()
    if not values.numel():
        return values * mask
    sketch = torch.frombuffer(own_pages(values.nbytes), dtype=values.dtype).view(values.shape).to(values.device)
    for place in corners(tuple(values.shape)):
        sketch[place] = values[place] * mask[place]
    return sketch


class Made(NamedTuple):
    """A product that is worked out already, and what it is the product of."""

    original: Tensor
    mask: Tensor
    product: Tensor


def derived(made: Sequence[Made]) -> list[Tensor]:
    """Return `original * mask` of each as a part of torch's graph, with the values of its product."""
    with torch.enable_grad(), _Ready(one.product for one in made):
        return [one.original * one.mask for one in made]


class _Ready(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Give each multiplication that is asked for the next result; torch's autograd above does not notice."""

    def __init__(self, results: Iterable[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.results = iter(results)

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # torch would import its compiler, which takes a second, to keep it out of a method that runs nothing
        return False

    def __torch_dispatch__(
        self, function: Any, _: object, arguments: Sequence[Any] = (), more: dict[str, Any] | None = None
    ) -> Any:
        if function is torch.ops.aten.mul.Tensor:
            return next(self.results)
        return function(*arguments, **(more or {}))  # what hooks of the caller's ask for, such as copies

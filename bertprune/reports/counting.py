"""Count what is masked, zero and alive in a tensor: one reading, block by block, without a copy of the weights."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

BLOCK = 1 << 20
"""Values a block: few enough for small temporaries, so many that threads seldom wait for each other."""


@dataclass(frozen=True, slots=True)
class Count:
    """How many values there are, how many a mask takes out, and how many of the others are exactly zero."""

    size: int = 0
    masked: int = 0
    zero: int = 0
    """Unmasked values that are 0.0 or -0.0: freshly initialised biases, padding rows, baked masks."""

    @property
    def alive(self) -> int:
        """Values that are neither masked nor zero."""
        return self.size - self.masked - self.zero

    @property
    def sparsity(self) -> float:
        """The masked share of all values; 0.0 where there are none. A zero without a mask is not sparsity."""
        return self.masked / self.size if self.size else 0.0

    def __add__(self, other: "Count") -> "Count":
        """Add up two counts of different tensors."""
        return Count(self.size + other.size, self.masked + other.masked, self.zero + other.zero)

    def to_dict(self) -> dict[str, int | float]:
        """Turn the numbers, the derived ones too, into plain data."""
        numbers = {"size": self.size, "masked": self.masked, "zero": self.zero, "alive": self.alive}
        return {**numbers, "sparsity": self.sparsity}


def count(weight: Tensor, masks: Sequence[Tensor] = ()) -> Count:
    """Count a tensor under its masks (of its shape; bool or any number, 0 is masked).

    Several masks belong to several owners of one tied tensor: a value is masked where none of them keeps it.
    """
    tensors = [weight.detach(), *masks]
    if all(tensor.is_contiguous() for tensor in tensors):
        tensors = [tensor.view(-1) for tensor in tensors]
    nonzero_in, *kept_in = [_reader(tensor) for tensor in tensors]
    rows = max(1, BLOCK // max(1, tensors[0][:1].numel()))
    kept = zero = 0
    for start in range(0, len(tensors[0]), rows):
        where = slice(start, start + rows)
        nonzero = nonzero_in(where)
        zeros = nonzero.size - int(np.count_nonzero(nonzero))
        if kept_in:
            keeps = reduce(np.logical_or, (read(where) for read in kept_in))
            living = int(np.count_nonzero(keeps))
            kept += living
            # most blocks hold no zero at all
            zeros = living - int(np.count_nonzero(nonzero & keeps)) if zeros else 0
        zero += zeros
    masked = weight.numel() - kept if masks else 0
    return Count(size=weight.numel(), masked=masked, zero=zero)


def _reader(tensor: Tensor) -> Callable[[slice], NDArray[np.bool_]]:
    """Return what tells of some rows of a tensor which values are not zero.

    NumPy compares several times faster than torch, but knows nothing of bfloat16, and float16 slowly.
    """
    if tensor.dtype in (torch.float16, torch.bfloat16):
        bits = tensor.view(torch.int16).numpy(force=True)
        # all bits but the sign, so that -0.0 is a zero
        return lambda where: bits[where] & 0x7FFF != 0
    if tensor.dtype.itemsize == 1 and tensor.dtype != torch.bool:  # of the eight-bit floats it knows none
        tensor = tensor != 0
    values = tensor.numpy(force=True)
    return values.__getitem__ if values.dtype == np.bool_ else lambda where: values[where] != 0

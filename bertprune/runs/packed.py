"""The masks of a run, eight in a byte."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..model.targets import every_target


@dataclass(frozen=True, slots=True)
class _Bits:
    shape: tuple[int, ...]
    bits: NDArray[np.uint8]


class PackedMasks(Mapping[str, Tensor]):
    """Masks by target name: bool, True is alive; each is unpacked when it is asked for.

    All of a large model's together would be as many bytes as it has weights.
    """

    def __init__(self, masks: dict[str, Tensor]) -> None:
        """Pack masks, and remove each from `masks` when that is done."""
        self._packed: dict[str, _Bits] = {}
        self.nbytes = sum(-(-mask.numel() // 8) for mask in masks.values())
        room, start = np.empty(self.nbytes, np.uint8), 0
        for name in list(masks):
            mask = masks.pop(name)
            bits = np.packbits(mask.numpy(force=True))
            kept = room[start : start + bits.size]
            kept[:] = bits
            start += bits.size
            self._packed[name] = _Bits(tuple(mask.shape), kept)

    def __getitem__(self, name: str) -> Tensor:
        """Unpack one."""
        packed = self._packed[name]
        count = int(np.prod(packed.shape))
        return torch.from_numpy(np.unpackbits(packed.bits, count=count).view(bool)).view(packed.shape)

    def __iter__(self) -> Iterator[str]:
        """Yield the names."""
        return iter(self._packed)

    def __len__(self) -> int:
        """Count the masks."""
        return len(self._packed)


def with_earlier(masks: dict[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Add the masks of the tensors that no step touched: those that the checkpoint came with."""
    for target in every_target(model):
        if target.mask is not None and target.name not in masks:
            masks[target.name] = target.mask != 0
    return masks

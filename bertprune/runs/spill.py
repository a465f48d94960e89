"""New weights of a run on disk: as many bytes as the model has would not leave room for many runs."""

import mmap
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import BertpruneError


@dataclass(frozen=True, slots=True)
class _Place:
    start: int
    size: int
    dtype: torch.dtype
    shape: tuple[int, ...]


class SpilledValues(Mapping[str, Tensor]):
    """Tensors by name in a file without a name, which goes when this or the process ends; each is read when asked for.

    Pickled, it takes the tensors along.
    """

    def __init__(self, values: dict[str, Tensor]) -> None:
        """Write tensors, and take each out of `values`. Raises BertpruneError where the disk is full."""
        self._places: dict[str, _Place] = {}
        self.nbytes = 0
        if not values:
            return
        size = sum(value.numel() * value.element_size() for value in values.values())
        try:
            with tempfile.TemporaryFile(prefix="bertprune-") as file:
                for name in list(values):
                    self._write(file, name, values.pop(name))
                file.flush()
                self._bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            raise BertpruneError(
                "the new weights of the run need {size:,} bytes in {folder}: {error}",
                code="run.no_room", size=size, folder=tempfile.gettempdir(),
                error=os.strerror(error.errno) if error.errno else str(error),
            ) from None  # fmt: skip

    def _write(self, file: Any, name: str, tensor: Tensor) -> None:
        plain = tensor.detach().cpu().contiguous()
        raw = plain.reshape(-1).view(torch.uint8).numpy()
        file.write(raw.data)
        self._places[name] = _Place(self.nbytes, raw.nbytes, plain.dtype, tuple(plain.shape))
        self.nbytes += raw.nbytes

    def __getitem__(self, name: str) -> Tensor:
        """Read one."""
        place = self._places[name]
        raw = np.frombuffer(self._bytes, np.uint8, place.size, place.start).copy()
        return torch.from_numpy(raw).view(place.dtype).view(place.shape)

    def __iter__(self) -> Iterator[str]:
        """Yield the names."""
        return iter(self._places)

    def __len__(self) -> int:
        """Count the tensors."""
        return len(self._places)

    def __reduce__(self) -> tuple[Any, ...]:
        """Let pickle take the tensors along, and copies have a file of their own."""
        return SpilledValues, (dict(self),)

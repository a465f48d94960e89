"""New weights of a run on disk: as many bytes as the model has would not leave room for many runs."""

import os
import tempfile
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor


class SpilledValues(Mapping[str, Tensor]):
    """Tensors by name in a file of this process, read when they are asked for; the file goes when this does."""

    def __init__(self, values: dict[str, Tensor]) -> None:
        """Write the tensors, and take them out of `values`."""
        self._names = tuple(values)
        self._path: Path | None = None
        if values:
            handle, name = tempfile.mkstemp(prefix="bertprune-", suffix=".safetensors")
            self._path = Path(name)
            weakref.finalize(self, _remove, self._path)
            os.close(handle)
            save_file({name: tensor.contiguous() for name, tensor in values.items()}, name)
        values.clear()

    def __getitem__(self, name: str) -> Tensor:
        """Read one."""
        if name not in self._names:
            raise KeyError(name)
        with safe_open(str(self._path), "pt") as file:
            tensor: Tensor = file.get_tensor(name)
        return tensor

    def __iter__(self) -> Iterator[str]:
        """Yield the names."""
        return iter(self._names)

    def __len__(self) -> int:
        """Count the tensors."""
        return len(self._names)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)

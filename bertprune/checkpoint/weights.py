"""Where tensors are stored: safetensors files, torch files, or nowhere. Facts first, values when asked."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import CheckpointError
from ..parallel import Progress, silent
from .facts import TensorFact
from .headers import safetensors_header
from .pickled import load_tensors, refuse_lies
from .reading import reason

if TYPE_CHECKING:
    from torch import Tensor

Read = Callable[[str], "Tensor"]
"""Reads one stored tensor by its name; it may be a view into the file."""


class Weights(Protocol):
    """Say what is stored, and read it."""

    tensors: tuple[TensorFact, ...]
    files: tuple[str, ...]
    bytes: int

    def fetch(self, progress: Progress = silent) -> None:
        """Bring the files here, if they are not."""

    def reader(self) -> AbstractContextManager[Read]:
        """Return a context manager that gives a Read."""

    def same(self, one: str, other: str) -> bool:
        """Tell whether two stored tensors hold the same values."""


class _Here:
    """Weights that lie on this machine."""

    def fetch(self, progress: Progress = silent) -> None:
        """Do nothing: the files are here."""


class NoWeights(_Here):
    """Stand for a checkpoint whose weights are all made on demand."""

    tensors: tuple[TensorFact, ...] = ()
    files: tuple[str, ...] = ()
    bytes = 0

    @contextmanager
    def reader(self) -> Iterator[Read]:
        """Give a reader that has nothing to read."""
        nothing: dict[str, Tensor] = {}
        yield nothing.__getitem__

    def same(self, one: str, other: str) -> bool:
        """Tell whether two stored tensors are the same; there are none."""
        return one == other


class SafetensorsWeights(_Here):
    """Keep one or several safetensors files, opened for reading only while they are read."""

    def __init__(self, paths: tuple[Path, ...]) -> None:
        """Read the headers; raises CheckpointError if one of them cannot be true."""
        self.paths = paths
        self.files = tuple(path.name for path in paths)
        self.bytes = sum(path.stat().st_size for path in paths)
        self._home: dict[str, Path] = {}
        self.tensors = tuple(self._note(fact, path) for path in paths for fact in safetensors_header(path))

    def _note(self, fact: TensorFact, path: Path) -> TensorFact:
        if fact.name in self._home:
            other = self._home[fact.name].name
            raise CheckpointError(f"{path.name} holds {fact.name!r}, and so does {other}; one of them is expected to")
        self._home[fact.name] = path
        return fact

    @contextmanager
    def reader(self) -> Iterator[Read]:
        """Open the files; the tensors read are views into them."""
        # Never closed by hand: after an error, transformers' threads may still be reading.
        opened = {path: _open(path) for path in self.paths}
        yield lambda name: opened[self._home[name]].get_tensor(name)

    def same(self, one: str, other: str) -> bool:
        """Compare two stored tensors, value by value."""
        import torch

        with self.reader() as read:
            return torch.equal(read(one), read(other))


def _open(path: Path) -> Any:
    from safetensors import SafetensorError, safe_open

    try:
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path.name} cannot be read any more: {reason(error)}") from None


class TorchWeights(_Here):
    """Keep one or several torch files, read with `weights_only=True`: tensors and plain containers, no code."""

    def __init__(self, paths: tuple[Path, ...]) -> None:
        """Read names and shapes without values; raises CheckpointError for anything but a dict of tensors."""
        self.paths = paths
        self.files = tuple(path.name for path in paths)
        self.bytes = sum(path.stat().st_size for path in paths)
        self._storage: dict[str, tuple[str, int]] = {}
        self.tensors = tuple(fact for path in paths for fact in self._header(path))

    def _header(self, path: Path) -> list[TensorFact]:
        loaded = load_tensors(path, "meta")
        refuse_lies(path, loaded)
        for name, tensor in loaded.items():
            if name in self._storage:
                raise CheckpointError(f"{path.name} holds {name!r}, which another file holds too")
            self._storage[name] = (path.name, tensor.untyped_storage()._cdata)
        return [
            TensorFact(name, tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))
            for name, tensor in loaded.items()
        ]

    @contextmanager
    def reader(self) -> Iterator[Read]:
        """Open the files; the tensors read are views into them."""
        loaded: dict[str, Tensor] = {}
        for path in self.paths:
            loaded.update(load_tensors(path, "cpu"))
        yield loaded.__getitem__

    def same(self, one: str, other: str) -> bool:
        """Tell whether two names share one storage, or hold equal values."""
        import torch

        if self._storage[one] == self._storage[other]:
            return True
        with self.reader() as read:
            return torch.equal(read(one), read(other))

"""Where tensors are stored: safetensors files, torch files, or nowhere. Facts first, values when asked."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import CheckpointError
from ..progress import Progress, silent
from .facts import TensorFact
from .headers import safetensors_header
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
        loaded = _load(path, "meta")
        _refuse_lies(path, loaded)
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
            loaded.update(_load(path, "cpu"))
        yield loaded.__getitem__

    def same(self, one: str, other: str) -> bool:
        """Tell whether two names share one storage, or hold equal values."""
        import torch

        if self._storage[one] == self._storage[other]:
            return True
        with self.reader() as read:
            return torch.equal(read(one), read(other))


def _load(path: Path, device: str) -> "dict[str, Tensor]":
    import torch

    try:
        # Only torch's zip format can be mapped; the one before it is read whole.
        with path.open("rb") as file:
            mapped = file.read(4) == b"PK\x03\x04"
        loaded = torch.load(path, map_location=device, weights_only=True, mmap=mapped)
    except Exception as error:
        raise CheckpointError(
            f"{path.name} cannot be read as a torch file of plain tensors (weights_only=True): {reason(error)}"
        ) from None
    if not isinstance(loaded, dict) or not loaded:
        raise CheckpointError(f"{path.name} holds a {type(loaded).__name__}; a dict of tensors by name is expected")
    for name, value in loaded.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            raise CheckpointError(f"{path.name}: {str(name)[:80]!r} is a {type(value).__name__}; a tensor is expected")
    return loaded


def _refuse_lies(path: Path, loaded: "dict[str, Tensor]") -> None:
    storages = {}
    for name, tensor in loaded.items():
        storage = tensor.untyped_storage()
        storages[storage._cdata] = storage.nbytes()
        if tensor.numel() * tensor.element_size() > storage.nbytes():
            raise CheckpointError(f"{path.name}: {name[:80]!r} claims more values than are stored for it")
    if sum(storages.values()) > path.stat().st_size:
        raise CheckpointError(f"{path.name} claims more values than the file has room for")

"""Where tensors are stored: safetensors files, torch files, or nowhere. Facts first, values when asked."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import CheckpointError, shortened
from ..files import check_regular
from ..parallel import Progress, silent
from .headers import TensorFact, safetensors_header
from .json_files import unreadable
from .pickled import load_tensors, refuse_false_sizes

if TYPE_CHECKING:
    from torch import Tensor

Read = Callable[[str], "Tensor"]
"""Reads one stored tensor by its name; it may be a view into the file."""


class Weights(Protocol):
    """Describe what is stored, and read it."""

    tensors: tuple[TensorFact, ...]
    files: tuple[str, ...]
    bytes: int

    @property
    def paths(self) -> tuple[Path, ...]:
        """Return the local files; none where weights are made on demand or not downloaded yet."""

    def fetch(self, progress: Progress = silent) -> None:
        """Download the files that are not here yet."""

    def reader(self) -> AbstractContextManager[Read]:
        """Return a context manager that gives a Read."""

    def same(self, one: str, other: str) -> bool:
        """Return whether two stored tensors hold the same values."""


class NoWeights:
    """Represent a checkpoint whose weights are all made on demand."""

    tensors: tuple[TensorFact, ...] = ()
    files: tuple[str, ...] = ()
    bytes = 0
    paths: tuple[Path, ...] = ()

    def fetch(self, progress: Progress = silent) -> None:
        """Do nothing: there are no files."""

    @contextmanager
    def reader(self) -> Iterator[Read]:
        """Give a reader that has nothing to read."""
        nothing: dict[str, Tensor] = {}
        yield nothing.__getitem__

    def same(self, one: str, other: str) -> bool:
        """Return whether two stored tensors are the same; there are none."""
        return one == other


class SafetensorsWeights:
    """One or several safetensors files, opened for reading only while they are read."""

    def __init__(self, paths: tuple[Path, ...]) -> None:
        """Read the headers; raises CheckpointError if one of them is invalid."""
        self.paths = paths
        self.files, self.bytes = _names_and_bytes(paths)
        headers = {path: safetensors_header(path) for path in paths}
        self._home = _home_of_each(headers)
        self.tensors = tuple(fact for facts in headers.values() for fact in facts)

    def fetch(self, progress: Progress = silent) -> None:
        """Do nothing: the files are here."""

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


class TorchWeights:
    """One or several torch files, read with `weights_only=True`: tensors and plain containers, no code."""

    def __init__(self, paths: tuple[Path, ...]) -> None:
        """Read names and shapes without values; raises CheckpointError for anything but a dict of tensors."""
        self.paths = paths
        self.files, self.bytes = _names_and_bytes(paths)
        self._storage: dict[str, tuple[Path, int]] = {}
        headers = {path: self._header(path) for path in paths}
        _home_of_each(headers)
        self.tensors = tuple(fact for facts in headers.values() for fact in facts)

    def _header(self, path: Path) -> tuple[TensorFact, ...]:
        loaded = load_tensors(path)
        refuse_false_sizes(path, loaded)
        self._storage |= {name: (path, tensor.untyped_storage()._cdata) for name, tensor in loaded.items()}
        return tuple(
            TensorFact(name, tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))
            for name, tensor in loaded.items()
        )

    def fetch(self, progress: Progress = silent) -> None:
        """Do nothing: the files are here."""

    @contextmanager
    def reader(self) -> Iterator[Read]:
        """Open the files; the tensors read are views into them."""
        loaded: dict[str, Tensor] = {}
        for path in self.paths:
            loaded.update(load_tensors(path))
        yield loaded.__getitem__

    def same(self, one: str, other: str) -> bool:
        """Return whether two names share one storage, or hold equal values."""
        import torch

        if self._storage[one] == self._storage[other]:
            return True
        with self.reader() as read:
            return torch.equal(read(one), read(other))


def _names_and_bytes(paths: tuple[Path, ...]) -> tuple[tuple[str, ...], int]:
    for path in paths:
        check_regular(path, CheckpointError)
    return tuple(path.name for path in paths), sum(path.stat().st_size for path in paths)


def _home_of_each(headers: dict[Path, tuple[TensorFact, ...]]) -> dict[str, Path]:
    """Map each tensor to its file; raises CheckpointError where two files hold it."""
    home: dict[str, Path] = {}
    for path, facts in headers.items():
        for fact in facts:
            if (other := home.setdefault(fact.name, path)) != path:
                raise CheckpointError(
                    "{file} and {other} both hold {tensor!r}; each tensor may be stored once",
                    code="checkpoint.tensor_in_two_files", file=path.name, other=other.name,
                    tensor=shortened(fact.name, 80),
                )  # fmt: skip
    return home


def _open(path: Path) -> Any:
    from safetensors import SafetensorError, safe_open

    try:
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError, ValueError) as error:
        raise unreadable(path.name, error) from None

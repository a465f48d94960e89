"""Where tensors are stored: safetensors files, torch files, or nowhere. Facts first, values when asked."""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import CheckpointError, TooLargeError, shortened
from ..files import check_regular
from ..parallel import Progress, silent
from .headers import TensorFact, safetensors_header
from .json_files import read_object, unreadable
from .pickled import load_tensors, refuse_false_sizes

if TYPE_CHECKING:
    from torch import Tensor

MASKED_FILE = "masked.safetensors"
"""The weight file of a masked export; no other loader looks for that name, so plain `from_pretrained` fails on it."""
SINGLE = ("model.safetensors", "pytorch_model.bin")
"""The names of a weight file that holds the whole model."""
_ADAPTER = {"adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"}
_SHARD = re.compile(r"[\w.-]{1,200}\.(safetensors|bin)")

Read = Callable[[str], "Tensor"]
"""Reads one stored tensor by its name; it may be a view into the file."""


class NoWeightsFound(CheckpointError):
    """The folder has no weight files, or not all that its index names."""


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
        loaded = load_tensors(path, "meta")
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
            loaded.update(load_tensors(path, "cpu"))
        yield loaded.__getitem__

    def same(self, one: str, other: str) -> bool:
        """Return whether two names share one storage, or hold equal values."""
        import torch

        if self._storage[one] == self._storage[other]:
            return True
        with self.reader() as read:
            return torch.equal(read(one), read(other))


_KINDS: dict[str, Callable[[tuple[Path, ...]], Weights]] = {
    ".safetensors": SafetensorsWeights,
    **dict.fromkeys((".bin", ".pt", ".pth"), TorchWeights),
}
"""What reads the files of each suffix."""


def folder_weights(folder: Path, name: str) -> Weights:
    """Read the headers of a folder's weights, safetensors before torch files; raises CheckpointError."""
    there = {path.name for path in folder.iterdir()}
    refuse_adapter(there, name)
    if MASKED_FILE in there:
        if plain := there.intersection((*SINGLE, *(f"{single}.index.json" for single in SINGLE))):
            raise CheckpointError(
                "{name} holds both {masked} and {plain}; open one of the files",
                code="checkpoint.masked_and_plain", name=name, masked=MASKED_FILE, plain=min(plain),
            )  # fmt: skip
        return SafetensorsWeights((folder / MASKED_FILE,))
    for single in SINGLE:
        if (folder / single).is_file():
            return _KINDS[Path(single).suffix]((folder / single,))
        if (index := folder / f"{single}.index.json").is_file():
            return _sharded_weights(index)
    lone = sorted(folder.glob("*.safetensors"))
    if len(lone) == 1:
        return SafetensorsWeights((lone[0],))
    raise NoWeightsFound(
        "{name} has no weights: expected model.safetensors or pytorch_model.bin (or their shards with an index)",
        code="checkpoint.no_weights", name=name,
    )  # fmt: skip


def file_weights(path: Path) -> Weights:
    """Read the header of one weight file; raises CheckpointError."""
    refuse_adapter((path.name,), path.name)
    if path.suffix in _KINDS:
        return _KINDS[path.suffix]((path,))
    raise CheckpointError(
        "{file} is not a weight file: expected .safetensors, .bin, .pt or .pth",
        code="checkpoint.not_a_weight_file", file=path.name,
    )  # fmt: skip


def refuse_adapter(files: Iterable[str], name: str) -> None:
    """Refuse an adapter, alone or beside its base: it changes what the base answers. Raises CheckpointError."""
    if not _ADAPTER.isdisjoint(files):
        raise CheckpointError(
            "{name} holds a PEFT adapter, which is not a model by itself: load it on its base with peft,"
            " save the result of merge_and_unload(), and open that folder",
            code="checkpoint.adapter", name=name,
        )  # fmt: skip


def refuse_single_shard(path: Path) -> None:
    """Refuse one shard of several, which is not a whole model; raises CheckpointError."""
    for single in SINGLE:
        index = path.parent / f"{single}.index.json"
        if index.is_file() and path.name in shard_names(read_object(index, index.name), index.name).values():
            raise CheckpointError(
                "{file} is one shard of several; open the folder that holds them all",
                code="checkpoint.single_shard", file=path.name,
            )  # fmt: skip


def refuse_larger(name: str, size: int, largest: int | None) -> None:
    """Refuse weight files that are larger than the caller accepts; raises TooLargeError."""
    if largest is not None and size > largest:
        raise TooLargeError(
            "{name} holds {size:,} bytes of weights; at most {most:,} are accepted",
            code="checkpoint.too_large", name=name, size=size, most=largest,
        )  # fmt: skip


def shard_names(index: dict[str, Any], label: str) -> dict[str, str]:
    """Return the index's map from tensor to file name, checked: plain names, nothing that leaves the folder."""
    names = index.get("weight_map")
    if not isinstance(names, dict) or not names:
        raise CheckpointError(
            "{index} has no weight_map: expected a map from tensor to file name",
            code="checkpoint.no_weight_map", index=label,
        )  # fmt: skip
    for file in names.values():
        if not isinstance(file, str) or not _SHARD.fullmatch(file):
            raise CheckpointError(
                "{index} points to {file!r}: expected a .safetensors or .bin file in the same folder",
                code="checkpoint.bad_shard_name", index=label, file=str(file)[-60:],
            )  # fmt: skip
    return names


def _sharded_weights(index: Path) -> Weights:
    names = shard_names(read_object(index, index.name), index.name)
    paths = tuple(index.parent / file for file in sorted(set(names.values())))
    for path in paths:
        if not path.is_file():
            raise NoWeightsFound(
                "{index} names the shard {file}, which does not exist",
                code="checkpoint.missing_shard", index=index.name, file=path.name,
            )  # fmt: skip
    suffix = ".safetensors" if all(path.suffix == ".safetensors" for path in paths) else ".bin"
    weights = _KINDS[suffix](paths)
    if lost := sorted(set(names) - {fact.name for fact in weights.tensors}):
        raise CheckpointError(
            "{index} names {tensor!r}, which no shard holds",
            code="checkpoint.tensor_in_no_shard", index=index.name, tensor=shortened(lost[0], 80),
        )  # fmt: skip
    return weights


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

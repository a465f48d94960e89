"""Torch files: read with `weights_only=True`, tensors by name alone, and no longer than honest ones take."""

import io
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import CheckpointError
from .headers import MOST_TENSORS, refuse_many
from .instructions import check_pickle
from .reading import reason

if TYPE_CHECKING:
    from torch import Tensor

LONGEST_PICKLE = 1024 * 1024
"""Bytes; the names and shapes of 400 tensors take 60,000."""
_OLD_PICKLES = 5
"""What a file of the old format begins with: a magic number, a version, the machine, the tensors, their storages."""
_LONGEST_DIRECTORY = 4 * 1024 * 1024
_ZIP = b"PK\x03\x04"


class _Patient(io.BufferedReader):
    """A file of the old format, of which no long piece is read at once but by torch, into a tensor."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > LONGEST_PICKLE:
            raise CheckpointError("it holds more than tensors by name")
        return super().read(size)

    def readline(self, size: int | None = -1, /) -> bytes:
        return super().readline(LONGEST_PICKLE)

    def fileno(self) -> int:
        """Refuse: where torch gets at the file itself, it tries an even older format, a tar, first."""
        raise io.UnsupportedOperation


class _Listed(io.BufferedReader):
    """A zip whose directory is not read where it is larger than any honest one."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > _LONGEST_DIRECTORY:
            raise CheckpointError("it lists more files than tensors can be")
        return super().read(size)


def load_tensors(path: Path, device: str) -> "dict[str, Tensor]":
    """Read a dict of tensors by name; raises CheckpointError for anything else."""
    import torch

    try:
        loaded = _loaded(path, device)
    except Exception as error:
        # torch's own words advise to load it anyway
        advice = "weights_only" in str(error)
        why = "it is damaged, or holds code, which is never run" if advice else reason(error)
        raise CheckpointError(
            f"{path.name} cannot be read as a torch file of plain tensors (weights_only=True): {why}"
        ) from None
    if not isinstance(loaded, dict) or not loaded:
        raise CheckpointError(f"{path.name} holds a {type(loaded).__name__}; a dict of tensors by name is expected")
    if isinstance(loaded, OrderedDict):
        vars(loaded).clear()  # an attribute of the pickle's may hide a method
    refuse_many(path.name, len(loaded))
    for name, value in loaded.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            raise CheckpointError(f"{path.name}: {str(name)[:80]!r} is a {type(value).__name__}; a tensor is expected")
    return loaded


def _loaded(path: Path, device: str) -> Any:
    import torch

    with path.open("rb") as file:
        zipped = file.read(4) == _ZIP
    if zipped:  # the format of today can be mapped
        _refuse_strange_entries(path)
        check_pickle(torch._C.PyTorchFileReader(str(path)).get_record("data.pkl"))
        return torch.load(path, map_location=device, weights_only=True, mmap=True)
    with _Patient(io.FileIO(path)) as old:
        for _ in range(_OLD_PICKLES):
            check_pickle(old)
        old.seek(0)
        return torch.load(old, map_location=device, weights_only=True)


def _refuse_strange_entries(path: Path) -> None:
    with _Listed(io.FileIO(path)) as file, zipfile.ZipFile(file) as opened:
        entries = opened.infolist()
    if len(entries) > 2 * MOST_TENSORS:
        raise CheckpointError("it lists more files than tensors can be")
    if any(entry.file_size > LONGEST_PICKLE for entry in entries if entry.filename.endswith("data.pkl")):
        raise CheckpointError("it holds more than tensors by name")
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise CheckpointError("its parts are compressed, and torch maps them as they are")


def refuse_lies(path: Path, loaded: "dict[str, Tensor]") -> None:
    """Refuse tensors that claim more values than are stored; raises CheckpointError."""
    storages = {}
    for name, tensor in loaded.items():
        storage = tensor.untyped_storage()
        storages[storage._cdata] = storage.nbytes()
        if tensor.numel() * tensor.element_size() > storage.nbytes():
            raise CheckpointError(f"{path.name}: {name[:80]!r} claims more values than are stored for it")
    if sum(storages.values()) > path.stat().st_size:
        raise CheckpointError(f"{path.name} claims more values than the file has room for")

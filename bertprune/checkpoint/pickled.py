"""Torch files, read with `weights_only=True`: tensors by name, and nothing that is expensive to build.

With `weights_only=True` torch runs no code, but it does everything else that the pickle asks for: it allocates byte
arrays of any length, and hashes keys, which never ends where tuples nest or numbers collide. So each pickle is checked
first.
"""

import io
import pickletools
import re
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ..errors import CheckpointError, Message, shortened
from .headers import MOST_TENSORS, refuse_many
from .json_files import first_line, unreadable

if TYPE_CHECKING:
    from torch import Tensor

LONGEST_PICKLE = 1024 * 1024
"""In bytes; the names and shapes of 400 tensors take 60,000."""
MOST_INSTRUCTIONS = 200_000
"""In one pickle; 400 tensors take 20,000."""
_OLD_PICKLES = 5
"""What a file of the old format begins with: a magic number, a version, the machine, the tensors, their storages."""
_DEEPEST = 4
"""How many dicts around each other are looked into for tensors."""
_LONGEST_DIRECTORY = 4 * 1024 * 1024
_ZIP = b"PK\x03\x04"


def load_tensors(path: Path) -> "dict[str, Tensor]":
    """Read a dict of tensors by name, today's format without its values; raises CheckpointError for anything else."""
    import torch

    try:
        loaded = _load(path)
    except OSError as error:
        raise unreadable(path.name, error) from None
    except Exception as error:
        raise CheckpointError(
            "{file} cannot be read as a torch file of plain tensors (weights_only=True): {reason}",
            code="checkpoint.not_plain_tensors", file=path.name, reason=_why_refused(error),
        ) from None  # fmt: skip
    if not isinstance(loaded, dict):
        raise CheckpointError(
            "{file} holds a {kind}: expected a dict of tensors by name",
            code="checkpoint.not_a_dict", file=path.name, kind=type(loaded).__name__,
        )  # fmt: skip
    if not loaded:
        raise CheckpointError("{file} holds no tensors", code="checkpoint.no_tensors", file=path.name)
    if isinstance(loaded, OrderedDict):
        vars(loaded).clear()  # an attribute set by the pickle may hide a method
    refuse_many(path.name, len(loaded))
    _refuse_nested(loaded, path.name)
    for name, value in loaded.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            raise CheckpointError(
                "{file}: {tensor!r} is a {kind}: expected a tensor",
                code="checkpoint.not_a_tensor", file=path.name, tensor=shortened(str(name), 80),
                kind=type(value).__name__,
            )  # fmt: skip
    return loaded


def _refuse_nested(loaded: dict[Any, Any], file: str) -> None:
    """Refuse what training tools write, in which the tensors are one of several things; raises CheckpointError."""
    count, keys = max(_holders(loaded, (), set()))
    if count and keys:
        raise CheckpointError(
            "{file} keeps its tensors under {key}, as training tools do: save only what is there, without"
            " a prefix such as 'model.' in its names, and open that file",
            code="checkpoint.nested_tensors", file=file, key=shortened("".join(f"[{key!r}]" for key in keys), 80),
        )  # fmt: skip


def _holders(held: dict[Any, Any], keys: tuple[str, ...], seen: set[int]) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield how many tensors are in each dict of dicts, and the keys that lead there; each dict once."""
    import torch

    seen.add(id(held))
    yield sum(isinstance(value, torch.Tensor) for value in held.values()), keys
    for key, value in held.items():
        if isinstance(key, str) and isinstance(value, dict) and id(value) not in seen and len(keys) < _DEEPEST:
            yield from _holders(value, (*keys, key), seen)


def refuse_false_sizes(path: Path, loaded: "dict[str, Tensor]") -> None:
    """Refuse tensors that claim more values than are stored; raises CheckpointError."""
    storages = {}
    for name, tensor in loaded.items():
        storage = tensor.untyped_storage()
        storages[storage._cdata] = storage.nbytes()
        if tensor.numel() * tensor.element_size() > storage.nbytes():
            raise CheckpointError(
                "{file}: {tensor!r} claims more values than are stored for it",
                code="checkpoint.tensor_too_small", file=path.name, tensor=shortened(name, 80),
            )  # fmt: skip
    if sum(storages.values()) > path.stat().st_size:
        raise CheckpointError(
            "{file} claims more values than the file has room for",
            code="checkpoint.file_too_small", file=path.name,
        )  # fmt: skip


def _load(path: Path) -> Any:
    import torch

    with path.open("rb") as file:
        zipped = file.read(4) == _ZIP
    if zipped:  # today's format can be mapped
        _check_entries(path)
        _check_pickle(torch._C.PyTorchFileReader(str(path)).get_record("data.pkl"))
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    with _OldFile(io.FileIO(path)) as old:
        for _ in range(_OLD_PICKLES):
            _check_pickle(old)
        old.seek(0)
        return torch.load(old, map_location="cpu", weights_only=True)


_OF_CODE = Message("it is damaged or holds code, which is never run", code="checkpoint.pickle_of_code")
_OF_MORE = Message("it contains objects other than tensors", code="checkpoint.pickle_of_more")
_TOO_MANY_ENTRIES = Message(
    "the archive has more entries than any model has tensors", code="checkpoint.too_many_entries"
)
_COMPRESSED = Message(
    "its entries are compressed; torch.save stores them uncompressed", code="checkpoint.torch_file_compressed"
)


class _Refused(Exception):
    """A file is not read, for the reason given."""

    def __init__(self, reason: Message) -> None:
        super().__init__(reason)
        self.reason = reason


def _why_refused(error: Exception) -> str | Message:
    if isinstance(error, _Refused):
        return error.reason
    # torch's own message advises to load the file anyway
    return _OF_CODE if "weights_only" in str(error) else first_line(error)


class _OldFile(io.BufferedReader):
    """A file of the old format; only torch reads a long piece of it at once, into a tensor."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > LONGEST_PICKLE:
            raise _Refused(_OF_MORE)
        return super().read(size)

    def readline(self, size: int | None = -1, /) -> bytes:
        return super().readline(LONGEST_PICKLE)

    def fileno(self) -> int:
        """Refuse: torch would first try an even older format, a tar, on a file that it can open by number."""
        raise io.UnsupportedOperation


class _ZipFile(io.BufferedReader):
    """A zip whose directory is not read where it is larger than that of any valid file."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > _LONGEST_DIRECTORY:
            raise _Refused(_TOO_MANY_ENTRIES)
        return super().read(size)


def _check_entries(path: Path) -> None:
    with _ZipFile(io.FileIO(path)) as file, zipfile.ZipFile(file) as opened:
        entries = opened.infolist()
    if len(entries) > 2 * MOST_TENSORS:
        raise _Refused(_TOO_MANY_ENTRIES)
    if any(entry.file_size > LONGEST_PICKLE for entry in entries if entry.filename.endswith("data.pkl")):
        raise _Refused(_OF_MORE)
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise _Refused(_COMPRESSED)


_CALLED = {
    "collections OrderedDict": "ordered",
    "torch._utils _rebuild_tensor": "rebuild",
    "torch._utils _rebuild_tensor_v2": "rebuild",
    "torch._utils _rebuild_tensor_v3": "rebuild",
    "torch._utils _rebuild_parameter": "rebuild",
}
_NAMED = re.compile(r"torch(\.storage)? (\w*Storage|(b?float|u?int|complex)\d\w*|bool)")
_VALUES = {
    **dict.fromkeys(("NONE", "NEWTRUE", "NEWFALSE", "BINFLOAT", "LONG1", "EMPTY_LIST"), "value"),
    **dict.fromkeys(("BINUNICODE", "SHORT_BINSTRING", "BININT", "BININT1", "BININT2"), "key"),
    "EMPTY_TUPLE": "nothing",
    "EMPTY_DICT": "dict",
}
_POPPED = {"APPEND": 1, "SETITEM": 2, "BUILD": 1, "BINPERSID": 1, "REDUCE": 2, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def _check_pickle(source: IO[bytes] | bytes) -> None:
    """Read one pickle without executing it; raises _Refused where it does more than is allowed."""
    machine = _KindMachine()
    try:
        for number, (instruction, given, _) in enumerate(pickletools.genops(source)):
            if number >= MOST_INSTRUCTIONS:
                raise _Refused(_OF_MORE)
            machine.step(instruction.name, given)
    except (_Refused, OSError):
        raise
    except Exception:  # pickletools and the machine fail in many ways on damaged input
        raise _Refused(_OF_CODE) from None


class _KindMachine:
    """Run a pickle's instructions on the kinds of its objects instead of the objects."""

    def __init__(self) -> None:
        self.stack: list[str] = []
        self.marks: list[int] = []
        self.memo: dict[int, str] = {}

    def step(self, name: str, given: object) -> None:
        if name in _VALUES:
            self.stack.append(_VALUES[name])
        elif name == "GLOBAL":
            self.stack.append(_kind_of_global(str(given)))
        elif name == "MARK":
            self.marks.append(len(self.stack))
        elif name in ("BINPUT", "LONG_BINPUT"):
            self.memo[int(str(given))] = self.stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            self.stack.append(self.memo[int(str(given))])
        elif name not in ("PROTO", "STOP"):
            self.combine(name, self.pop(name))

    def pop(self, name: str) -> list[str]:
        """Pop the operands of an instruction."""
        if name in ("TUPLE", "APPENDS", "SETITEMS"):
            at = self.marks.pop()
        elif name in _POPPED:
            at = len(self.stack) - _POPPED[name]
        else:
            raise _Refused(_OF_CODE)
        if at < 0:
            raise _Refused(_OF_CODE)
        operands = self.stack[at:]
        del self.stack[at:]
        return operands

    def combine(self, name: str, operands: list[str]) -> None:
        """Push the result of an instruction, if it is allowed."""
        if name in ("SETITEM", "SETITEMS") and set(operands[::2]) - {"key"}:
            raise _Refused(_OF_MORE)
        if name == "BUILD" and [self.stack[-1], *operands] != ["dict", "dict"]:
            raise _Refused(_OF_CODE)
        if name == "REDUCE":
            if operands[0] != "rebuild" and operands != ["ordered", "nothing"]:
                raise _Refused(_OF_CODE)
            self.stack.append("dict" if operands[0] == "ordered" else "value")
        elif name in ("TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "BINPERSID"):
            self.stack.append("value")


def _kind_of_global(named: str) -> str:
    if named not in _CALLED and not _NAMED.fullmatch(named):
        raise _Refused(_OF_CODE)
    return _CALLED.get(named, "value")

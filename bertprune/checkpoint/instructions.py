"""What the pickle of a torch file may say: tensors by name, and nothing that is dear to make.

With `weights_only=True` torch runs no code, and does all else that it is told: it makes an array of bytes of any
length, and hashes keys, which takes for ever where tuples nest or numbers collide.
"""

import pickletools
import re
from typing import IO

from ..errors import CheckpointError

MOST = 200_000
"""Instructions in one pickle; 400 tensors take 20,000."""

_FOREIGN = "it is damaged, or holds code, which is never run"
_TOO_MUCH = "it holds more than tensors by name"
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


def check_pickle(source: IO[bytes] | bytes) -> None:
    """Read one pickle without doing what it says; raises CheckpointError where it says more than it may."""
    machine = _Machine()
    for number, (instruction, given, _) in enumerate(pickletools.genops(source)):
        if number >= MOST:
            raise CheckpointError(_TOO_MUCH)
        machine.step(instruction.name, given)


class _Machine:
    """Does with the kinds of things what a pickle does with the things."""

    def __init__(self) -> None:
        self.stack: list[str] = []
        self.marks: list[int] = []
        self.kept: dict[int, str] = {}

    def step(self, name: str, given: object) -> None:
        if name in _VALUES:
            self.stack.append(_VALUES[name])
        elif name == "GLOBAL":
            self.stack.append(_kind(str(given)))
        elif name == "MARK":
            self.marks.append(len(self.stack))
        elif name in ("BINPUT", "LONG_BINPUT"):
            self.kept[int(str(given))] = self.stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            self.stack.append(self.kept[int(str(given))])
        elif name not in ("PROTO", "STOP"):
            self.combine(name, self.taken(name))

    def taken(self, name: str) -> list[str]:
        """Pop what an instruction takes."""
        if name in ("TUPLE", "APPENDS", "SETITEMS"):
            at = self.marks.pop()
        elif name in _POPPED:
            at = len(self.stack) - _POPPED[name]
        else:
            raise CheckpointError(_FOREIGN)
        taken = self.stack[at:]
        del self.stack[at:]
        return taken

    def combine(self, name: str, taken: list[str]) -> None:
        """Push what an instruction makes, if it may."""
        if name in ("SETITEM", "SETITEMS") and set(taken[::2]) - {"key"}:
            raise CheckpointError(_TOO_MUCH)
        if name == "BUILD" and [self.stack[-1], *taken] != ["dict", "dict"]:
            raise CheckpointError(_FOREIGN)
        if name == "REDUCE":
            if taken[0] != "rebuild" and taken != ["ordered", "nothing"]:
                raise CheckpointError(_FOREIGN)
            self.stack.append("dict" if taken[0] == "ordered" else "value")
        elif name in ("TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "BINPERSID"):
            self.stack.append("value")


def _kind(named: str) -> str:
    if named not in _CALLED and not _NAMED.fullmatch(named):
        raise CheckpointError(_FOREIGN)
    return _CALLED.get(named, "value")

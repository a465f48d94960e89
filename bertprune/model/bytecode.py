"""The attributes that the methods of a class load, read from their bytecode.

What is not understood (a subscript, a call, an instruction of another Python) counts as loaded from anything.
"""

import dis
import inspect
from collections.abc import Iterator
from functools import lru_cache
from types import CellType, CodeType, FunctionType
from typing import Any, NamedTuple

from torch import nn

_LOADS = ("LOAD_ATTR", "LOAD_METHOD", "LOAD_SUPER_ATTR", "LOAD_SUPER_METHOD")
_NOTHING = ("CACHE", "EXTENDED_ARG", "PRECALL", "PUSH_NULL", "RESUME", "COPY_FREE_VARS")
_FACTS = {"dtype", "device", "shape", "size", "dim", "ndim", "numel", "requires_grad", "is_cuda"}
"""What may be asked of a tensor whatever its values are."""
_EMPTY = CellType()


class Load(NamedTuple):
    """An attribute that is loaded: `name` of `self.a.b`, where `chain` is ("a", "b")."""

    chain: tuple[str, ...] | None
    """None where the attribute is one of anything else than `self` and what it holds."""
    name: str


@lru_cache(maxsize=1024)
def functions_of(kind: type) -> dict[str, tuple[FunctionType, ...]]:
    """Map the names of a class's methods and properties to their functions, those of its bases too.

    Those of `nn.Module` itself are left out.
    """
    found: dict[str, tuple[FunctionType, ...]] = {}
    for one in kind.__mro__:
        for name, method in vars(one).items() if one not in (nn.Module, object) else ():
            if inspect.isfunction(function := _function(method)):
                found[name] = (*found.get(name, ()), function)
    return found


@lru_cache(maxsize=4096)
def loads(function: FunctionType) -> frozenset[Load]:
    """Return what a method loads, along with the functions that it names in its own file."""
    known = {function}
    found, todo = set(_loads(function, is_method=True)), [*_named(function)]
    while todo:
        if (helper := todo.pop()) not in known:
            known.add(helper)
            found |= set(_loads(helper, is_method=False))
            todo += _named(helper)
    return frozenset(found)


def _function(method: Any) -> Any:
    """Return the function of a method, of a property, or of what a decorator made of either."""
    for attribute in ("fget", "func", "__func__"):
        method = getattr(method, attribute, None) or method
    return inspect.unwrap(method) if callable(method) else None


def _named(function: FunctionType) -> Iterator[FunctionType]:
    """Yield the functions that a function calls by name, of its own file, or holds, as a decorator does."""
    for code in _codes(function.__code__):
        named = (function.__globals__.get(name) for name in code.co_names)
        yield from (one for one in named if inspect.isfunction(one) and one.__module__ == function.__module__)
    cells = (cell.cell_contents for cell in function.__closure__ or () if cell != _EMPTY)
    yield from (one for one in cells if inspect.isfunction(one))


def _loads(function: FunctionType, is_method: bool) -> Iterator[Load]:
    own = function.__code__.co_varnames[:1] if is_method else ()
    for code in _codes(function.__code__):
        yield from _of_code(code, own)


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for inner in code.co_consts:
        if inspect.iscode(inner):
            yield from _codes(inner)


def _of_code(code: CodeType, own: tuple[str, ...]) -> Iterator[Load]:
    if "getattr" in code.co_names:
        yield from (Load(None, name) for name in code.co_consts if isinstance(name, str))
    steps = [step for step in dis.get_instructions(code) if step.opname not in _NOTHING]
    chain: tuple[str, ...] | None = None
    for at, step in enumerate(steps):
        if step.opname not in _LOADS:
            chain = () if _is_own(steps, at, own) else None
            continue
        chain = () if "SUPER" in step.opname else chain
        if not _is_fact(steps[at + 1 : at + 2]):
            yield Load(chain, str(step.argval))
        chain = None if chain is None else (*chain, str(step.argval))


def _is_own(steps: list[dis.Instruction], at: int, own: tuple[str, ...]) -> bool:
    """Return whether an instruction loads `self`, or calls `super`."""
    step = steps[at]
    if step.opname == "CALL":
        return any(one.opname == "LOAD_GLOBAL" and one.argval == "super" for one in steps[max(0, at - 3) : at])
    loaded = step.argval[-1:] if isinstance(step.argval, tuple) else (step.argval,)
    return step.opname.startswith(("LOAD_FAST", "LOAD_DEREF", "STORE_FAST_LOAD_FAST")) and loaded == own


def _is_fact(after: list[dis.Instruction]) -> bool:
    """Return whether only a fact is asked of what was loaded: its dtype, say, or whether it is None."""
    return any(step.opname.endswith("NONE") or (step.opname in _LOADS and step.argval in _FACTS) for step in after)

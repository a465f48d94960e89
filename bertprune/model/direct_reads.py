"""Weights that a module reads from a child without calling it, so that the child's pruning hooks never run.

`torch.nn.MultiheadAttention` reads its `out_proj.weight` so, and DeBERTa's encoder the `weight` of its relative
positions. There the parent gets a hook of its own, which runs those of the child: without it the pruned weight would
stay as it was when it was pruned, whatever is trained or loaded since.
"""

import dis
import inspect
from collections.abc import Iterator
from functools import lru_cache
from types import FunctionType
from typing import Any

from torch import nn
from torch.nn.utils.prune import BasePruningMethod

_CALLED = "()"
_FACTS = {"dtype", "device", "shape", "size", "dim", "ndim", "numel", "requires_grad", "is_cuda"}
"""What may be asked of a pruned weight however old it is."""
_SETTING_UP = ("__", "_init", "init", "reset", "resize", "extra_repr")


class DeriveChildren:
    """A forward pre-hook that runs the pruning hooks of the children whose weights its module reads itself."""

    def __call__(self, module: nn.Module, inputs: Any) -> None:
        """Derive the children's pruned tensors again."""
        for child, hook in _pruning_hooks(module):
            hook(child, inputs)


def reader_of(parent: nn.Module | None, child: str, tensor: str) -> nn.Module | None:
    """Return the parent if its code reads this tensor of this child, as in `self.child.tensor`, and never calls it."""
    kind: Any = type(parent)
    return parent if _reads(kind, child, tensor) else None


def keep_derived(reader: nn.Module) -> None:
    """Give a module that reads pruned children its hook, once."""
    if not _own_hooks(reader):
        reader.register_forward_pre_hook(DeriveChildren())


def drop_unused(reader: nn.Module) -> None:
    """Take the hook off where no such child is pruned any more."""
    if not any(_pruning_hooks(reader)):
        for key in _own_hooks(reader):
            del reader._forward_pre_hooks[key]


def _own_hooks(reader: nn.Module) -> list[int]:
    return [key for key, hook in reader._forward_pre_hooks.items() if isinstance(hook, DeriveChildren)]


def _pruning_hooks(reader: nn.Module) -> Iterator[tuple[nn.Module, BasePruningMethod]]:
    kind: Any = type(reader)
    for name, child in reader.named_children():
        for hook in child._forward_pre_hooks.values():
            if isinstance(hook, BasePruningMethod) and _reads(kind, name, hook._tensor_name):
                yield child, hook


@lru_cache(maxsize=4096)
def _reads(kind: type, child: str, tensor: str) -> bool:
    """Return whether a method of a class has `self.child.tensor`, for more than its dtype or shape, and no call."""
    found = [after for method in _methods(kind) for after in _loads(method, child, tensor)]
    return _CALLED not in found and not set(found) <= _FACTS


@lru_cache(maxsize=1024)
def _methods(kind: type) -> tuple[FunctionType, ...]:
    classes = kind.__mro__[: kind.__mro__.index(nn.Module)] if issubclass(kind, nn.Module) else ()
    return tuple(
        inspect.unwrap(method)
        for one in classes
        for name, method in vars(one).items()
        if inspect.isfunction(method) and not name.startswith(_SETTING_UP)
    )


def _loads(method: FunctionType, child: str, tensor: str) -> Iterator[str]:
    """Yield what follows each `self.child.tensor`: an attribute, or nothing; _CALLED for each `self.child` alone."""
    if child not in method.__code__.co_names:
        return
    steps = [one for one in dis.get_instructions(method) if one.opname not in ("CACHE", "EXTENDED_ARG")]
    names = [str(one.argval) if one.opname in ("LOAD_ATTR", "LOAD_METHOD") else "" for one in steps]
    for start, *loaded in zip(steps, names[1:], [*names[2:], ""], [*names[3:], "", ""], strict=False):
        if start.opname.startswith("LOAD_FAST") and loaded[0] == child and loaded[1] in ("", tensor):
            yield loaded[2] if loaded[1] else _CALLED

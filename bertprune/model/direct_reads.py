"""Weights that are read without their module being called, so that the module's pruning hooks never run.

`torch.nn.MultiheadAttention` reads its `out_proj.weight` in this way, DeBERTa's encoder the `weight` of its relative
positions; ProphetNet calls the method `_forward` of its positions. There the innermost module around both the reader
and the weight gets a hook that derives the weight before the module runs. Without that hook the weight would stay as it
was when it was pruned, whatever has been trained or loaded since. Which code reads which weight is found by name in the
code that a forward pass may run; in doubt, the weight is derived once more than needed.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from torch import nn
from torch.nn.utils.prune import BasePruningMethod

from .bytecode import Load, functions_of, loads
from .names import full_name, pruned_names

_Uses = Mapping[str, Iterable[tuple[str, str | None]]]
"""Who loads an attribute, by its name: the path of the module whose code does, and the path of the module that it is
loaded from; None for any."""


class DeriveInside:
    """A forward pre-hook that runs the pruning hooks of modules inside whose weights are read without a call."""

    def __init__(self, paths: Iterable[str]) -> None:
        """Name the modules by their paths within the module that has this hook."""
        self.paths = tuple(paths)

    def __call__(self, module: nn.Module, inputs: Any) -> None:
        """Derive their pruned tensors again."""
        for path in self.paths:
            inner = _inside(module, path)
            for hook in inner._forward_pre_hooks.values() if inner is not None else ():
                if isinstance(hook, BasePruningMethod):
                    hook(inner, inputs)


def hook_direct_reads(model: nn.Module) -> None:
    """Give each module around such a weight its hook, and take the hooks off that nothing needs any more."""
    modules = dict(model.named_modules(remove_duplicate=False))
    wanted = _wanted(modules)
    for module in model.modules():
        hooks = module._forward_pre_hooks
        for key in [key for key, hook in hooks.items() if isinstance(hook, DeriveInside)]:
            del hooks[key]
        if paths := wanted.get(id(module)):
            module.register_forward_pre_hook(DeriveInside(paths))


def _wanted(modules: Mapping[str, nn.Module]) -> dict[int, list[str]]:
    """List what each module has to derive, by the module's identity."""
    wanted: dict[int, dict[str, None]] = defaultdict(dict)
    pruned = {path: set(pruned_names(module)) for path, module in modules.items()}
    uses = _uses(modules) if any(pruned.values()) else {}
    for path, tensors in pruned.items():
        for around in _around_readers(path, tensors, modules, uses) if tensors else ():
            wanted[id(modules[around])][path[len(around) :].removeprefix(".")] = None
    return {module: list(paths) for module, paths in wanted.items()}


def _around_readers(path: str, names: set[str], modules: Mapping[str, nn.Module], uses: _Uses) -> set[str]:
    """Find the modules that have to derive tensors of these names before they run.

    Where a method of a module is called instead of the module, no hook of that module runs: then the module around the
    caller derives them.
    """
    found: set[str] = set()
    todo = [(path, names)]
    while todo:
        used, names = todo.pop()
        for name in names | _methods(modules[used]):
            for user, holder in uses.get(name, ()):
                around = _around(user, used, modules) if holder in (None, used) else None
                if around is not None and around not in found:
                    found.add(around)
                    todo.append((around, set()))
    return found


def _around(user: str, used: str, modules: Mapping[str, nn.Module]) -> str | None:
    """Return the innermost module that can be called and has both, other than the used one; None if there is none."""
    holding = (path for path in _above(used) if not path or f"{user}.".startswith(f"{path}."))
    return next((path for path in holding if _can_be_called(modules[path])), None)


def _above(path: str) -> Iterator[str]:
    while path:
        path = path.rpartition(".")[0]
        yield path


def _can_be_called(module: nn.Module) -> bool:
    return type(module).forward is not nn.Module.forward


def _uses(modules: Mapping[str, nn.Module]) -> _Uses:
    reachable = _reachable(frozenset(map(type, modules.values())))
    uses: dict[str, list[tuple[str, str | None]]] = defaultdict(list)
    for path, module in modules.items():
        for load in reachable[type(module)]:
            if load.chain != ():  # its own
                holder = full_name(path, ".".join(load.chain)) if load.chain else None
                uses[load.name].append((path, holder if holder in modules else None))
    return uses


@lru_cache(maxsize=64)
def _reachable(kinds: frozenset[Any]) -> dict[Any, frozenset[Load]]:
    """Return what methods load that a forward pass may run: those whose names it loads, and those that they load."""
    known = {name for kind in kinds for name in functions_of(kind)}
    names: set[str] = set()
    more = {"forward", "__call__"}
    found: dict[Any, frozenset[Load]] = {}
    while more != names:
        names = more
        found = {kind: frozenset(_of_methods(kind, names)) for kind in kinds}
        more = names | (known & {load.name for all_loads in found.values() for load in all_loads})
    return found


def _of_methods(kind: Any, names: set[str]) -> Iterator[Load]:
    for name, functions in functions_of(kind).items():
        if name in names:
            yield from (load for function in functions for load in loads(function))


def _methods(module: nn.Module) -> set[str]:
    kind: Any = type(module)
    return {name for name in functions_of(kind) if not name.startswith("__")}


def _inside(module: nn.Module, path: str) -> nn.Module | None:
    """Return the module at a path; None where it is gone."""
    inner: nn.Module | None = module
    for name in path.split("."):
        inner = inner._modules.get(name) if inner is not None else None
    return inner

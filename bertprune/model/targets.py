"""From a selection and a model to the tensors that may be pruned; tied tensors are found here, once."""

import fnmatch
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property, lru_cache, partial
from typing import NamedTuple

import bracex
from torch import Tensor, nn

from ..errors import SelectionError, shortened
from ..recipe import Selection
from .families import Place, base_prefix, places

MAX_ALTERNATIVES = 1000
"""How many globs those of a selection may stand for, once their braces are written out."""
MAX_BRACES = 64


class Owner(NamedTuple):
    """One place where a tensor is used: the module's path, the module, and the parameter's name in it."""

    path: str
    module: nn.Module
    tensor: str


@dataclass(frozen=True, eq=False)
class Target:
    """A tensor that can be pruned, with everyone who shares it."""

    owners: tuple[Owner, ...]
    parameter: nn.Parameter
    """The dense values: `weight`, or `weight_orig` where it is pruned already."""
    mask: Tensor | None
    """The mask of what is alive, where it is pruned already."""

    @cached_property
    def name(self) -> str:
        """Name the tensor by its first owner, as `named_modules` comes upon it."""
        return _join(self.owners[0].path, self.owners[0].tensor)

    @property
    def aliases(self) -> tuple[str, ...]:
        """Name the tensor by its other owners."""
        return tuple(_join(owner.path, owner.tensor) for owner in self.owners[1:])


def every_target(model: nn.Module) -> tuple[Target, ...]:
    """List all parameters of the model as targets, tied ones once, in the order of `named_modules`."""
    found: dict[int, tuple[nn.Parameter, Tensor | None, list[Owner]]] = {}
    for path, module in model.named_modules():
        for key, parameter in module._parameters.items():
            if parameter is None:
                continue
            mask = module._buffers.get(key.removesuffix("_orig") + "_mask") if key.endswith("_orig") else None
            owner = Owner(path, module, key if mask is None else key.removesuffix("_orig"))
            found.setdefault(id(parameter), (parameter, mask, []))[2].append(owner)
    return tuple(Target(tuple(owners), parameter, mask) for parameter, mask, owners in found.values())


def alternatives(selection: Selection) -> int:
    """Count what the globs of a selection stand for, once their braces are written out. Raises SelectionError."""
    return sum(len(_alternatives(glob)) for glob in (*selection.include, *selection.exclude))


def targets_by_name(model: nn.Module) -> dict[str, Target]:
    """Return what `every_target` lists, by name."""
    return {target.name: target for target in every_target(model)}


def find_targets(model: nn.Module, selection: Selection, missing: Iterable[str] = ()) -> tuple[Target, ...]:
    """Return the targets that meet every condition of the selection, in the order of `named_modules`.

    A tied tensor is met if one of its owners is, and left out if one of them is excluded. `missing` names parameters
    that the checkpoint did not bring; they are never selected. Works on meta tensors too.
    Pure. Raises SelectionError where a condition, or all of them together, match nothing.
    """
    chooser = _Chooser(model, selection)
    unavailable = frozenset(missing)
    named = [target for target in chooser.candidates if chooser.matches(target)]
    chosen = tuple(t for t in named if unavailable.isdisjoint((t.name, *t.aliases)))
    if chosen:
        return chosen
    if named:
        raise SelectionError(
            f"{shortened(str(selection), 300)} matches only tensors that the checkpoint lacks:"
            f" {_some(t.name for t in named)}"
        )
    raise SelectionError(chooser.why_nothing())


class _Chooser:
    """A selection brought together with a model."""

    def __init__(self, model: nn.Module, selection: Selection) -> None:
        self.selection = selection
        self.places = places(model)
        self.prefix = base_prefix(model)
        self.paths = [path for path, _ in model.named_modules()]
        everything = every_target(model)
        self.candidates = [t for t in everything if any(o.tensor == selection.tensor for o in t.owners)]
        if not self.candidates:
            known = dict.fromkeys(owner.tensor for target in everything for owner in target.owners)
            raise SelectionError(f"no tensor is named {shortened(selection.tensor)!r}; the model has {_some(known)}")
        self.globs = _matchers((*selection.include, *selection.exclude))
        self._refuse_idle_conditions()

    def matches(self, target: Target) -> bool:
        if any(self._under(glob, owner) for glob in self.selection.exclude for owner in target.owners):
            return False
        return any(self._meets_all(owner) for owner in target.owners)

    def _meets_all(self, owner: Owner) -> bool:
        wanted = self.selection
        place = self._place(owner)
        return (
            owner.tensor == wanted.tensor
            and (not wanted.roles or place.role in wanted.roles)
            and (not wanted.layers or place.layer in wanted.layers)
            and (not wanted.types or type(owner.module).__name__ in wanted.types)
            and (not wanted.include or any(self._under(glob, owner) for glob in wanted.include))
            and (_is_matrix(owner) or self._names(owner))
        )

    def _place(self, owner: Owner) -> Place:
        return self.places.get(owner.path, Place("", None, None))

    def _under(self, glob: str, owner: Owner) -> bool:
        match = self.globs[glob]
        return match(owner.path) or (
            bool(self.prefix) and owner.path.startswith(self.prefix) and match(owner.path[len(self.prefix) :])
        )

    def _names(self, owner: Owner) -> bool:
        """Tell whether a LayerNorm and the like is asked for: by its type, or by a glob that ends in more than `*`."""
        if type(owner.module).__name__ in self.selection.types:
            return True
        return any(glob.rpartition(".")[2] != "*" and self._under(glob, owner) for glob in self.selection.include)

    def _refuse_idle_conditions(self) -> None:
        """Stop at a condition that no tensor meets: more likely a slip than a wish."""
        owners = [owner for target in self.candidates for owner in target.owners]
        spots = [self._place(owner) for owner in owners]
        tensor = shortened(self.selection.tensor)
        _each_known(self.selection.roles, {s.role for s in spots}, "the model has no {} in a known family")
        _each_known(self.selection.layers, {s.layer for s in spots}, "the model has no layer {} of a known family")
        kinds = {type(owner.module).__name__ for owner in owners}
        _each_known(self.selection.types, kinds, "the model has no module of type {} with a " + tensor)
        for glob in self.selection.include:
            if not any(self._under(glob, owner) for owner in owners):
                raise SelectionError(self._why_idle(glob))

    def _why_idle(self, glob: str) -> str:
        said = f"{shortened(glob)!r} matches no module with a {shortened(self.selection.tensor)}"
        inner = [
            path for path in self.paths if self.globs[glob](path) or self.globs[glob](path.removeprefix(self.prefix))
        ]
        if inner and glob and not glob.endswith("*"):
            return f"{said}; {inner[0]} is a container: {glob + '.*'!r} takes what is inside"
        known = [o.path.removeprefix(self.prefix) for target in self.candidates for o in target.owners]
        near = get_close_matches(glob.removeprefix(self.prefix), known, n=3, cutoff=0.4)
        return f"{said}; the nearest are {_some(near)}" if near else f"{said}; the model has {_some(known)}"

    def why_nothing(self) -> str:
        asked = shortened(str(self.selection), 300)
        return f"the selection ({asked}) matches nothing: no tensor meets all of its conditions"


def _in_order(thing: object) -> tuple[int, str]:
    return (thing, "") if isinstance(thing, int) else (0, str(thing))


def _each_known(asked: Iterable[object], known: Iterable[object], complaint: str) -> None:
    there = {thing for thing in known if thing is not None}
    for thing in asked:
        if thing not in there:
            listed = _some(map(str, sorted(there, key=_in_order))) or "none"
            raise SelectionError(
                f"{complaint.format(repr(shortened(thing)) if isinstance(thing, str) else thing)}; it has {listed}"
            )


def _is_matrix(owner: Owner) -> bool:
    """Tell whether the module's weight has two dimensions or more; its bias goes the same way."""
    weight = owner.module._parameters.get("weight_orig", owner.module._parameters.get("weight"))
    tensor = weight if weight is not None and owner.tensor == "bias" else getattr(owner.module, owner.tensor)
    return bool(tensor.dim() >= 2)


def _matchers(globs: Iterable[str]) -> dict[str, Callable[[str], bool]]:
    """Turn globs with braces into tests of a path. Raises SelectionError where they stand for too many."""
    matchers: dict[str, Callable[[str], bool]] = {}
    left = MAX_ALTERNATIVES
    for glob in dict.fromkeys(globs):
        alternatives = _alternatives(glob)
        left -= len(alternatives)
        if left < 0:
            raise SelectionError(f"the globs of one selection stand for more than {MAX_ALTERNATIVES:,} in all")
        matchers[glob] = partial(_matches, alternatives)
    return matchers


def _matches(alternatives: tuple[str, ...], path: str) -> bool:
    return any(fnmatch.fnmatchcase(path, alternative) for alternative in alternatives)


@lru_cache(maxsize=1024)
def _alternatives(glob: str) -> tuple[str, ...]:
    """Write the braces of a glob out. Raises SelectionError."""
    if glob.count("{") > MAX_BRACES:
        raise SelectionError(f"{shortened(glob)!r} has more than {MAX_BRACES} braces")
    try:
        return tuple(bracex.expand(glob, limit=MAX_ALTERNATIVES))
    except bracex.ExpansionLimitException:
        raise SelectionError(f"{shortened(glob)!r}: braces stand for more than {MAX_ALTERNATIVES:,} globs") from None


def _some(names: Iterable[str], most: int = 8) -> str:
    listed = list(names)
    return ", ".join(listed[:most]) + (f" and {len(listed) - most} more" if len(listed) > most else "")


def _join(path: str, tensor: str) -> str:
    return f"{path}.{tensor}" if path else tensor

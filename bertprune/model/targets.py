"""Find the tensors that a selection matches; a tied tensor is one target with several owners."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cached_property, reduce
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from ..errors import SelectionError, first_names, shortened
from ..selection import Selection, describe
from .families import Place, base_prefix, places
from .family_tables import KNOWN_FAMILIES
from .globs import Globs
from .names import full_name, pruned_names


class Owner(NamedTuple):
    """One use of a tensor: the module's path, the module, and the parameter's name in it."""

    path: str
    module: nn.Module
    tensor: str

    @property
    def name(self) -> str:
        """The full name of the tensor at this owner, without pruning's suffix (`weight`)."""
        return full_name(self.path, self.tensor)

    @property
    def mask(self) -> Tensor | None:
        """The mask at this owner; None where the tensor is not pruned there."""
        return self.module._buffers[f"{self.tensor}_mask"] if self.tensor in pruned_names(self.module) else None


@dataclass(frozen=True, eq=False)
class Target:
    """A tensor that can be pruned, with all modules that share it."""

    owners: tuple[Owner, ...]
    parameter: nn.Parameter
    """The dense values: `weight`, or `weight_orig` if it is pruned."""
    mask: Tensor | None
    """What its owners keep together: 0 where each has a mask that removes the value; None where one has none."""
    role: str | None = None
    """The role of the part that is meant, in a fused projection; None for the whole tensor."""
    rows: tuple[slice, ...] = ()
    """The rows of that part; empty for the whole tensor."""

    @cached_property
    def name(self) -> str:
        """The name at its first owner, in the order of `named_modules`."""
        return self.owners[0].name

    @property
    def label(self) -> str:
        """The name, with the role of a part: `layers.0.attn.Wqkv.weight (attention.key)`."""
        return f"{self.name} ({self.role})" if self.role else self.name

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the tensor, or of the part that is meant."""
        height = sum(rows.stop - rows.start for rows in self.rows)
        return (height, *self.parameter.shape[1:]) if self.rows else tuple(self.parameter.shape)

    def row_mask(self) -> Tensor | None:
        """Mark the rows of the part that is meant, in the tensor's number of dimensions; None for the whole tensor."""
        if not self.rows:
            return None
        marked = torch.zeros(len(self.parameter), dtype=torch.bool, device=self.parameter.device)
        for rows in self.rows:
            marked[rows] = True
        return marked.view(-1, *[1] * (self.parameter.dim() - 1))

    @property
    def aliases(self) -> tuple[str, ...]:
        """The names at its other owners."""
        return tuple(owner.name for owner in self.owners[1:])


def every_target(model: nn.Module, *, shared_modules: bool = False) -> tuple[Target, ...]:
    """List all parameters of the model as targets, tied ones once, in the order of `named_modules`.

    With `shared_modules`, a module that the model holds at several paths is an owner at each of them.
    """
    found: dict[int, tuple[nn.Parameter, list[Owner]]] = {}
    for path, module in model.named_modules(remove_duplicate=not shared_modules):
        names = {f"{local}_orig": local for local in pruned_names(module)}
        for key, parameter in module._parameters.items():
            if parameter is not None:
                local = names.get(key, key)
                found.setdefault(id(parameter), (parameter, []))[1].append(Owner(path, module, local))
    return tuple(Target(tuple(owners), parameter, _joint_mask(owners)) for parameter, owners in found.values())


def _joint_mask(owners: list[Owner]) -> Tensor | None:
    """Return the mask of all owners; where they differ, a value is kept that one of them keeps."""
    masks = {id(mask): mask for mask in (owner.mask for owner in owners)}
    if len(masks) == 1:
        return masks.popitem()[1]
    given = [mask for mask in masks.values() if mask is not None]
    return reduce(torch.logical_or, given) if len(given) == len(masks) else None


def targets_by_name(model: nn.Module) -> dict[str, Target]:
    """Map the name of each target of `every_target` to the target."""
    return {target.name: target for target in every_target(model)}


def find_targets(model: nn.Module, selection: Selection, missing: Iterable[str] = ()) -> tuple[Target, ...]:
    """Return the targets that meet every condition of the selection, in the order of `named_modules`.

    Where roles are asked for, a fused projection gives a target for each part that has one of them. A tied tensor is
    selected if one of its owners meets the conditions, and left out if one of them is excluded. `missing` names
    parameters that the checkpoint lacks; they are never selected. Meta tensors work too.
    Raises SelectionError where one of the conditions, or all of them together, match nothing.
    """
    refuse_adapters(model)
    matcher = _Matcher(model, selection)
    matching = [target for target in matcher.candidates if matcher.matches(target)]
    unavailable = frozenset(missing)
    chosen = tuple(target for target in matching if unavailable.isdisjoint((target.name, *target.aliases)))
    if chosen:
        return tuple(part for target in chosen for part in matcher.parts(target))
    asked = describe(selection)
    if matching:
        raise SelectionError(
            "the selection ({selection}) matches only tensors that the checkpoint lacks: {tensors}",
            code="selection.only_missing", selection=asked, tensors=first_names(target.name for target in matching),
        )  # fmt: skip
    raise SelectionError(
        "no tensor meets all conditions of the selection ({selection})", code="selection.empty", selection=asked
    )


def matching_paths(model: nn.Module, selection: Selection) -> tuple[frozenset[str], frozenset[str]]:
    """Return the paths of the modules whose weights the selection matches, and of those that it excludes.

    Raises SelectionError where one of the conditions matches nothing.
    """
    matcher = _Matcher(model, selection)
    matched = frozenset(
        owner.path for target in matcher.candidates if matcher.matches(target) for owner in target.owners
    )
    return matched, frozenset(owner.path for owner in matcher.owners if matcher.excludes(owner))


class _Matcher:
    """The conditions of a selection, checked against a model. Raises SelectionError where one matches nothing."""

    def __init__(self, model: nn.Module, selection: Selection) -> None:
        self.selection = selection
        self.places = places(model)
        self.prefix = base_prefix(model)
        self.candidates = _having(selection.tensor, every_target(model))
        self.owners = [owner for target in self.candidates for owner in target.owners]
        self.paths = {owner.path for owner in self.owners}
        self.globs = Globs((*selection.include, *selection.exclude), self.prefix)
        self._check_conditions(dict(model.named_modules()))

    def matches(self, target: Target) -> bool:
        """Return whether one owner meets all conditions and none is excluded."""
        if any(self.excludes(owner) for owner in target.owners):
            return False
        return any(self._meets_all(owner) for owner in target.owners)

    def excludes(self, owner: Owner) -> bool:
        """Return whether the selection names this owner under `exclude`."""
        return any(self.globs.match(glob, owner.path) for glob in self.selection.exclude)

    def parts(self, target: Target) -> Iterator[Target]:
        """Split a fused projection into the parts whose roles are asked for; others stay whole."""
        place = self._place(target.owners[0])
        if not self.selection.roles or not place.is_fused:
            yield target
            return
        for role in place.roles:
            if role in self.selection.roles:
                yield replace(target, role=role, rows=place.rows(role, len(target.parameter)))

    def _meets_all(self, owner: Owner) -> bool:
        wanted, place = self.selection, self._place(owner)
        return (
            owner.tensor == wanted.tensor
            and (not wanted.roles or not set(place.roles).isdisjoint(wanted.roles))
            and (not wanted.layers or place.layer in wanted.layers)
            and (not wanted.types or type(owner.module).__name__ in wanted.types)
            and (not wanted.include or any(self.globs.match(glob, owner.path) for glob in wanted.include))
            and (_is_matrix(owner) or self._is_named(owner))
        )

    def _place(self, owner: Owner) -> Place:
        return self.places.get(owner.path, Place("", None, None))

    def _is_named(self, owner: Owner) -> bool:
        """Return whether a vector (LayerNorm) is selected by type, or by a glob that does not end in `*` alone."""
        if type(owner.module).__name__ in self.selection.types:
            return True
        specific = (glob for glob in self.selection.include if glob.rpartition(".")[2] != "*")
        return any(self.globs.match(glob, owner.path) for glob in specific)

    def _check_conditions(self, modules: Mapping[str, nn.Module]) -> None:
        """Refuse a condition that no tensor meets: it is probably a typing mistake."""
        asked, tensor = self.selection, shortened(self.selection.tensor)
        if not self.places and (asked.roles or asked.layers):
            raise SelectionError(
                "roles and layers are known for models with one encoder of these families: {families}; "
                "select by type or by glob here",
                code="selection.unknown_family", families=KNOWN_FAMILIES,
            )  # fmt: skip
        found = [self._place(owner) for owner in self.owners]
        _require(
            asked.roles, [role for place in found for role in place.roles], _NO_ROLE, code="selection.unknown_role"
        )
        _require(asked.layers, [place.layer for place in found], _NO_LAYER, code="selection.unknown_layer")
        types = [type(owner.module).__name__ for owner in self.owners]
        _require(asked.types, types, _NO_TYPE, code="selection.unknown_type", tensor=tensor)
        for glob in (*asked.include, *asked.exclude):
            if not any(self.globs.match(glob, owner.path) for owner in self.owners):
                raise self._unmatched(glob, modules)
            if (one := self.globs.unmatched(glob, self.paths)) is not None:
                values = {"glob": shortened(glob), "alternative": shortened(one), "tensor": tensor}
                raise SelectionError(_ALTERNATIVE, code="selection.alternative", **values)

    def _unmatched(self, glob: str, modules: Mapping[str, nn.Module]) -> SelectionError:
        """Describe why a glob matches nothing: it names a container, is misspelt, or neither."""
        values = {"glob": shortened(glob), "tensor": shortened(self.selection.tensor)}
        container = next((path for path in modules if self.globs.match(glob, path)), None)
        if container and is_parametrized(modules[container], self.selection.tensor):
            return SelectionError(_PARAMETRIZED, code="selection.parametrized", path=container, **values)
        inside = [owner for owner in self.owners if owner.path.startswith(f"{container}.")]
        if inside and not glob.endswith("*"):
            wider = shortened(f"{glob}.*")
            return SelectionError(_CONTAINER, code="selection.container", path=container, wider=wider, **values)
        known = [owner.path.removeprefix(self.prefix) for owner in self.owners]
        near = get_close_matches(glob[:200].removeprefix(self.prefix), known, n=3, cutoff=0.4)
        if near:
            return SelectionError(_NEAR, code="selection.unmatched_glob_near", near=", ".join(near), **values)
        return SelectionError(_UNMATCHED, code="selection.unmatched_glob", known=first_names(known), **values)


_NO_ROLE = "no part of the model has the role {given!r}; it has {known}"
_NO_LAYER = "the model has no layer {given}; it has {known}"
_NO_TYPE = "the model has no module of type {given!r} with a {tensor}; it has {known}"
_UNMATCHED = "{glob!r} matches no module with a {tensor}; the model has {known}"
_NEAR = "{glob!r} matches no module with a {tensor}; the nearest are {near}"
_ALTERNATIVE = "{glob!r}: {alternative!r}, one of its alternatives, matches no module with a {tensor}"
_CONTAINER = "{glob!r} matches no module with a {tensor}; {path} only contains modules: select them by {wider!r}"

_PARAMETRIZED = (
    "{glob!r} matches {path}, whose {tensor} is computed from other tensors; call"
    " torch.nn.utils.parametrize.remove_parametrizations first"
)


def refuse_adapters(model: nn.Module) -> None:
    """Refuse a model with adapters: merging them later would write over what pruning left. Raises SelectionError."""
    for path, module in model.named_modules():
        if type(module).__module__.startswith("peft."):
            raise SelectionError(
                "{module} is an adapter of peft; merge it into the weights first: model = model.merge_and_unload()",
                code="selection.adapter", module=path or type(module).__name__,
            )  # fmt: skip


def _having(tensor: str, targets: tuple[Target, ...]) -> list[Target]:
    """Return the targets that have this name, such as `weight`, at an owner. Raises SelectionError."""
    having = [target for target in targets if any(owner.tensor == tensor for owner in target.owners)]
    if not having:
        known = dict.fromkeys(owner.tensor for target in targets for owner in target.owners)
        raise SelectionError(
            "no tensor is named {tensor!r}; the model has {known}",
            code="selection.unknown_tensor", tensor=shortened(tensor), known=first_names(known),
        )  # fmt: skip
    return having


def _require(asked: Iterable[Any], known: Iterable[Any], sentence: str, /, **values: Any) -> None:
    """Refuse an unknown value. Raises SelectionError with the known ones."""
    there = set(known) - {None}
    for one in asked:
        if one not in there:
            given = shortened(one) if isinstance(one, str) else one
            raise SelectionError(sentence, given=given, known=first_names(sorted(there)), **values)


def _is_matrix(owner: Owner) -> bool:
    """Return whether the module's weight has two dimensions or more; its bias is selected along with it."""
    weight = owner.module._parameters.get("weight_orig", owner.module._parameters.get("weight"))
    tensor = weight if weight is not None and owner.tensor == "bias" else getattr(owner.module, owner.tensor)
    return bool(tensor.dim() >= 2)

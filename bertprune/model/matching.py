"""Find the tensors that a selection matches."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from ..errors import BertpruneError, SelectionError, first_names, shortened
from ..selection import Selection, describe
from .families import Place, base_prefix, places
from .family_tables import KNOWN_FAMILIES
from .globs import Globs
from .names import pruned_names
from .targets import Owner, Target, every_target


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
        matcher.by_glob().check(matcher.groups)
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


@dataclass(frozen=True)
class MatchedPaths:
    """The paths of the modules that each glob of a selection includes, and of those that each excludes."""

    selection: Selection
    included: Mapping[str, Collection[str]]
    """Those that meet the other conditions too; under an empty glob where the selection includes all of them."""
    excluded: Mapping[str, Collection[str]]

    @property
    def chosen(self) -> frozenset[str]:
        """What all globs include, whether it is excluded or not."""
        return frozenset().union(*self.included.values())

    @property
    def spared(self) -> frozenset[str]:
        """What all globs exclude."""
        return frozenset().union(*self.excluded.values())

    def check(self, groups: Iterable[Collection[str]]) -> None:
        """Refuse a glob that has no effect: it is probably a typing mistake. Raises SelectionError.

        Each of the `groups` is included by one of its paths, and excluded by one.
        """
        chosen, groups = self.chosen, list(groups)
        known = frozenset(path for group in groups for path in group)
        picked = frozenset(path for group in groups if not chosen.isdisjoint(group) for path in group)
        asked = describe(self.selection)
        for glob, paths in self.included.items():
            if known.isdisjoint(paths):
                raise SelectionError(
                    "include {glob!r} adds nothing to the selection ({selection}); correct it, or leave it out",
                    code="selection.include_nothing", glob=shortened(glob), selection=asked,
                )  # fmt: skip
        for glob, paths in self.excluded.items():
            if picked.isdisjoint(paths):
                raise SelectionError(
                    "exclude {glob!r} protects nothing that the selection ({selection}) would prune; correct it, or"
                    " leave it out",
                    code="selection.exclude_nothing", glob=shortened(glob), selection=asked,
                )  # fmt: skip


def matching_paths(model: nn.Module, selection: Selection) -> MatchedPaths:
    """Find the modules whose weights each glob of a selection includes or excludes.

    Raises SelectionError where one of the conditions matches nothing.
    """
    return _Matcher(model, selection).by_glob()


class _Matcher:
    """The conditions of a selection, checked against a model. Raises SelectionError where one matches nothing."""

    def __init__(self, model: nn.Module, selection: Selection) -> None:
        self.selection = selection
        self.places = places(model)
        self.prefix = base_prefix(model)
        self.candidates = _having(selection.tensor, every_target(model))
        modules = dict(model.named_modules())
        computed = [
            Owner(path, one, selection.tensor) for path, one in modules.items() if is_computed(one, selection.tensor)
        ]
        self.owners = [*(owner for target in self.candidates for owner in target.owners), *computed]
        self.paths = {owner.path for owner in self.owners}
        self.groups = [
            *([owner.path for owner in one.owners] for one in self.candidates),
            *([o.path] for o in computed),
        ]
        """The paths of the owners of each tensor."""
        self.globs = Globs((*selection.include, *selection.exclude), self.prefix)
        self._check_conditions(modules)
        self._refuse_computed(computed)

    def matches(self, target: Target) -> bool:
        """Return whether one owner meets all conditions and none is excluded."""
        if any(self.excludes(owner) for owner in target.owners):
            return False
        return any(self._meets_all(owner) for owner in target.owners)

    def excludes(self, owner: Owner) -> bool:
        """Return whether the selection names this owner under `exclude`."""
        return any(self.globs.match(glob, owner.path) for glob in self.selection.exclude)

    def by_glob(self) -> MatchedPaths:
        """List what each glob includes or excludes, vectors too; of a tied tensor all owners are excluded with one."""
        wanted = self.selection
        fitting = [owner.path for owner in self.owners if self._fits(owner)]
        included = {glob: {path for path in fitting if self.globs.match(glob, path)} for glob in wanted.include}
        excluded = {
            glob: {path for group in self.groups if any(self.globs.match(glob, one) for one in group) for path in group}
            for glob in wanted.exclude
        }
        return MatchedPaths(wanted, included or {"": set(fitting)}, excluded)

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
        globs = self.selection.include
        is_included = not globs or any(self.globs.match(glob, owner.path) for glob in globs)
        return is_included and self._fits(owner) and (_is_matrix(owner) or self._is_named(owner))

    def _fits(self, owner: Owner) -> bool:
        """Return whether an owner meets all conditions but the globs."""
        wanted, place = self.selection, self._place(owner)
        return (
            owner.tensor == wanted.tensor
            and (not wanted.roles or not set(place.roles).isdisjoint(wanted.roles))
            and (not wanted.layers or place.layer in wanted.layers)
            and (not wanted.types or _type_name(owner.module) in wanted.types)
        )

    def _place(self, owner: Owner) -> Place:
        return self.places.get(owner.path, Place("", None, None))

    def _is_named(self, owner: Owner) -> bool:
        """Return whether a vector (LayerNorm) is selected by type, or by a glob that does not end in `*` alone."""
        if _type_name(owner.module) in self.selection.types:
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
        types = [_type_name(owner.module) for owner in self.owners]
        _require(asked.types, types, _NO_TYPE, code="selection.unknown_type", tensor=tensor)
        for glob in (*asked.include, *asked.exclude):
            if not any(self.globs.match(glob, owner.path) for owner in self.owners):
                raise self._unmatched(glob, modules)
            if (one := self.globs.unmatched(glob, self.paths)) is not None:
                values = {"glob": shortened(glob), "alternative": shortened(one), "tensor": tensor}
                raise SelectionError(_ALTERNATIVE, code="selection.alternative", **values)

    def _refuse_computed(self, computed: Iterable[Owner]) -> None:
        """Refuse a tensor that torch computes from others, such as their norm: there is nothing to mask."""
        for owner in computed:
            if self._meets_all(owner) and not self.excludes(owner):
                raise computed_tensor(owner.name)

    def _unmatched(self, glob: str, modules: Mapping[str, nn.Module]) -> SelectionError:
        """Describe why a glob matches nothing: it names a container, is misspelt, or neither."""
        values = {"glob": shortened(glob), "tensor": shortened(self.selection.tensor)}
        container = next((path for path in modules if self.globs.match(glob, path)), None)
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


def refuse_adapters(model: nn.Module, error: type[BertpruneError] = SelectionError) -> None:
    """Refuse a model with adapters: merging them later would write over what pruning left. Raises `error`."""
    for path, module in model.named_modules():
        if type(module).__module__.startswith("peft."):
            raise error(
                "{module} is an adapter of peft; merge it into the weights first: model = model.merge_and_unload()"
                " (where that is not there, as for prompts, use the model from before, and train the adapter after)",
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


def is_computed(module: nn.Module, tensor: str) -> bool:
    """Return whether a module's tensor is no parameter, but made from others before each forward pass."""
    plain = isinstance(vars(module).get(tensor), Tensor) and tensor not in pruned_names(module)
    return plain or is_parametrized(module, tensor)


def computed_tensor(name: str) -> SelectionError:
    """Return the error for such a tensor."""
    return SelectionError(
        "{tensor} is computed from other tensors (parametrized, or by a weight norm), which pruning would not reach:"
        " call torch.nn.utils.parametrize.remove_parametrizations (or remove_weight_norm) first, or leave it out by"
        " exclude",
        code="selection.parametrized", tensor=name,
    )  # fmt: skip


def _type_name(module: nn.Module) -> str:
    """Return the name of a module's class; of a parametrized module that of the class that it had before."""
    kind = type(module)
    return (kind.__bases__[0] if is_parametrized(module) else kind).__name__

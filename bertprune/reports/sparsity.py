"""How sparse a model is: per tensor, layer, role and whole, masked values told apart from mere zeros."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, reduce
from operator import add
from typing import TYPE_CHECKING, Any, Literal, get_args

import torch
from torch import nn
from torch.nn.utils.prune import BasePruningMethod

from ..errors import BertpruneError
from ..model.families import Place, places
from ..model.snapshot import history, joined, originals
from ..parallel import WORTH, each
from ..recipe import Role
from .counting import Count, count
from .report import frame, text

if TYPE_CHECKING:
    import pandas

Grouping = Literal["layer", "role", "module", "type"]


@dataclass(frozen=True, slots=True)
class TensorSparsity:
    """One parameter, tied ones once. The names are the ones that it has without pruning (`weight`)."""

    name: str
    """Path and name at its first owner, such as `encoder.layer.0.attention.self.key.weight`."""
    module: str
    tensor: str
    type: str
    """The class name of the owning module."""
    role: str | None
    layer: int | None
    """The encoder layer, from zero; None outside the layers."""
    history: tuple[str, ...]
    """The class names of the pruning steps taken; empty for a tensor without a hook."""
    aliases: tuple[str, ...]
    """The names at the other owners of a tied tensor."""
    shape: tuple[int, ...]
    masks: int
    """How many different masks its owners hold: 0 for a tensor that is no target, 1 for a pruned one."""
    count: Count


@dataclass(frozen=True)
class SparsityReport:
    """What is masked, zero and alive in a model. Targets are the tensors that have a mask."""

    tensors: tuple[TensorSparsity, ...]

    @cached_property
    def targets(self) -> tuple[TensorSparsity, ...]:
        """The tensors that have a mask, even one that keeps everything."""
        return tuple(tensor for tensor in self.tensors if tensor.masks)

    @cached_property
    def total(self) -> Count:
        """The sum over the targets."""
        return _sum(self.targets)

    @cached_property
    def model(self) -> Count:
        """The sum over every parameter of the model, tied ones once."""
        return _sum(self.tensors)

    def by(self, grouping: Grouping) -> dict[Any, Count]:
        """Sum the targets by layer (int, None outside the layers), role (str or None), module path or module type.

        Layers come in order, roles from the embeddings to the head, None last; the others as in the model.
        """
        if grouping not in get_args(Grouping):
            raise BertpruneError(f"a report is grouped by {', '.join(get_args(Grouping))}, not by {grouping!r}")
        return self._grouped(lambda tensor: getattr(tensor, grouping))

    def matrix(self) -> dict[tuple[int | None, str | None], Count]:
        """Sum the targets by layer and role together, in the order of `by`."""
        return self._grouped(lambda tensor: (tensor.layer, tensor.role))

    def _grouped(self, key: Callable[[TensorSparsity], Any]) -> dict[Any, Count]:
        groups: dict[Any, list[TensorSparsity]] = {}
        for tensor in self.targets:
            groups.setdefault(key(tensor), []).append(tensor)
        return {name: _sum(tuple(groups[name])) for name in sorted(groups, key=_rank)}

    def to_text(self, labels: Mapping[str, str] | None = None) -> str:
        """Write the plain report: a line a target, then by layer, by role, the targets and the whole model.

        `labels` replaces English words, such as {"tensor": "텐서"}; the keys are those of `report.LABELS`.
        """
        return text(self, labels)

    def to_frame(self) -> "pandas.DataFrame":
        """Build a pandas table, a row a target: name, module, tensor, type, role, layer, counts, sparsity, history."""
        return frame(self)

    def to_dict(self) -> dict[str, Any]:
        """Turn the report into plain data that JSON can hold, the same for the same model every time."""
        return {
            "total": self.total.to_dict(),
            "model": self.model.to_dict(),
            "layers": [{"layer": layer, **one.to_dict()} for layer, one in self.by("layer").items()],
            "roles": [{"role": role, **one.to_dict()} for role, one in self.by("role").items()],
            "tensors": [_plain(tensor) for tensor in self.tensors],
        }


def sparsity(model: nn.Module) -> SparsityReport:
    """Count masked, zero and alive values of every parameter of a model, pruned by us, by plain torch, or not at all.

    Masked is what a `…_mask` buffer (bool or number) takes out; zero is an exact 0 that no mask explains, so a baked
    model has zeros and nothing masked. Counts `…_orig` under its mask, so that it is right after an optimiser step
    too. A tied tensor is counted once; where its owners hold different masks, a value is masked where none keeps it.
    Each weight is read once and none is copied, but for those of another device, one by one; pure. Raises
    BertpruneError for tensors on the meta device.
    """
    found: dict[int, _Parameter] = {}
    for path, module in model.named_modules(remove_duplicate=False):
        pruned = set(originals(module))
        for stored, tensor in module._parameters.items():
            if tensor is not None:
                local = stored.removesuffix("_orig")
                owner = _Owner(path, module, local if local in pruned else stored, local in pruned)
                found.setdefault(id(tensor), _Parameter(tensor)).owners.append(owner)
    where = places(model)
    large = [parameter for parameter in found.values() if parameter.tensor.numel() >= WORTH]
    ready = dict(zip(map(id, large), each(lambda parameter: parameter.counted(where), large), strict=True))
    return SparsityReport(tuple(ready.get(id(one)) or one.counted(where) for one in found.values()))


@dataclass(frozen=True)
class _Owner:
    path: str
    module: nn.Module
    local: str
    pruned: bool

    @property
    def name(self) -> str:
        return joined(self.path, self.local)

    def steps(self) -> Iterator[str]:
        for hook in self.module._forward_pre_hooks.values():
            if isinstance(hook, BasePruningMethod) and hook._tensor_name == self.local:
                yield from history(hook)


@dataclass(frozen=True)
class _Parameter:
    tensor: torch.Tensor
    owners: list[_Owner] = field(default_factory=list)

    def counted(self, where: Mapping[str, Place]) -> TensorSparsity:
        first = self.owners[0]
        place = self._place(where)
        masks = self._masks()
        return TensorSparsity(
            name=first.name,
            module=first.path,
            tensor=first.local,
            type=type(first.module).__name__,
            role=place.role if place else None,
            layer=place.layer if place else None,
            history=next((steps for owner in self.owners if (steps := tuple(owner.steps()))), ()),
            aliases=tuple(owner.name for owner in self.owners[1:]),
            shape=tuple(self.tensor.shape),
            masks=len(masks),
            # an owner without a mask keeps every value
            count=count(self.tensor, masks if all(owner.pruned for owner in self.owners) else ()),
        )

    def _place(self, where: Mapping[str, Place]) -> Place | None:
        """Prefer an owner inside the encoder: a decoder tied to the word embeddings is first of all embeddings."""
        known = [where[owner.path] for owner in self.owners if owner.path in where]
        return next((place for place in known if place.role != "head"), known[0] if known else None)

    def _masks(self) -> list[torch.Tensor]:
        """Collect the different masks of the owners, and refuse what cannot be counted."""
        pruned = (owner for owner in self.owners if owner.pruned)
        buffers = [owner.module._buffers[f"{owner.local}_mask"] for owner in pruned]
        masks = list({id(mask): mask for mask in buffers if mask is not None}.values())
        name = self.owners[0].name
        if any(one.is_meta for one in (self.tensor, *masks)):
            raise BertpruneError(f"{name} is on the meta device, without values to count; load the weights first")
        if any(mask.shape != self.tensor.shape for mask in masks):
            shapes = f"{tuple(masks[0].shape)} for {tuple(self.tensor.shape)}"
            raise BertpruneError(f"{name}: its mask has another shape ({shapes}); both must be the same")
        return masks


def _sum(tensors: tuple[TensorSparsity, ...]) -> Count:
    return reduce(add, (tensor.count for tensor in tensors), Count())


def _rank(key: Any) -> tuple[Any, ...]:
    """Sort numbers as they are, roles in their own order, None last, and leave other names as they came."""
    if isinstance(key, tuple):
        return tuple(_rank(part) for part in key)
    roles = get_args(Role)
    return (key is None, roles.index(key) if key in roles else key if isinstance(key, int) else 0)


def _plain(tensor: TensorSparsity) -> dict[str, Any]:
    names = ("name", "module", "tensor", "type", "role", "layer", "masks")
    lists = {name: list(getattr(tensor, name)) for name in ("shape", "history", "aliases")}
    return {**{name: getattr(tensor, name) for name in names}, **lists, **tensor.count.to_dict()}

"""Count masked, zero and alive values, tensor by tensor, in blocks and without copying a weight."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import BertpruneError
from ..model.families import Place
from ..model.records import history, pruning_hooks
from ..model.targets import Owner, Target

BLOCK = 1 << 20
"""Values per block: temporaries stay small, and threads rarely wait for each other."""


@dataclass(frozen=True, slots=True)
class Count:
    """How many values there are, how many are masked, and how many of the others are exactly zero."""

    size: int = 0
    masked: int = 0
    zero: int = 0
    """Unmasked values that are 0.0 or -0.0: freshly initialised biases, padding rows, baked masks."""

    @property
    def alive(self) -> int:
        """Values that are neither masked nor zero."""
        return self.size - self.masked - self.zero

    @property
    def sparsity(self) -> float:
        """The masked share of all values; 0.0 where there are none. A zero without a mask does not count."""
        return self.masked / self.size if self.size else 0.0

    @property
    def shares_text(self) -> str:
        """The masked share, and that of the zeros where it is not nothing: 25.00% + 50.00% zero."""
        zero = f"{self.zero / self.size:.2%}" if self.size else "0.00%"
        return f"{self.sparsity:.2%}" + (f" + {zero} zero" if zero != "0.00%" else "")

    @property
    def zero_text(self) -> str:
        """The number of zeros; where nothing is masked also their share, which is the sparsity of a baked model."""
        share = f" ({self.zero / self.size:.2%})" if self.zero and not self.masked else ""
        return f"{self.zero:,}{share}"

    def __add__(self, other: "Count") -> "Count":
        """Add two counts of different tensors."""
        return Count(self.size + other.size, self.masked + other.masked, self.zero + other.zero)

    def to_dict(self) -> dict[str, int | float]:
        """Convert the numbers, with `alive` and `sparsity`, to plain data for JSON."""
        numbers = {"size": self.size, "masked": self.masked, "zero": self.zero, "alive": self.alive}
        return {**numbers, "sparsity": self.sparsity}


@dataclass(frozen=True, slots=True)
class TensorSparsity:
    """The count of one parameter, tied ones once, under the names it has without pruning (`weight`)."""

    name: str
    """Its full name at the first owner, such as `encoder.layer.0.attention.self.key.weight`."""
    module: str
    tensor: str
    type: str
    """The class name of the owning module."""
    role: str | None
    """The role; those of a fused projection are joined by `+`."""
    layer: int | None
    """The encoder layer, from zero; None outside the layers."""
    history: tuple[str, ...]
    """The class names of the pruning steps applied; empty for a tensor without a hook."""
    aliases: tuple[str, ...]
    """The names at the other owners of a tied tensor."""
    shape: tuple[int, ...]
    masks: int
    """How many different masks its owners have: 0 for a tensor that is not a target, 1 for a pruned one."""
    count: Count
    parts: tuple[tuple[str, Count], ...] = ()
    """The counts of a fused projection by role; empty for other tensors."""
    uses: int = 1
    """How many layers of a forward pass share the tensor, as in ALBERT."""

    @property
    def is_zeroed(self) -> bool:
        """Whether a matrix has more zeros than a row has values: those of a baked model, not of a padding token."""
        return len(self.shape) > 1 and self.count.zero > self.shape[-1]

    def by_role(self) -> tuple[tuple[str | None, Count], ...]:
        """Return each role with its count: one, or those of a fused projection."""
        return self.parts or ((self.role, self.count),)

    def to_dict(self) -> dict[str, Any]:
        """Convert the record to plain data for JSON."""
        names = ("name", "module", "tensor", "type", "role", "layer", "uses", "masks")
        lists = {name: list(getattr(self, name)) for name in ("shape", "history", "aliases")}
        parts = {"parts": [{"role": role, **one.to_dict()} for role, one in self.parts]} if self.parts else {}
        return {**{name: getattr(self, name) for name in names}, **lists, **self.count.to_dict(), **parts}


def count_target(target: Target, places: Mapping[str, Place]) -> TensorSparsity:
    """Count one parameter under the masks of its owners. Raises BertpruneError."""
    first, place, masks = target.owners[0], _place(target, places), _masks(target)
    # an owner without a mask keeps every value
    removing = masks if all(owner.mask is not None for owner in target.owners) else []
    parts = _parts(target, place, removing) if place and place.is_fused else ()
    return TensorSparsity(
        name=target.name,
        module=first.path,
        tensor=first.tensor,
        type=type(first.module).__name__,
        role=place.role if place else None,
        layer=place.layer if place else None,
        history=next((steps for owner in target.owners if (steps := _steps(owner))), ()),
        aliases=target.aliases,
        shape=tuple(target.parameter.shape),
        masks=len(masks),
        count=reduce(add, (one for _, one in parts)) if parts else count(target.parameter, removing),
        parts=parts,
        uses=place.uses if place else 1,
    )


def _parts(target: Target, place: Place, masks: Sequence[Tensor]) -> tuple[tuple[str, Count], ...]:
    """Count the rows of each role of a fused projection."""

    def in_rows(rows: slice) -> Count:
        return count(target.parameter[rows], [mask[rows] for mask in masks])

    size = len(target.parameter)
    return tuple((role, reduce(add, map(in_rows, place.rows(role, size)))) for role in place.roles)


def _place(target: Target, places: Mapping[str, Place]) -> Place | None:
    """Prefer an owner inside the encoder: a decoder that is tied to the word embeddings counts as embeddings."""
    known = [places[owner.path] for owner in target.owners if owner.path in places]
    return next((place for place in known if place.role != "head"), known[0] if known else None)


def _steps(owner: Owner) -> tuple[str, ...]:
    return tuple(name for hook in pruning_hooks(owner.module, owner.tensor).values() for name in history(hook))


def _masks(target: Target) -> list[Tensor]:
    """Collect the different masks of the owners. Raises BertpruneError for meta tensors and masks of another shape."""
    masks = list({id(mask): mask for owner in target.owners if (mask := owner.mask) is not None}.values())
    if any(tensor.is_meta for tensor in (target.parameter, *masks)):
        raise BertpruneError(
            "{name} is on the meta device and has no values to count; load the weights first",
            code="report.meta_tensor", name=target.name,
        )  # fmt: skip
    if any(mask.shape != target.parameter.shape for mask in masks):
        raise BertpruneError(
            "{name}: the mask has shape {mask} and the tensor {shape}; both must be the same",
            code="report.mask_shape", name=target.name,
            mask=tuple(masks[0].shape), shape=tuple(target.parameter.shape),
        )  # fmt: skip
    return masks


def count(weight: Tensor, masks: Sequence[Tensor] = ()) -> Count:
    """Count a tensor under masks of its shape (bool or any number; 0 is masked).

    Several masks are those of the owners of one tied tensor: a value is masked where none of them keeps it.
    """
    tensors = [weight.detach(), *masks]
    if all(tensor.is_contiguous() for tensor in tensors):
        tensors = [tensor.view(-1) for tensor in tensors]
    nonzero_in, *kept_in = [_reader(tensor) for tensor in tensors]
    rows = max(1, BLOCK // max(1, tensors[0][:1].numel()))
    kept = zero = 0
    for start in range(0, len(tensors[0]), rows):
        where = slice(start, start + rows)
        nonzero = nonzero_in(where)
        zeros = nonzero.size - int(np.count_nonzero(nonzero))
        if kept_in:
            keeps = reduce(np.logical_or, (read(where) for read in kept_in))
            living = int(np.count_nonzero(keeps))
            kept += living
            # most blocks have no zero at all
            zeros = living - int(np.count_nonzero(nonzero & keeps)) if zeros else 0
        zero += zeros
    masked = weight.numel() - kept if masks else 0
    return Count(size=weight.numel(), masked=masked, zero=zero)


def _reader(tensor: Tensor) -> Callable[[slice], NDArray[np.bool_]]:
    """Return a function that marks the values in some rows of a tensor that are not zero.

    NumPy compares several times faster than torch, but has no bfloat16 and is slow with float16.
    """
    if tensor.dtype in (torch.float16, torch.bfloat16):
        bits = tensor.view(torch.int16).numpy(force=True)
        # all bits but the sign, so that -0.0 is a zero
        return lambda where: bits[where] & 0x7FFF != 0
    if tensor.dtype.itemsize == 1 and tensor.dtype != torch.bool:  # NumPy has no eight-bit floats
        tensor = tensor != 0
    values = tensor.numpy(force=True)
    return values.__getitem__ if values.dtype == np.bool_ else lambda where: values[where] != 0

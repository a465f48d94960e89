"""How two runs differ: what each takes out of the same tensors, and what both take out."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

from torch import Tensor, nn

from ..errors import BertpruneError
from ..model.snapshot import joined, originals
from .counting import Count, count
from .sparsity import Grouping, SparsityReport, TensorSparsity, sparsity


class Reported(Protocol):
    """What has a report and masks by tensor name, such as a `PruningRun`."""

    @property
    def report(self) -> SparsityReport:
        """What is masked, zero and alive."""

    @property
    def masks(self) -> Mapping[str, Tensor]:
        """The masks of the targets, of their shapes; 0 is masked."""


@dataclass(frozen=True)
class TensorComparison:
    """One tensor on both sides; None on a side that has no such tensor."""

    tensor: TensorSparsity
    first: Count | None
    second: Count | None
    both: int | None
    """How many values both sides mask; None where a mask is not at hand."""

    @property
    def name(self) -> str:
        """The name of the tensor."""
        return self.tensor.name

    @property
    def difference(self) -> float:
        """By how much the second side is sparser, as a share."""
        return gain(self.first, self.second)

    @property
    def differs(self) -> bool:
        """Whether the sides mask another number of values or, as far as is known, other values."""
        masked = {side and side.masked for side in (self.first, self.second)}
        return len(masked) > 1 or (self.both is not None and self.both not in masked)


@dataclass(frozen=True)
class Comparison:
    """Two reports over the same tensors: on both sides, a tensor is a target if it has a mask on either."""

    first: SparsityReport
    second: SparsityReport
    both: Mapping[str, int]
    """How many values both sides mask, by tensor name, where both masks are at hand."""

    @cached_property
    def tensors(self) -> tuple[TensorComparison, ...]:
        """The targets in the order of the models."""
        first, second = ({one.name: one for one in side.targets} for side in (self.first, self.second))
        return tuple(
            TensorComparison(
                tensor,
                first[name].count if name in first else None,
                second[name].count if name in second else None,
                self.both.get(name),
            )
            for name, tensor in {**second, **first}.items()
        )

    @property
    def total(self) -> tuple[Count, Count]:
        """The sums over the targets."""
        return self.first.total, self.second.total

    @property
    def model(self) -> tuple[Count, Count]:
        """The sums over every parameter."""
        return self.first.model, self.second.model

    def by(self, grouping: Grouping) -> dict[Any, tuple[Count, Count]]:
        """Sum the targets of both sides as `SparsityReport.by` does; a side without a group has none of it."""
        return _paired(self.first.by(grouping), self.second.by(grouping))

    def matrix(self) -> dict[tuple[int | None, str | None], tuple[Count, Count]]:
        """Sum the targets of both sides by layer and role together."""
        return _paired(self.first.matrix(), self.second.matrix())

    def to_dict(self) -> dict[str, Any]:
        """Turn the comparison into plain data that JSON can hold."""
        return {
            "total": _plain(*self.total),
            "model": _plain(*self.model),
            "layers": [{"layer": layer, **_plain(*sides)} for layer, sides in self.by("layer").items()],
            "roles": [{"role": role, **_plain(*sides)} for role, sides in self.by("role").items()],
            "tensors": [
                {"name": one.name, **_plain(one.first, one.second), "both": one.both, "differs": one.differs}
                for one in self.tensors
            ],
        }


def compare(first: Reported | SparsityReport | nn.Module, second: Reported | SparsityReport | nn.Module) -> Comparison:
    """Compare what two runs, reports or models mask, tensor by tensor.

    Of runs and models it also counts what both mask; a report alone has no masks. A tensor that is a target on one
    side counts as one on the other, so that shares have the same denominators. Pure. Raises BertpruneError where the
    two have no tensor in common.
    """
    one, other = _report(first), _report(second)
    if not {tensor.name for tensor in one.tensors} & {tensor.name for tensor in other.tensors}:
        raise BertpruneError("the two have no tensor in common; compare runs on checkpoints of one architecture")
    targets = {tensor.name for report in (one, other) for tensor in report.targets}
    known = _known(one, _masks(first)), _known(other, _masks(second))
    return Comparison(_with(one, targets), _with(other, targets), _both(*known))


def gain(first: Count | None, second: Count | None) -> float:
    """Return by how much the second is sparser, as a share; a side that is not there counts as dense."""
    return (second or Count()).sparsity - (first or Count()).sparsity


def _report(side: Reported | SparsityReport | nn.Module) -> SparsityReport:
    if isinstance(side, nn.Module):
        return sparsity(side)
    return side if isinstance(side, SparsityReport) else side.report


def _masks(side: Reported | SparsityReport | nn.Module) -> Mapping[str, Tensor]:
    if isinstance(side, SparsityReport):
        return {}
    if not isinstance(side, nn.Module):
        return side.masks
    return {
        joined(path, local): module.get_buffer(f"{local}_mask")
        for path, module in side.named_modules(remove_duplicate=False)
        for local in originals(module)
    }


def _known(report: SparsityReport, masks: Mapping[str, Tensor]) -> dict[str, Tensor | None]:
    """Give each tensor its mask: None where nothing is masked; left out where no single mask says what is."""
    known: dict[str, Tensor | None] = {}
    for tensor in report.tensors:
        if not tensor.count.masked:
            known[tensor.name] = None
        elif tensor.name in masks and tensor.masks == 1:
            known[tensor.name] = masks[tensor.name]
    return known


def _both(first: Mapping[str, Tensor | None], second: Mapping[str, Tensor | None]) -> dict[str, int]:
    both = {}
    for name, one in first.items():
        if name in second:
            other = second[name]
            if one is None or other is None:
                both[name] = 0
            elif one.shape == other.shape:
                union = (one != 0) | (other != 0)
                both[name] = count(union).zero
    return both


def _with(report: SparsityReport, targets: set[str]) -> SparsityReport:
    """Count tensors as targets, also those that have no mask here."""
    counted = (replace(one, masks=max(1, one.masks)) if one.name in targets else one for one in report.tensors)
    return SparsityReport(tuple(counted))


def _paired(first: Mapping[Any, Count], second: Mapping[Any, Count]) -> dict[Any, tuple[Count, Count]]:
    return {key: (first.get(key, Count()), second.get(key, Count())) for key in {**first, **second}}


def _plain(first: Count | None, second: Count | None) -> dict[str, Any]:
    sides = {"first": first and first.to_dict(), "second": second and second.to_dict()}
    return {**sides, "difference": gain(first, second)}

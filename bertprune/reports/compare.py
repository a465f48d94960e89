"""Compare two runs: the values that each of them masks in the same tensors, and that both mask."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

from torch import Tensor, nn

from ..errors import BertpruneError
from ..model.given import as_it_is_now
from ..model.targets import every_target
from .counting import Count, TensorSparsity, count
from .sparsity import Grouping, SparsityReport, given_report


class Reported(Protocol):
    """Anything with a report and masks by tensor name, such as a `PruningRun`."""

    @property
    def report(self) -> SparsityReport:
        """The counts of masked, zero and alive values."""

    @property
    def masks(self) -> Mapping[str, Tensor]:
        """The masks of the targets, in their shapes; 0 is masked."""


@dataclass(frozen=True)
class TensorComparison:
    """One tensor on both sides; the count is None on a side that has no such tensor."""

    tensor: TensorSparsity
    first: Count | None
    second: Count | None
    both: int | None
    """How many values both sides mask; None where a mask is not available."""

    @property
    def name(self) -> str:
        """The name of the tensor."""
        return self.tensor.name

    @property
    def difference(self) -> float:
        """How much sparser the second side is, as a share (-1 to 1)."""
        return gain(self.first, self.second)

    @property
    def differs(self) -> bool:
        """Whether the sides mask other values, as far as masks are available, or other numbers of them or of zeros."""
        counts = {side and (side.masked, side.zero) for side in (self.first, self.second)}
        return len(counts) > 1 or any(self.both not in (None, side[0]) for side in counts if side)


@dataclass(frozen=True)
class Comparison:
    """Hold two reports over the same targets: a tensor counts on both sides if it has a mask, or baked zeros, on one.

    Example:
        >>> import bertprune as bp
        >>> half, most = (bp.Step(method="l1_unstructured", fraction=f, select="*layer.0.*key") for f in (0.5, 0.75))
        >>> found = bp.compare(bp.prune("demo", half), bp.prune("demo", most))
        >>> [side.sparsity for side in found.total]
        [0.5, 0.75]
        >>> found.tensors[0].difference, found.tensors[0].both
        (0.25, 18432)
    """

    first: SparsityReport
    second: SparsityReport
    both: Mapping[str, int]
    """How many values both sides mask, by tensor name, where both masks are available."""

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
        """Sum the counts of the targets by group, as `SparsityReport.by` does, for both sides.

        Args:
            grouping: A string, "layer", "role", "module" or "type".

        Returns:
            A dict from group to a pair of `Count`; a side without the group has an empty count.

        Raises:
            BertpruneError: The grouping is unknown.

        Example:
            >>> import bertprune as bp, torch
            >>> from torch.nn.utils import prune
            >>> sparse = prune.l1_unstructured(torch.nn.Linear(4, 4), "weight", amount=4)
            >>> found = bp.compare(torch.nn.Linear(4, 4), sparse)
            >>> found.by("type")
            {'Linear': (Count(size=16, masked=0, zero=0), Count(size=16, masked=4, zero=0))}
        """
        return _paired(*(side.by(grouping) for side in self._targets()))

    def matrix(self) -> dict[tuple[int | None, str | None], tuple[Count, Count]]:
        """Sum the counts of the targets by layer and role together, for both sides.

        Returns:
            A dict from (layer, role) to a pair of `Count`.

        Example:
            >>> import bertprune as bp, torch
            >>> from torch.nn.utils import prune
            >>> sparse = prune.l1_unstructured(torch.nn.Linear(4, 4), "weight", amount=4)
            >>> found = bp.compare(torch.nn.Linear(4, 4), sparse)
            >>> [side.masked for side in found.matrix()[None, None]]
            [0, 4]
        """
        return _paired(*(side.matrix() for side in self._targets()))

    def _targets(self) -> tuple[SparsityReport, SparsityReport]:
        """Return both sides without the tensors that have no mask on either."""
        return SparsityReport(self.first.targets), SparsityReport(self.second.targets)

    def to_dict(self) -> dict[str, Any]:
        """Convert the comparison to plain data for JSON.

        Returns:
            A dict with `total`, `model`, `layers`, `roles` and `tensors`.

        Example:
            >>> import bertprune as bp, torch
            >>> from torch.nn.utils import prune
            >>> sparse = prune.l1_unstructured(torch.nn.Linear(4, 4), "weight", amount=4)
            >>> found = bp.compare(torch.nn.Linear(4, 4), sparse)
            >>> found.to_dict()["total"]["difference"]
            0.25
        """
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

    A tensor that is a target on one side counts as a target on the other, so that both shares are of the same total;
    so does a matrix with more zeros than a row, as in a baked model.
    For runs and models the values that both sides mask are counted too; a report alone has no masks.

    Args:
        first: A `PruningRun`, a `SparsityReport` or a `torch.nn.Module`. Of a run whose model you have changed the
            model is compared as it is now; `run.report` is what its recipe left.
        second: The same.

    Returns:
        A `Comparison`.

    Raises:
        BertpruneError: The two are not of one architecture: apart from the number of layers, they must have the same
            tensors, in the same shapes.

    Example:
        >>> import bertprune as bp, torch
        >>> from torch.nn.utils import prune
        >>> dense = torch.nn.Linear(4, 4)
        >>> sparse = prune.l1_unstructured(torch.nn.Linear(4, 4), "weight", amount=0.25)
        >>> [side.sparsity for side in bp.compare(dense, sparse).total]
        [0.0, 0.25]
    """
    first, second = as_it_is_now(first), as_it_is_now(second)
    one, other = given_report(first, "bp.compare"), given_report(second, "bp.compare")
    _check_comparable(one, other)
    targets = {tensor.name for report in (one, other) for tensor in report.tensors if tensor.masks or tensor.is_zeroed}
    masks = _known_masks(one, first), _known_masks(other, second)
    return Comparison(_with_targets(one, targets), _with_targets(other, targets), _count_both(*masks))


def _check_comparable(one: SparsityReport, other: SparsityReport) -> None:
    shapes = {tensor.name: tensor.shape for tensor in one.tensors}
    common = [tensor for tensor in other.tensors if tensor.name in shapes]
    if not common:
        raise BertpruneError(
            "the two sides have no tensor in common; compare checkpoints of the same architecture",
            code="report.nothing_in_common",
        )
    outside = [{tensor.name for tensor in side.tensors if tensor.layer is None} for side in (one, other)]
    if alone := sorted(outside[0] ^ outside[1]):
        sentence = "only one of the two sides has {name}; compare checkpoints of the same architecture"
        raise BertpruneError(sentence, code="report.other_architecture", name=alone[0])
    for tensor in common:
        if tensor.shape != (shape := shapes[tensor.name]):
            sentence = "{name} has the shapes {one} and {other}; compare checkpoints of the same architecture"
            raise BertpruneError(sentence, code="report.other_shapes", name=tensor.name, one=shape, other=tensor.shape)


def gain(first: Count | None, second: Count | None) -> float:
    """Return how much sparser the second is, as a share; a missing side counts as dense."""
    return (second or Count()).sparsity - (first or Count()).sparsity


def _known_masks(report: SparsityReport, side: Reported | SparsityReport | nn.Module) -> dict[str, Tensor | None]:
    """Map tensors to their masks: None if nothing is masked; tensors with several masks are left out."""
    masks: Mapping[str, Tensor] = {}
    if isinstance(side, nn.Module):
        owners = [owner for target in every_target(side, shared_modules=True) for owner in target.owners]
        masks = {owner.name: mask for owner in owners if (mask := owner.mask) is not None}
    elif not isinstance(side, SparsityReport):
        masks = side.masks
    known: dict[str, Tensor | None] = {}
    for tensor in report.tensors:
        if not tensor.count.masked:
            known[tensor.name] = None
        elif tensor.name in masks and tensor.masks == 1:
            known[tensor.name] = masks[tensor.name]
    return known


def _count_both(first: Mapping[str, Tensor | None], second: Mapping[str, Tensor | None]) -> dict[str, int]:
    both = {}
    for name in first.keys() & second.keys():
        one, other = first[name], second[name]
        both[name] = 0 if one is None or other is None else count((one != 0) | (other != 0)).zero
    return both


def _with_targets(report: SparsityReport, targets: set[str]) -> SparsityReport:
    """Return a report in which these tensors are targets, with or without a mask."""
    counted = (replace(one, masks=max(1, one.masks)) if one.name in targets else one for one in report.tensors)
    return SparsityReport(tuple(counted))


def _paired(first: Mapping[Any, Count], second: Mapping[Any, Count]) -> dict[Any, tuple[Count, Count]]:
    return {key: (first.get(key, Count()), second.get(key, Count())) for key in {**first, **second}}


def _plain(first: Count | None, second: Count | None) -> dict[str, Any]:
    sides = {"first": first and first.to_dict(), "second": second and second.to_dict()}
    return {**sides, "difference": gain(first, second)}

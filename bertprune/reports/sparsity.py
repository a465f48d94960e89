"""The sparsity of a model: per tensor, layer, role and in total, with masked values separate from zeros."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import add
from typing import TYPE_CHECKING, Any, Literal, get_args

from torch import nn

from ..errors import BertpruneError, shortened
from ..model.families import places
from ..model.given import given_model
from ..model.targets import every_target
from ..parallel import THREAD_SIZE, map_threaded
from ..selection import Role
from ..text import aligned
from .counting import Count, TensorSparsity, count_target

if TYPE_CHECKING:
    import pandas

Grouping = Literal["layer", "role", "module", "type"]

LABELS = {
    "tensor": "tensor",
    "sparsity": "sparsity",
    "masked": "masked",
    "size": "of",
    "zero": "zero",
    "layer": "by layer",
    "role": "by role",
    "outside": "outside the layers",
    "other": "no role",
    "targets": "all targets",
    "model": "whole model",
    "unpruned": "no tensor has a mask",
    "tied": "tied to",
    "shared": "used by layers:",
}
"""The English words of `SparsityReport.to_text`."""

_BLANK = ("", "", "", "", "", "")


@dataclass(frozen=True)
class SparsityReport:
    """Hold the counts of masked, zero and alive values of a model. Targets are the tensors that have a mask.

    Example:
        >>> import bertprune as bp, torch
        >>> from torch.nn.utils import prune
        >>> report = bp.sparsity(prune.l1_unstructured(torch.nn.Linear(4, 4), "weight", amount=4))
        >>> report.total
        Count(size=16, masked=4, zero=0)
        >>> report.model.size, report.model.sparsity
        (20, 0.2)
        >>> report.targets[0].name, report.targets[0].history
        ('weight', ('L1Unstructured',))
    """

    tensors: tuple[TensorSparsity, ...]
    """Every parameter of the model, tied ones once, in the order of `named_modules`."""

    @cached_property
    def targets(self) -> tuple[TensorSparsity, ...]:
        """The tensors that have a mask, including masks that keep every value."""
        return tuple(tensor for tensor in self.tensors if tensor.masks)

    @cached_property
    def rows(self) -> tuple[TensorSparsity, ...]:
        """The tensors that tables and groups show: the targets; in a model without masks, the tensors with zeros."""
        return self.targets or tuple(tensor for tensor in self.tensors if tensor.count.zero)

    @cached_property
    def total(self) -> Count:
        """The sum over the targets."""
        return _sum(self.targets)

    @cached_property
    def model(self) -> Count:
        """The sum over every parameter of the model, tied ones once."""
        return _sum(self.tensors)

    def by(self, grouping: Grouping) -> dict[Any, Count]:
        """Sum the counts of the targets by group; in a model without masks, those of the tensors with zeros.

        Args:
            grouping: A string, "layer", "role", "module" or "type".

        Returns:
            A dict from group to `Count`. Layers are integers from zero (None outside the layers) in order, roles are
            strings or None in the order embeddings to head; module paths and class names are in the model's order.

        Raises:
            BertpruneError: The grouping is unknown.

        Example:
            >>> import bertprune as bp, torch
            >>> from torch.nn.utils import prune
            >>> bp.sparsity(prune.l1_unstructured(torch.nn.Linear(4, 4), "weight", amount=4)).by("type")
            {'Linear': Count(size=16, masked=4, zero=0)}
        """
        if grouping not in get_args(Grouping):
            raise BertpruneError(
                "a report can be grouped by {known}, not by {given!r}",
                code="report.unknown_grouping", known=", ".join(get_args(Grouping)), given=shortened(str(grouping)),
            )  # fmt: skip
        return self._grouped(lambda tensor, role: role if grouping == "role" else getattr(tensor, grouping))

    def matrix(self) -> dict[tuple[int | None, str | None], Count]:
        """Sum the counts of the same tensors as `by`, by layer and role together.

        Returns:
            A dict from (layer, role) to `Count`, in the order of `by`; pairs without such a tensor are not in it.

        Example:
            >>> import bertprune as bp
            >>> step = bp.Step(method="l1_unstructured", fraction=0.5, select="*layer.0.*key")
            >>> list(bp.prune("demo", step).report.matrix())
            [(0, 'attention.key')]
        """
        return self._grouped(lambda tensor, role: (tensor.layer, role))

    def _grouped(self, key: Callable[[TensorSparsity, str | None], Any]) -> dict[Any, Count]:
        groups: dict[Any, Count] = {}
        for tensor in self.rows:
            for role, count in tensor.by_role():
                name = key(tensor, role)
                groups[name] = groups.get(name, Count()) + count
        return {name: groups[name] for name in sorted(groups, key=_rank)}

    def to_text(self, labels: Mapping[str, str] | None = None) -> str:
        """Write the report as an aligned text table: each target, then by layer, by role, all targets, whole model.

        In a model without masks, such as a baked one, the tensors with zeros stand in the place of the targets.

        Args:
            labels: A mapping of words to show instead of the English ones, such as {"tensor": "텐서"}; default None.
                Its keys are tensor, sparsity, masked, size, zero (the header), layer, role, outside, other (the
                groups), targets, model (the totals), unpruned, tied and shared (remarks).

        Returns:
            A string of several lines.

        Example:
            >>> import bertprune as bp, torch
            >>> from torch.nn.utils import prune
            >>> layer = prune.l1_unstructured(torch.nn.Linear(4, 4, bias=False), "weight", amount=4)
            >>> print(bp.sparsity(layer).to_text())
            tensor       sparsity  masked  of  zero
            weight         25.00%       4  16     0
            <BLANKLINE>
            all targets    25.00%       4  16     0
            whole model    25.00%       4  16     0
        """
        return aligned(list(_rows(self, {**LABELS, **(labels or {})})), right=(1, 2, 3, 4))

    def to_frame(self) -> "pandas.DataFrame":
        """Build a pandas table with one row per target; in a model without masks, per tensor with zeros.

        Returns:
            A `pandas.DataFrame` with the columns name, module, tensor, type, role, layer (Int64, missing outside the
            layers), size, masked, zero, alive (counts of values), sparsity (0 to 1), history and aliases.

        Example:
            >>> import bertprune as bp, torch
            >>> from torch.nn.utils import prune
            >>> frame = bp.sparsity(prune.l1_unstructured(torch.nn.Linear(4, 4), "weight", amount=4)).to_frame()
            >>> frame[["name", "masked", "sparsity"]].values.tolist()
            [['weight', 4, 0.25]]
        """
        import pandas

        names = ("name", "module", "tensor", "type", "role", "layer")
        numbers = ("size", "masked", "zero", "alive", "sparsity")
        lists = ("history", "aliases")
        rows: list[dict[str, Any]] = [
            {name: getattr(one, name) for name in names}
            | one.count.to_dict()
            | {name: ", ".join(getattr(one, name)) for name in lists}
            for one in self.rows
        ]
        table = pandas.DataFrame(rows, columns=[*names, *numbers, *lists])
        return table.astype({"layer": "Int64", **dict.fromkeys(numbers[:-1], "int64"), "sparsity": "float64"})

    def to_dict(self) -> dict[str, Any]:
        """Convert the report to plain data for JSON; the same model gives the same data.

        Returns:
            A dict with `total`, `model`, `layers`, `roles` and `tensors`.

        Example:
            >>> import bertprune as bp, torch
            >>> bp.sparsity(torch.nn.Linear(4, 4, bias=False)).to_dict()["model"]
            {'size': 16, 'masked': 0, 'zero': 0, 'alive': 16, 'sparsity': 0.0}
        """
        return {
            "total": self.total.to_dict(),
            "model": self.model.to_dict(),
            "layers": [{"layer": layer, **one.to_dict()} for layer, one in self.by("layer").items()],
            "roles": [{"role": role, **one.to_dict()} for role, one in self.by("role").items()],
            "tensors": [tensor.to_dict() for tensor in self.tensors],
        }


def sparsity(model: nn.Module) -> SparsityReport:
    """Count masked, zero and alive values of every parameter of a model, pruned by bertprune, by plain torch, or not.

    A value is masked if a `…_mask` buffer (bool or number) removes it, and zero if it is exactly 0 without such a mask:
    a baked model has zeros and nothing masked. `…_orig` is counted under its mask, so the report is right after an
    optimiser step too. A tied tensor is counted once; where its owners have different masks, a value is masked where
    none of them keeps it. Each weight is read once; the model is not changed.

    Args:
        model: A `torch.nn.Module` on any device but meta.

    Returns:
        A `SparsityReport`.

    Raises:
        BertpruneError: A tensor is on the meta device, or a mask has another shape than its tensor.

    Example:
        >>> import bertprune as bp
        >>> run = bp.prune("demo", bp.Step(method="l1_unstructured", fraction=0.5, select="*layer.0.*key"))
        >>> bp.sparsity(run.model).total
        Count(size=36864, masked=18432, zero=0)
    """
    model = given_model(model, "bp.sparsity")
    targets, where = every_target(model, shared_modules=True), places(model)
    # threads for large tensors only; for small ones they are slower
    large = [target for target in targets if target.parameter.numel() >= THREAD_SIZE]
    counted = map_threaded(lambda target: count_target(target, where), large)
    ready = dict(zip(map(id, large), counted, strict=True))
    return SparsityReport(tuple(ready.get(id(target)) or count_target(target, where) for target in targets))


def given_report(given: Any, function: str) -> SparsityReport:
    """Return a report itself, or that of a run or a model; raises BertpruneError that names the right call."""
    report = None if isinstance(given, type) else getattr(given, "report", given)
    return report if isinstance(report, SparsityReport) else sparsity(given_model(given, function))


def _sum(tensors: tuple[TensorSparsity, ...]) -> Count:
    return reduce(add, (tensor.count for tensor in tensors), Count())


def _rank(key: Any) -> tuple[Any, ...]:
    """Sort numbers by value, roles in their own order and None last; other names keep their order."""
    if isinstance(key, tuple):
        return tuple(_rank(part) for part in key)
    roles = get_args(Role)
    return (key is None, roles.index(key) if key in roles else key if isinstance(key, int) else 0)


def _rows(report: SparsityReport, words: Mapping[str, str]) -> Iterator[tuple[str, ...]]:
    yield (*(words[key] for key in ("tensor", "sparsity", "masked", "size", "zero")), "")
    if not report.targets:
        yield (words["unpruned"], *_BLANK[1:])
    for one in report.rows:
        yield _row(one.name, one.count, _remark(one, words))
    layers = {words["outside"] if key is None else str(key): one for key, one in report.by("layer").items()}
    roles = {words["other"] if key is None else key: one for key, one in report.by("role").items()}
    yield from _group(words["layer"], layers)
    yield from _group(words["role"], roles)
    yield _BLANK
    if report.targets:
        yield _row(words["targets"], report.total)
    yield _row(words["model"], report.model)


def _remark(tensor: TensorSparsity, words: Mapping[str, str]) -> str:
    """Name the other owners of a tied tensor, and count the layers that share one."""
    tied = [f"{words['tied']} {', '.join(tensor.aliases)}"] if tensor.aliases else []
    return "; ".join(tied + ([f"{words['shared']} {tensor.uses}"] if tensor.uses > 1 else []))


def _group(title: str, counts: Mapping[str, Count]) -> Iterator[tuple[str, ...]]:
    """Write a grouping; one with a single group would repeat the total and is left out."""
    if len(counts) > 1:
        yield _BLANK
        yield (title, *_BLANK[1:])
        yield from (_row(f"  {name}", one) for name, one in counts.items())


def _row(name: str, one: Count, remark: str = "") -> tuple[str, ...]:
    return (name, f"{one.sparsity:.2%}", f"{one.masked:,}", f"{one.size:,}", one.zero_text, remark)

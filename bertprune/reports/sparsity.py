"""The sparsity of a model: per tensor, layer, role and in total, with masked values separate from zeros."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import add
from typing import TYPE_CHECKING, Any, Literal, get_args

from torch import Tensor, nn

from ..errors import BertpruneError, kind_of, shown
from ..model.families import places
from ..model.given import as_it_is_now, given_model
from ..model.targets import every_target
from ..parallel import THREAD_SIZE, map_threaded
from ..selection import Role
from ..text import aligned
from .counting import Count, TensorSparsity, count_target
from .table import LABELS, NUMBERS, Row, group_rows, heading, tensor_rows, total_rows, with_labels

if TYPE_CHECKING:
    import pandas

Grouping = Literal["layer", "role", "module", "type"]

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

    def __post_init__(self) -> None:
        if not isinstance(self.tensors, tuple) or not all(isinstance(one, TensorSparsity) for one in self.tensors):
            raise BertpruneError(
                "a report holds a tuple of counted tensors, not {kind}; bp.sparsity(model) makes one",
                code="report.no_tensors", kind=kind_of(self.tensors),
            )  # fmt: skip

    @cached_property
    def targets(self) -> tuple[TensorSparsity, ...]:
        """The tensors that have a mask, including masks that keep every value."""
        return tuple(tensor for tensor in self.tensors if tensor.masks)

    @cached_property
    def rows(self) -> tuple[TensorSparsity, ...]:
        """The tensors that tables and groups show: the targets and the zeroed matrices of a baked model.

        In a model without masks, every tensor with zeros.
        """
        if not self.targets:
            return tuple(tensor for tensor in self.tensors if tensor.count.zero)
        return tuple(tensor for tensor in self.tensors if tensor.masks or tensor.is_zeroed)

    @cached_property
    def total(self) -> Count:
        """The sum over the targets."""
        return _sum(self.targets)

    @cached_property
    def model(self) -> Count:
        """The sum over every parameter of the model, tied ones once."""
        return _sum(self.tensors)

    def by(self, grouping: Grouping) -> dict[Any, Count]:
        """Sum the counts of the targets, and of matrices with more zeros than a row, by group.

        In a model without masks, those of all tensors with zeros.

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
        if not isinstance(grouping, str) or grouping not in get_args(Grouping):
            raise BertpruneError(
                "a report can be grouped by {known}, not by {given}",
                code="report.unknown_grouping", known=", ".join(get_args(Grouping)), given=shown(grouping),
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

        Matrices with more zeros than a row stand among the targets; in a model without masks, all tensors with zeros.

        Args:
            labels: A mapping of words to show instead of the English ones, such as {"tensor": "텐서"}; default None.
                Its keys are tensor, sparsity, masked, size, zero (the header), layer, role, outside, other (the
                groups), targets, model (the totals), unpruned, tied and shared (remarks).

        Returns:
            A string of several lines.

        Raises:
            BertpruneError: `labels` is not a mapping of strings to strings.

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
        return aligned(list(_rows(self, with_labels(LABELS, labels))), NUMBERS)

    def __str__(self) -> str:
        return self.to_text()

    def to_frame(self) -> "pandas.DataFrame":
        """Build a pandas table with one row per target, and per matrix with more zeros than a row.

        In a model without masks, one per tensor with zeros.

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
        model: A `torch.nn.Module` on any device but meta; or a run, whose model is counted as it is now (`run.report`
            is what its recipe left).

    Returns:
        A `SparsityReport`.

    Raises:
        BertpruneError: `model` is not a model, a tensor is on the meta device, a mask has another shape than its
            tensor, or weights are packed by quantisation.

    Example:
        >>> import bertprune as bp
        >>> run = bp.prune("demo", bp.Step(method="l1_unstructured", fraction=0.5, select="*layer.0.*key"))
        >>> bp.sparsity(run.model).total
        Count(size=36864, masked=18432, zero=0)
    """
    model = given_model(model, "bp.sparsity")
    _refuse_packed(model)
    targets, where = every_target(model, shared_modules=True), places(model)
    # threads for large tensors only; for small ones they are slower
    large = [target for target in targets if target.parameter.numel() >= THREAD_SIZE]
    counted = map_threaded(lambda target: count_target(target, where), large)
    ready = dict(zip(map(id, large), counted, strict=True))
    return SparsityReport(tuple(ready.get(id(target)) or count_target(target, where) for target in targets))


def _refuse_packed(model: nn.Module) -> None:
    """Refuse weights that are not tensors, as in a quantised model, rather than leave them out."""
    for name, value in model.state_dict(keep_vars=True).items():
        if not isinstance(value, Tensor) and not name.endswith("_extra_state"):
            raise BertpruneError(
                "{module} keeps its weights packed, as quantisation does: count the model before it is quantised",
                code="report.packed", module=type(model).__name__ if name.startswith("_") else name.partition("._")[0],
            )  # fmt: skip


def given_report(given: Any, function: str) -> SparsityReport:
    """Return a report itself, or that of a model, or of a run as it is now; raises BertpruneError for others."""
    given = as_it_is_now(given)
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


def _rows(report: SparsityReport, words: Mapping[str, str]) -> Iterator[Row]:
    yield heading(words["tensor"], words)
    if not report.targets:
        yield (words["unpruned"], *_BLANK[1:])
    yield from tensor_rows(report.rows, words)
    for by in ("layer", "role"):
        yield from _group(words[by], list(group_rows(by, report.by(by), words)))
    yield _BLANK
    yield from total_rows(report.total, report.model, words)


def _group(title: str, rows: list[Row]) -> Iterator[Row]:
    """Write a grouping; one with a single group would repeat the total and is left out."""
    if len(rows) > 1:
        yield _BLANK
        yield (title, *_BLANK[1:])
        yield from ((f"  {name}", *cells) for name, *cells in rows)

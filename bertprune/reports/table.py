"""The rows of the sparsity table: heading, tensors, groups, totals; for texts and for the shell."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..errors import BertpruneError, kind_of
from .counting import Count, TensorSparsity

Row = tuple[str, ...]
"""A name, four numbers as text, and a remark."""

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
"""The English words of the table."""

NUMBERS = (1, 2, 3, 4)
"""The columns that are right-aligned."""


def with_labels(words: Mapping[str, str], labels: Any) -> dict[str, str]:
    """Replace some words by labels that a caller gives. Raises BertpruneError."""
    given = {} if labels is None else labels
    if not isinstance(given, Mapping) or not all(isinstance(one, str) for pair in given.items() for one in pair):
        raise BertpruneError(
            'labels must be a mapping of words to words, such as {{"sparsity": "희소도"}}, not {kind}',
            code="report.labels", kind=kind_of(labels),
        )  # fmt: skip
    return {**words, **given}


def heading(first: str, words: Mapping[str, str]) -> Row:
    """Return the names of the columns."""
    return (first, *(words[key] for key in ("sparsity", "masked", "size", "zero")), "")


def tensor_rows(tensors: Iterable[TensorSparsity], words: Mapping[str, str]) -> Iterator[Row]:
    """Yield a row for each tensor, with the other owners of a tied one and the layers that share one."""
    for one in tensors:
        tied = [f"{words['tied']} {', '.join(one.aliases)}"] if one.aliases else []
        shared = [f"{words['shared']} {one.uses}"] if one.uses > 1 else []
        yield count_row(one.name, one.count, "; ".join(tied + shared))


def group_rows(by: str, counts: Mapping[Any, Count], words: Mapping[str, str]) -> Iterator[Row]:
    """Yield a row for each group of a grouping."""
    for name, count in counts.items():
        yield count_row(words["outside" if by == "layer" else "other"] if name is None else str(name), count)


def total_rows(targets: Count, model: Count, words: Mapping[str, str]) -> Iterator[Row]:
    """Yield the totals; a model without masks has none over its targets."""
    if targets.size:
        yield count_row(words["targets"], targets)
    yield count_row(words["model"], model)


def count_row(name: str, count: Count, remark: str = "") -> Row:
    """Write a count in one row."""
    return (name, f"{count.sparsity:.2%}", f"{count.masked:,}", f"{count.size:,}", count.zero_text, remark)

"""A sparsity report as text and as a pandas table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..text import aligned

if TYPE_CHECKING:
    import pandas

    from .counting import Count
    from .sparsity import SparsityReport

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
}
"""The words of the plain report in English."""

_BLANK = ("", "", "", "", "", "")


def text(report: SparsityReport, labels: Mapping[str, str] | None = None) -> str:
    """Write the plain report; `labels` replaces words of `LABELS`."""
    words = {**LABELS, **(labels or {})}
    return aligned(list(_rows(report, words)), right=(1, 2, 3, 4))


def frame(report: SparsityReport) -> pandas.DataFrame:
    """Build a table with a row a target."""
    import pandas

    names = ("name", "module", "tensor", "type", "role", "layer")
    rows: list[dict[str, Any]] = [
        {
            **{name: getattr(one, name) for name in names},
            **one.count.to_dict(),
            "history": ", ".join(one.history),
            "aliases": ", ".join(one.aliases),
        }
        for one in report.targets
    ]
    numbers = ("size", "masked", "zero", "alive", "sparsity")
    table = pandas.DataFrame(rows, columns=[*names, *numbers, "history", "aliases"])
    return table.astype({"layer": "Int64", **dict.fromkeys(numbers[:-1], "int64"), "sparsity": "float64"})


def _rows(report: SparsityReport, words: Mapping[str, str]) -> Iterator[tuple[str, ...]]:
    yield (*(words[key] for key in ("tensor", "sparsity", "masked", "size", "zero")), "")
    for one in report.targets:
        yield _row(one.name, one.count, f"{words['tied']} {', '.join(one.aliases)}" if one.aliases else "")
    if not report.targets:
        yield (words["unpruned"], *_BLANK[1:])
    layers = {words["outside"] if key is None else str(key): one for key, one in report.by("layer").items()}
    roles = {words["other"] if key is None else key: one for key, one in report.by("role").items()}
    yield from _group(words["layer"], layers)
    yield from _group(words["role"], roles)
    yield _BLANK
    if report.targets:
        yield _row(words["targets"], report.total)
    yield _row(words["model"], report.model)


def _group(title: str, counts: Mapping[str, Count]) -> Iterator[tuple[str, ...]]:
    """Leave out a grouping that would only repeat the total."""
    if len(counts) > 1:
        yield _BLANK
        yield (title, *_BLANK[1:])
        yield from (_row(f"  {name}", one) for name, one in counts.items())


def _row(name: str, one: Count, remark: str = "") -> tuple[str, ...]:
    return (name, f"{one.sparsity:.2%}", f"{one.masked:,}", f"{one.size:,}", f"{one.zero:,}", remark)

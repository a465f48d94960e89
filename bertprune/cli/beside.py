"""Show two checkpoints beside each other: how sparse each is, and where their masks agree."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal, get_args

from .arguments import open_noted
from .bar import progress_bar
from .console import Table, percent, print_json, say

if TYPE_CHECKING:
    from ..reports.compare import Comparison
    from ..reports.counting import Count

Group = Literal["tensor", "layer", "role", "module", "type"]
GROUPS: tuple[Group, ...] = get_args(Group)
"""What a line of a report can be about."""


def show_both(first: str, second: str, groupings: Sequence[Group], json: bool, revision: str | None) -> None:
    """Print the comparison of two sources; `revision` is that of the first. Raises BertpruneError."""
    with progress_bar("comparing"):
        from ..reports.compare import compare

        models = [(first, *open_noted(first, revision)), (second, *open_noted(second, None))]
        found = compare(models[0][1], models[1][1])
    for name, _, notes in models:
        for note in notes:
            say(f"note: {name}: {note}")
    if json:
        print_json(found.to_dict())
        return
    for grouping in groupings:
        _table(found, grouping).print()


def _table(found: "Comparison", by: Group) -> Table:
    rows = list(_tensors(found) if by == "tensor" else _groups(found, by))
    for name, sides in (("all targets", found.total), ("whole model", found.model)):
        rows.append((name, *_shares(*sides), ""))
    columns = (by, "first", "second", "difference", "masked in both")
    kept = 5 if by == "tensor" else 4
    return Table.of(columns[:kept], [row[:kept] for row in rows], numbers=columns[1:])


def _tensors(found: "Comparison") -> Iterator[tuple[str, ...]]:
    for one in found.tensors:
        yield one.name, *_shares(one.first, one.second), "?" if one.both is None else f"{one.both:,}"


def _groups(found: "Comparison", by: Literal["layer", "role", "module", "type"]) -> Iterator[tuple[str, ...]]:
    for name, sides in found.by(by).items():
        yield "-" if name is None else str(name), *_shares(*sides), ""


def _shares(first: "Count | None", second: "Count | None") -> tuple[str, str, str]:
    from ..reports.compare import gain

    cells = ["-" if count is None else percent(count.sparsity) for count in (first, second)]
    return cells[0], cells[1], f"{100 * gain(first, second):+.2f} pp"

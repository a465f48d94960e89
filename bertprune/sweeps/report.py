"""The result of a sweep as data, tables and text."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

from ..errors import BertpruneError, shown
from ..text import aligned, markdown
from .figure import draw
from .measure import Estimated, Measured
from .rows import Axis, SweepRow, marked, number

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Sweep:
    """Hold the result of `sweep`: what each recipe leaves of quality and size, the checkpoint as it is first.

    Example:
        >>> import bertprune as bp
        >>> from concurrent.futures import ThreadPoolExecutor
        >>> with ThreadPoolExecutor(1) as executor:
        ...     found = bp.sweep("demo", bp.grid(method="magnitude", fraction=[0.5, 0.9]), "samples", limit=32,
        ...                      executor=executor)
        >>> found.pareto()
        ('magnitude 0.5 local on everything', 'magnitude 0.9 local on everything')
    """

    checkpoint: str
    data: str
    measure: str
    """The name of the quality: the first score of `evaluate`, or without labels the likeness to the checkpoint."""
    better: Literal["higher", "lower"]
    examples: int
    length: float
    """Mean tokens of a text, for which MACs are counted."""
    axis: Axis
    """What `pareto` and the figure set the quality against: "macs" where recipes prune neurons, heads or layers,
    "bytes" where they prune tokens, and "sparsity" elsewhere."""
    rows: tuple[SweepRow, ...]
    notes: tuple[str, ...] = ()
    """What holds for all rows."""

    @cached_property
    def table(self) -> "pd.DataFrame":
        """All rows as a DataFrame by name; what is not known is NaN, and `error` says why nothing was measured."""
        import pandas as pd

        return pd.DataFrame([_plain_row(row) for row in self.rows]).set_index("name")

    def pareto(self, axis: Axis | None = None) -> tuple[str, ...]:
        """Return the names of the rows that no other beats in both quality and size.

        Args:
            axis: What size means: "macs", "bytes" or "sparsity"; default None, that of the sweep.

        Returns:
            The names, in the order of the rows.

        Raises:
            BertpruneError: There is no such axis.
        """
        return tuple(row.name for row in self._along(axis).rows if row.pareto)

    def _along(self, axis: Axis | None) -> "Sweep":
        """Return the same sweep with its front along another axis. Raises BertpruneError."""
        if axis is None or axis == self.axis:
            return self
        if not isinstance(axis, str) or axis not in get_args(Axis):
            raise BertpruneError(
                "axis {axis}: expected {known}",
                code="sweep.axis", axis=shown(axis), known=" or ".join(get_args(Axis)),
            )  # fmt: skip
        return replace(self, axis=axis, rows=marked(self.rows, axis))

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values.

        Returns:
            A dict that JSON can hold: the fields, and for each row its name, recipe, figures, error and place.
        """
        return {
            **{name: getattr(self, name) for name in ("checkpoint", "data", "measure", "better", "examples", "length")},
            "axis": self.axis,
            "rows": [_plain(row) for row in self.rows],
            "notes": list(self.notes),
        }

    def to_text(self) -> str:
        """Write the sweep as text: a headline, a line for each recipe, why others were refused, the notes.

        Returns:
            Several lines of text.
        """
        about = f"{self.checkpoint}: {self.measure} on {self.examples:,} examples of {self.data}, 95 % intervals"
        refused = [f"refused: {row.name}: {row.error}" for row in self.rows if row.error]
        notes = [f"note: {note}" for note in (f"* no other row is as good at {_AT[self.axis]}", *self.notes)]
        columns, cells = self._cells()
        return "\n".join([about, "", aligned([columns, *cells], range(1, len(columns))), *refused, *notes])

    def to_markdown(self) -> str:
        """Write the rows that were measured as a Markdown table.

        Returns:
            Several lines of text.
        """
        columns, cells = self._cells()
        return markdown(columns, cells, range(1, len(columns)))

    def figure(self, axis: Axis | None = None) -> "Figure":
        """Draw the quality against the size: a line for recipes that differ in their amounts alone, bands as intervals.

        Args:
            axis: What size means: "macs", "bytes" or "sparsity"; default None, that of the sweep.

        Returns:
            A `matplotlib.figure.Figure` of 7 × 4.2 inches.

        Raises:
            BertpruneError: There is no such axis.
        """
        title = f"{self.checkpoint}: {self.examples:,} examples of {self.data}, 95 % intervals; dashed: dense"
        chosen = self._along(axis)
        return draw(chosen.rows, chosen.axis, title)

    def _cells(self) -> tuple[Sequence[str], list[Sequence[str]]]:
        dense = next(row.measured for row in self.rows if row.measured)
        found = [(row, row.measured) for row in self.rows if row.measured]
        timed = any(one.timings for _, one in found)
        columns = ["", self.measure, "interval", "difference", "sparsity", "MACs", "bytes", *["faster"] * timed, ""]
        return columns, [[*_cells(row, one, dense), *_faster(one, timed), "*" * row.pareto] for row, one in found]

    def __str__(self) -> str:
        return self.to_text()


_AT: dict[Axis, str] = {"macs": "so few MACs", "bytes": "so few bytes", "sparsity": "such a sparsity"}


def _plain_row(row: SweepRow) -> dict[str, Any]:
    one = row.measured
    nothing = Estimated(value=None, low=None, high=None)
    quality, gap = (one.quality, one.difference or nothing) if one else (nothing, nothing)
    last = one.timings[-1] if one and one.timings else None
    return {
        "name": row.name,
        **_ends("quality", quality),
        **_ends("difference", gap),
        "sparsity": one.sparsity if one else math.nan,
        "macs": number(one.macs if one else None),
        "bytes": one.bytes if one else math.nan,
        "loads": one.loads if one else None,
        "faster": number(last.faster.value if last else None),
        "pareto": row.pareto,
        "error": None if row.error is None else str(row.error),
    }


def _ends(name: str, one: Estimated) -> dict[str, float]:
    return {name: number(one.value), f"{name}_low": number(one.low), f"{name}_high": number(one.high)}


def _plain(row: SweepRow) -> dict[str, Any]:
    return {
        "name": row.name,
        "recipe": None if row.recipe is None else json.loads(row.recipe.to_json()),
        "measured": None if row.measured is None else row.measured.model_dump(mode="json"),
        "error": None if row.error is None else {"code": row.error.code, "message": str(row.error)},
        "pareto": row.pareto,
    }


def _cells(row: SweepRow, one: Measured, dense: Measured) -> Iterator[str]:
    yield row.name
    yield _written(one.quality.value)
    yield f"{_written(one.quality.low)} to {_written(one.quality.high)}"
    yield "" if one.difference is None else _written(one.difference.value, "+")
    yield f"{one.sparsity:.1%}"
    yield "-" if one.macs is None or not dense.macs else f"{one.macs / dense.macs:.1%}"
    yield f"{one.bytes / 1e6:,.2f} MB"


def _written(value: float | None, sign: str = "") -> str:
    return "-" if value is None else f"{value:{sign}.4f}"


def _faster(one: Measured, timed: bool) -> Iterator[str]:
    if timed:
        yield f"{number(one.timings[-1].faster.value):.2f}×" if one.timings else ""

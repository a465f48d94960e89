"""The result of `bp.scan` as data, table and figure."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, FiniteFloat, model_validator

from ..errors import BertpruneError, DataError, Message, RecipeError, kind_of
from ..files import check_regular, from_home, name_of, reason_of
from ..forecast import MEASURES
from ..recipe import CalibrationRecord
from ..text import aligned
from ..validation import FrozenModel
from .table import with_labels

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure

_LARGEST = 16 * 1024 * 1024
"""In bytes; a scan of 48 layers takes less than one megabyte."""
_Hash = Annotated[str, Field(strict=True, pattern="^[0-9a-f]{64}$")]


class Interval(FrozenModel):
    """Hold a figure and the ends of its 95 % interval."""

    value: FiniteFloat
    low: FiniteFloat
    high: FiniteFloat


class ScanCell(FrozenModel):
    """Hold how far a model's answers drift when one part of one layer is pruned, and nothing else."""

    layer: int
    part: str
    """`neuron`, `head`, or the role of a matrix."""
    level: float
    """The share of the part that is pruned."""
    count: int
    """How many neurons, heads or entries that is."""
    drift: Interval
    score: Interval | None = None
    """The accuracy, where the texts have labels."""


class Scan(FrozenModel):
    """Hold what each part of a model bears: how far its answers drift where one part alone is pruned, level by level.

    Example:
        >>> import bertprune as bp
        >>> texts = bp.Calibration("samples", count=10)
        >>> scan = bp.scan("demo", texts, method="magnitude", reconstruct=False, levels=[0.5])
        >>> [(cell.layer, cell.part, cell.count) for cell in scan.cells[:2]]
        [(0, 'neuron', 384), (0, 'head', 2)]
    """

    kind: Literal["scan"] = "scan"
    version: Literal[1] = 1
    checkpoint: str
    """The name of the checkpoint."""
    sha256: _Hash
    """The hash of its content."""
    texts: CalibrationRecord
    """On which texts scores and drift were measured."""
    held_back: int
    """On how many answers to texts held back the drift is measured."""
    method: str
    reconstruct: bool
    seed: int
    granularities: tuple[str, ...]
    levels: tuple[float, ...]
    measure: Literal["divergence", "squared", "angle"]
    """What the drift is: a Kullback-Leibler divergence, a mean squared difference, or 1 less the cosine."""
    score: Interval | None = None
    """The accuracy of the whole model, where the texts have labels."""
    cells: tuple[ScanCell, ...] = ()
    """By layer, part and level."""

    @model_validator(mode="after")
    def _whole_parts(self) -> Self:
        levels: dict[tuple[int, str], list[float]] = {}
        for cell in self.cells:
            levels.setdefault((cell.layer, cell.part), []).append(cell.level)
        if any(sorted(each) != sorted(self.levels) for each in levels.values()):
            raise ValueError(Message("a part has not one cell for each level", code="scan.cells"))
        return self

    @classmethod
    def of(cls, given: "Scan | str | Path") -> "Scan":
        """Return a scan as it is, and read one from a file.

        Args:
            given: A `Scan`, or the path of the JSON file of one.

        Returns:
            The scan.

        Raises:
            DataError: The file cannot be read, or holds no scan.

        Example:
            >>> import bertprune as bp
            >>> texts = bp.Calibration("samples", count=10)
            >>> scan = bp.scan("demo", texts, method="magnitude", reconstruct=False, levels=[0.5], file="scan.json")
            >>> bp.Scan.of("scan.json") == scan
            True
        """
        if isinstance(given, Scan):
            return given
        if not isinstance(given, str | Path):
            raise DataError(
                "a scan is a Scan or the path of its file, not {kind}", code="scan.kind", kind=kind_of(given)
            )
        path = from_home(given, DataError)
        text = _text(path)
        try:
            return cls.model_validate(json.loads(text))
        except (ValueError, RecursionError):
            raise _no_scan(path, Message("it is not whole JSON", code="scan.no_json")) from None
        except RecipeError as error:
            raise _no_scan(path, error) from None

    def to_json(self) -> str:
        """Write the scan as JSON, which `Scan.of` reads.

        Returns:
            The text.

        Example:
            >>> import bertprune as bp, json
            >>> texts = bp.Calibration("samples", count=10)
            >>> scan = bp.scan("demo", texts, method="magnitude", reconstruct=False, levels=[0.5])
            >>> json.loads(scan.to_json())["checkpoint"]
            'demo'
        """
        return json.dumps(self.model_dump(mode="json", exclude_none=True), indent=1) + "\n"

    def to_frame(self) -> "pandas.DataFrame":
        """Return the cells as a table.

        Returns:
            A `pandas.DataFrame` with the columns layer, part, level, count, drift, drift_low and drift_high, and score,
            score_low and score_high where the texts have labels.

        Example:
            >>> import bertprune as bp
            >>> texts = bp.Calibration("samples", count=10)
            >>> scan = bp.scan("demo", texts, method="magnitude", reconstruct=False, levels=[0.5])
            >>> scan.to_frame().pivot(index="layer", columns="part", values="count").loc[0].to_dict()
            {'head': 2, 'neuron': 384}
        """
        import pandas

        return pandas.DataFrame([_row(cell) for cell in self.cells])

    def to_text(self) -> str:
        """Write the drifts as a table: a line for each layer and part, a column for each level.

        Returns:
            Several lines of text.

        Example:
            >>> import bertprune as bp
            >>> texts = bp.Calibration("samples", count=10)
            >>> scan = bp.scan("demo", texts, method="magnitude", reconstruct=False, levels=[0.5])
            >>> scan.to_text().splitlines()[1].split()
            ['layer', 'part', '50', '%']
        """
        found: dict[tuple[int, str], dict[float, float]] = {}
        for cell in self.cells:
            found.setdefault((cell.layer, cell.part), {})[cell.level] = cell.drift.value
        heading = ("layer", "part", *(f"{100 * level:.3g} %" for level in self.levels))
        rows = [
            (str(layer), part, *(f"{drifts[level]:.2g}" if level in drifts else "" for level in self.levels))
            for (layer, part), drifts in found.items()
        ]
        return f"{self._about()}\n{aligned([heading, *rows], right=(0, *range(2, len(heading))))}"

    def figure(self, level: float | None = None, labels: Mapping[str, str] | None = None) -> "Figure":
        """Draw the drifts: a curve for each layer in a panel for each part, or a heatmap of one level.

        Args:
            level: The level of the heatmap, a number of `levels`; default None, curves over all of them.
            labels: A mapping of words to show instead of the English ones, and instead of the parts; default None.

        Returns:
            A `matplotlib.figure.Figure`.

        Raises:
            BertpruneError: The scan has no such level, or no cells yet.

        Example:
            >>> import bertprune as bp
            >>> texts = bp.Calibration("samples", count=10)
            >>> scan = bp.scan("demo", texts, method="magnitude", reconstruct=False, levels=[0.5])
            >>> scan.figure(0.5).axes[0].get_ylabel()
            'layer'
        """
        from .scan_figure import LABELS, curves, heatmap

        words = with_labels(LABELS, labels)
        if (level is not None and level not in self.levels) or not self.cells:
            raise BertpruneError(
                "the scan has no cells at level {level}; its levels are {known}",
                code="scan.level", level=level, known=", ".join(map(str, self.levels if self.cells else ())) or "-",
            )  # fmt: skip
        title = f"{self._of()}\n{words[self.measure]}\n{self.held_back:,} {words['answers']}"
        if level is None:
            return curves(self.to_frame(), f"{title}; {words['intervals']}", words)
        frame = self.to_frame()
        return heatmap(frame[frame["level"] == level], f"{title}; {100 * level:.3g} % {words['pruned']}", words)

    def _of(self) -> str:
        return f"{self.checkpoint}, {self.method}{', reconstructed' if self.reconstruct else ''}"

    def _about(self) -> str:
        answers = f"between {self.held_back:,} answers held back and those of the whole model"
        return f"{self._of()}: {MEASURES[self.measure]} {answers}"

    def __str__(self) -> str:
        return self.to_text()


def _row(cell: ScanCell) -> dict[str, Any]:
    plain: dict[str, Any] = {"layer": cell.layer, "part": cell.part, "level": cell.level, "count": cell.count}
    for name, figure in (("drift", cell.drift), ("score", cell.score)):
        if figure is not None:
            plain |= {name: figure.value, f"{name}_low": figure.low, f"{name}_high": figure.high}
    return plain


def _text(path: Path) -> str:
    check_regular(path, DataError)
    try:
        if path.stat().st_size > _LARGEST:
            raise _no_scan(path, Message("it has more than {most:,} bytes", code="scan.large_file", most=_LARGEST))
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise _no_scan(path, Message("it is not UTF-8 text", code="scan.encoding")) from None
    except (OSError, ValueError) as error:
        raise DataError(
            "{file} cannot be read: {reason}", code="scan.unreadable", file=name_of(path), reason=reason_of(error)
        ) from None


def _no_scan(path: Path, problem: object) -> DataError:
    return DataError("{file} is not a scan: {problem}", code="scan.file", file=name_of(path), problem=problem)

"""The result of `bp.speed` as data and text."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from ..text import aligned
from .metrics import CONFIDENCE, Estimate
from .speed_sides import Sized

_Row = tuple[str, ...]


@dataclass(frozen=True)
class Timing:
    """How long each model takes for batches of one size."""

    batch: int
    """Texts in a batch."""
    tokens: float
    """Mean tokens of a text, without padding, of the model after."""
    before: Estimate | None
    """The median seconds for a batch."""
    after: Estimate
    ratio: Estimate | None
    """How many times faster the model after is: the ratio of the medians, of batches that were timed in turn."""
    tokens_per_second: tuple[float | None, float]
    """Tokens without padding, before and after."""
    macs: tuple[float | None, float | None]
    """Multiply-accumulates of the layers for a text of mean length, as in plans; None where they are not known."""


@dataclass(frozen=True)
class SpeedReport:
    """Hold the result of `speed`: sizes of both models, and how long they take for the same texts.

    All intervals are 95 % intervals over the rounds. Ratios are before over after: above 1, the model after is smaller
    or faster.

    Example:
        >>> import bertprune as bp
        >>> report = bp.speed("demo", texts=["재미있다", "지루하다"], rounds=2)
        >>> report.after.parameters, [timing.batch for timing in report.timings]
        (3378242, [1, 16])
    """

    before: Sized | None
    after: Sized
    timings: tuple[Timing, ...]
    data_name: str | None
    """Where the texts come from; None for made-up token ids."""
    texts: int
    """How many texts there are; 0 for made-up token ids."""
    rounds: int
    """How often each model ran each case."""
    threads: int
    machine: str
    """The processor."""
    notes: tuple[str, ...] = ()
    """Sentences on what was timed."""

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values.

        Returns:
            A dict that JSON can hold, with the fields of the report and `confidence` (0.95).

        Example:
            >>> import bertprune as bp
            >>> plain = bp.speed("demo", texts=["재미있다", "지루하다"], rounds=2).to_dict()
            >>> plain["after"]["dtype"], plain["rounds"]
            ('float16', 2)
        """
        return {**asdict(self), "confidence": CONFIDENCE}

    def to_text(self) -> str:
        """Write the report as text: a headline, the sizes and times in aligned columns, the notes.

        Returns:
            Several lines of text.

        Example:
            >>> import bertprune as bp
            >>> bp.speed("demo", texts=["재미있다", "지루하다"], rounds=2).to_text().splitlines()[2].split()
            ['demo']
        """
        names = self.after.name if self.before is None else f"{self.before.name} -> {self.after.name}"
        texts = "made-up token ids" if self.data_name is None else f"{self.texts:,} texts of {self.data_name}"
        about = f"{self.rounds} rounds on {texts}, {self.threads} threads, {self.machine}"
        rows, notes = speed_rows(self), [f"note: {note}" for note in self.notes]
        return "\n".join([f"{names}: {about}", "", aligned(rows, right=range(1, len(rows[0]))), *notes])

    def __str__(self) -> str:
        return self.to_text()


def speed_rows(report: SpeedReport) -> list[_Row]:
    """Write sizes and times of a report as rows of a table, its header first; all but the first column are numbers."""
    rows = [*_sizes(report), *_macs(report), *_times(report)]
    return rows if report.before is not None else [(row[0], row[2]) for row in rows]


def _sizes(report: SpeedReport) -> Iterator[_Row]:
    before, after = report.before, report.after
    yield "", before.name if before else "", after.name, "ratio", "95 % interval"
    yield "runs in", *(f"{side.runtime}, {side.dtype}" if side else "" for side in (before, after)), "", ""
    for title, field in (("parameters", "parameters"), ("weights in memory", "memory"), ("weights on disk", "disk")):
        numbers = [getattr(side, field) if side else None for side in (before, after)]
        written = [_count(number) if field == "parameters" else _bytes(number) for number in numbers]
        yield title, *written, _ratio(*numbers), ""


def _macs(report: SpeedReport) -> Iterator[_Row]:
    for tokens, timing in {timing.tokens: timing for timing in report.timings}.items():
        yield f"MACs, text of {_tokens(tokens)}", *map(_count, timing.macs), _ratio(*timing.macs), ""


def _times(report: SpeedReport) -> Iterator[_Row]:
    for timing in report.timings:
        what = f"{timing.batch} × {_tokens(timing.tokens)}"
        before = "" if timing.before is None else f"{1000 * timing.before.value:.2f} ms"
        ratio = timing.ratio
        gain, interval = ("", "") if ratio is None else (f"{ratio.value:.2f}×", f"{ratio.low:.2f} to {ratio.high:.2f}")
        yield f"latency, {what}", before, f"{1000 * timing.after.value:.2f} ms", gain, interval
        speeds = ["" if speed is None else f"{speed:,.0f}" for speed in timing.tokens_per_second]
        yield f"tokens a second, {what}", *speeds, "", ""


def _tokens(tokens: float) -> str:
    return f"{tokens:.1f} tokens".replace(".0 ", " ")


def _count(number: float | None) -> str:
    return "-" if number is None else f"{number:,.0f}"


def _bytes(number: int | None) -> str:
    return "-" if number is None else f"{number / 1e6:,.2f} MB"


def _ratio(before: float | None, after: float | None) -> str:
    return f"{before / after:.2f}×" if before and after else ""

"""The results of an evaluation as data, tables and text."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from ..errors import shortened
from ..text import aligned
from .job import check_whole
from .metrics import CONFIDENCE, RESAMPLES, Estimate, Numbers, percentiles

if TYPE_CHECKING:
    import pandas as pd

Task = Literal["classification", "regression", "similarity", "language", "embedding"]

_TITLES = {
    "accuracy": "accuracy",
    "macro_f1": "macro-F1",
    "spearman": "Spearman",
    "pearson": "Pearson",
    "masked_lm_loss": "masked-LM loss",
    "agreement": "agreement",
    "embedding_cosine": "embedding cosine",
}
_HEADER = ("", "before", "after", "difference", "95 % interval", "p")


@dataclass(frozen=True)
class Score:
    """One figure of each model, and the difference (after minus before)."""

    before: Estimate | None
    after: Estimate
    difference: Estimate | None
    p_value: float | None = None
    """McNemar's exact test, two-sided; for accuracy only."""
    better: Literal["higher", "lower"] = "higher"

    @classmethod
    def from_draws(
        cls, values: Sequence[float], draws: Numbers, better: Literal["higher", "lower"] = "higher"
    ) -> "Score":
        """Make a score of one value (after) or two (before, after) and their bootstrap draws, `(resamples, values)`."""
        after = percentiles(values[-1], draws[:, -1])
        if len(values) == 1:
            return cls(None, after, None, better=better)
        difference = percentiles(values[1] - values[0], draws[:, 1] - draws[:, 0])
        return cls(percentiles(values[0], draws[:, 0]), after, difference, better=better)


@dataclass(frozen=True)
class Changed:
    """An example whose predicted class differs after pruning.

    Each probability is that of the model's own prediction; `number` is the line, row or item of the source, counted
    from 1.
    """

    number: int
    text: str
    text_pair: str | None
    label: str | None
    before: str
    before_probability: float
    after: str
    after_probability: float


@dataclass
class Findings:
    """The results of one task, as part of the report."""

    scores: dict[str, Score] = field(default_factory=dict)
    fidelity: dict[str, Estimate] = field(default_factory=dict)
    changed: tuple[Changed, ...] = ()


@dataclass(frozen=True)
class QualityReport:
    """Hold the results of `evaluate`: scores of both models, their similarity, and the changed predictions.

    `report["accuracy"]` finds a score or a fidelity figure by name; other names raise KeyError with the known ones.
    All intervals are 95 % intervals.

    Example:
        >>> import bertprune as bp
        >>> report = bp.evaluate("demo", "samples", limit=16)
        >>> report.task, report.examples, list(report.scores)
        ('classification', 16, ['accuracy', 'macro_f1'])
        >>> report["accuracy"].after.value
        0.875
    """

    task: Task
    before_name: str | None
    after_name: str
    data_name: str
    examples: int
    """Texts, or pairs of texts, scored by each model."""
    scores: Mapping[str, Score]
    """accuracy, macro_f1, spearman, pearson, masked_lm_loss (nats per token), depending on task and data."""
    fidelity: Mapping[str, Estimate]
    """agreement (share of equal predictions), embedding_cosine (mean over examples): before against after."""
    changed: tuple[Changed, ...]
    """In the order of the data; empty for other tasks than classification."""
    seconds: Mapping[str, float]
    """before, after: time in each model; total: the whole evaluation, with reading and intervals."""
    max_length: int
    """Tokens after which texts were cut."""
    seed: int
    notes: tuple[str, ...] = ()
    """Sentences on limits of the figures."""

    def __getstate__(self) -> dict[str, Any]:
        """Let pickle and copy take the read-only mappings as plain ones."""
        return {name: dict(value) if isinstance(value, Mapping) else value for name, value in vars(self).items()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Make the mappings read-only again."""
        vars(self).update(
            {name: MappingProxyType(value) if isinstance(value, dict) else value for name, value in state.items()}
        )

    def __getitem__(self, name: str) -> Score | Estimate:
        found = self.scores.get(name) or self.fidelity.get(name)
        if found is None:
            raise KeyError(f"{name!r}: this report has {', '.join([*self.scores, *self.fidelity])}")
        return found

    def to_frame(self) -> "pd.DataFrame":
        """Return the figures as a table.

        Returns:
            A DataFrame with one row per figure, indexed by its name, and the columns before, after, after_low,
            after_high, difference, difference_low, difference_high and p_value; NaN where a figure has none.

        Example:
            >>> import bertprune as bp
            >>> frame = bp.evaluate("demo", "samples", limit=16).to_frame()
            >>> list(frame.index)
            ['accuracy', 'macro_f1']
        """
        import pandas as pd

        rows = [_score_row(name, score) for name, score in self.scores.items()]
        rows += [
            {"figure": name, "after": figure.value, "after_low": figure.low, "after_high": figure.high}
            for name, figure in self.fidelity.items()
        ]
        return pd.DataFrame(rows).set_index("figure")

    def changed_frame(self) -> "pd.DataFrame":
        """Return the examples whose predicted class changed as a table.

        Returns:
            A DataFrame with one row per example, in the order of the data, and the fields of `Changed` as columns:
            number, text, text_pair, label, before, before_probability, after and after_probability.

        Example:
            >>> import bertprune as bp
            >>> frame = bp.evaluate("demo", "samples", baseline="demo", limit=16).changed_frame()
            >>> len(frame), list(frame.columns[:3])
            (0, ['number', 'text', 'text_pair'])
        """
        import pandas as pd

        return pd.DataFrame([asdict(one) for one in self.changed], columns=[one.name for one in fields(Changed)])

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values.

        Returns:
            A dict that JSON can hold, with the fields of the report, `confidence` (0.95) and `resamples`; figures
            that are not defined are None.

        Example:
            >>> import bertprune as bp
            >>> plain = bp.evaluate("demo", "samples", limit=16).to_dict()
            >>> plain["examples"], plain["confidence"]
            (16, 0.95)
        """
        plain = {one.name: getattr(self, one.name) for one in fields(self)}
        plain |= {
            "scores": {name: asdict(score) for name, score in self.scores.items()},
            "fidelity": {name: asdict(figure) for name, figure in self.fidelity.items()},
            "changed": [asdict(one) for one in self.changed],
            "confidence": CONFIDENCE,
            "resamples": RESAMPLES,
        }
        jsonable: dict[str, Any] = _jsonable(plain)
        return jsonable

    def to_text(self, changed: int = 5) -> str:
        """Write the report as text: a headline, the figures in aligned columns, the notes, the changed predictions.

        Args:
            changed: An integer, how many of the changed predictions to list, by descending probability after pruning;
                default 5.

        Returns:
            Several lines of text.

        Raises:
            DataError: `changed` is not a whole number.

        Example:
            >>> import bertprune as bp
            >>> print(bp.evaluate("demo", "samples", limit=16).to_text())  # doctest: +ELLIPSIS
            demo: classification on 16 examples of samples.csv, ... s
            <BLANKLINE>
                      before   after  difference     95 % interval  p
            accuracy          0.8750              0.6398 to 0.9650
            macro-F1          0.8667              0.6537 to 1.0000
            note: only the first 16 rows were read, and there are more
        """
        check_whole("changed", changed, 0)
        names = self.after_name if self.before_name is None else f"{self.before_name} -> {self.after_name}"
        about = f"{self.task} on {self.examples:,} examples of {self.data_name}, {self.seconds['total']:.1f} s"
        figures = aligned(figure_rows(self), right=range(1, len(_HEADER)))
        lines = [f"{names}: {about}", "", figures, *(f"note: {note}" for note in self.notes)]
        if self.before_name is not None and self.task == "classification":
            lines += ["", f"changed predictions: {len(self.changed):,} of {self.examples:,}"]
            surest = sorted(self.changed, key=lambda one: (-one.after_probability, one.number))
            lines += [_example(one) for one in surest[:changed]]
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.to_text()


def _score_row(name: str, score: Score) -> dict[str, Any]:
    difference = score.difference or Estimate(math.nan, math.nan, math.nan)
    return {
        "figure": name,
        "before": score.before.value if score.before else math.nan,
        "after": score.after.value,
        "after_low": score.after.low,
        "after_high": score.after.high,
        "difference": difference.value,
        "difference_low": difference.low,
        "difference_high": difference.high,
        "p_value": math.nan if score.p_value is None else score.p_value,
    }


def _jsonable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _jsonable(inner) for key, inner in value.items()}
    if isinstance(value, tuple | list):
        return [_jsonable(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def figure_rows(report: QualityReport) -> list[tuple[str, ...]]:
    """Write the figures of a report as rows of a table, its header first; all but the first column are numbers."""
    rows: list[tuple[str, ...]] = [_HEADER]
    for name, score in report.scores.items():
        difference = score.difference
        before = "" if score.before is None else f"{score.before.value:.4f}"
        gap = "" if difference is None else f"{difference.value:+.4f}"
        interval = _interval(score.after) if difference is None else _interval(difference, "+")
        p_value = "" if score.p_value is None else f"{score.p_value:.3g}"
        rows.append((_TITLES[name], before, f"{score.after.value:.4f}", gap, interval, p_value))
    for name, figure in report.fidelity.items():
        rows.append((_TITLES[name], "", f"{figure.value:.4f}", "", _interval(figure), ""))
    return rows


def _interval(figure: Estimate, sign: str = "") -> str:
    return f"{figure.low:{sign}.4f} to {figure.high:{sign}.4f}"


def _example(one: Changed) -> str:
    text = " / ".join(filter(None, (one.text, one.text_pair)))
    label = "" if one.label is None else f" (label {one.label})"
    change = f"{one.before} {one.before_probability:.2f} -> {one.after} {one.after_probability:.2f}{label}"
    return f"  {change}: {shortened(' '.join(text.split()), 70)}"

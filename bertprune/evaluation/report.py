"""The answer of an evaluation, as data, as tables and as text."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from .intervals import CONFIDENCE, RESAMPLES, Estimate

if TYPE_CHECKING:
    import pandas as pd

Task = Literal["classification", "regression", "similarity", "language", "embedding"]


@dataclass(frozen=True)
class Score:
    """How well each model does by itself, and the difference (after minus before)."""

    before: Estimate | None
    after: Estimate
    difference: Estimate | None
    p_value: float | None = None
    """McNemar's exact test, two-sided; for accuracy only."""
    better: Literal["higher", "lower"] = "higher"


@dataclass(frozen=True)
class Changed:
    """An example whose predicted class is another one after pruning.

    Each probability is the one that the model gives to its own prediction; `number` is the line, row or item
    of the source, counted from 1.
    """

    number: int
    text: str
    text_pair: str | None
    label: str | None
    before: str
    before_probability: float
    after: str
    after_probability: float


@dataclass(frozen=True)
class QualityReport:
    """What `evaluate` found: scores of both models, how alike they are, and which predictions changed.

    `report["accuracy"]` finds a score or a fidelity figure by name. All intervals are 95 % intervals.
    """

    task: Task
    before_name: str | None
    after_name: str
    data_name: str
    examples: int
    """Texts, or pairs of texts, scored by each model."""
    scores: Mapping[str, Score]
    """accuracy, macro_f1, spearman, pearson, masked_lm_loss (nats a token): those that task and data allow."""
    fidelity: Mapping[str, Estimate]
    """agreement (share of equal predictions), embedding_cosine (mean over examples): before against after."""
    changed: tuple[Changed, ...]
    """In the order of the data; empty where nothing is classified."""
    seconds: Mapping[str, float]
    """before, after: time in each model; total: everything, reading and intervals included."""
    max_length: int
    """Tokens after which texts were cut."""
    seed: int
    notes: tuple[str, ...] = ()
    """Plain sentences on what one should know before trusting the figures."""

    def __getitem__(self, name: str) -> Score | Estimate:
        found = self.scores.get(name) or self.fidelity.get(name)
        if found is None:
            raise KeyError(f"{name!r}: this report has {', '.join([*self.scores, *self.fidelity])}")
        return found

    def to_frame(self) -> "pd.DataFrame":
        """Return the figures, one row each: before, after, difference with its interval, p-value."""
        import pandas as pd

        rows = [_score_row(name, score) for name, score in self.scores.items()]
        rows += [_fidelity_row(name, figure) for name, figure in self.fidelity.items()]
        return pd.DataFrame(rows).set_index("figure")

    def changed_frame(self) -> "pd.DataFrame":
        """Return the examples whose prediction changed, one row each, in the order of the data."""
        import pandas as pd

        return pd.DataFrame([asdict(one) for one in self.changed], columns=[field.name for field in fields(Changed)])

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values that JSON can hold; figures that are not defined are None."""
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        plain |= {
            "scores": {name: asdict(score) for name, score in self.scores.items()},
            "fidelity": {name: asdict(figure) for name, figure in self.fidelity.items()},
            "changed": [asdict(one) for one in self.changed],
            "confidence": CONFIDENCE,
            "resamples": RESAMPLES,
        }
        cleaned: dict[str, Any] = _jsonable(plain)
        return cleaned

    def to_text(self, changed: int = 5) -> str:
        """Write the report as aligned columns, with the `changed` surest of the changed predictions."""
        from .render import render

        return render(self, changed)

    def __str__(self) -> str:
        return self.to_text()


def frozen(values: dict[str, Any]) -> Mapping[str, Any]:
    """Wrap a dict so that a report cannot be changed through it."""
    return MappingProxyType(values)


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


def _fidelity_row(name: str, figure: Estimate) -> dict[str, Any]:
    return {"figure": name, "after": figure.value, "after_low": figure.low, "after_high": figure.high}


def _jsonable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _jsonable(inner) for key, inner in value.items()}
    if isinstance(value, tuple | list):
        return [_jsonable(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value

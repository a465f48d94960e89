"""Write a quality report as plain text."""

from .intervals import Estimate
from .report import Changed, QualityReport

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


def render(report: QualityReport, changed: int) -> str:
    """Write headline, figures, notes and the surest changed predictions."""
    who = report.after_name if report.before_name is None else f"{report.before_name} -> {report.after_name}"
    headline = (
        f"{who}: {report.task} on {report.examples:,} examples of {report.data_name}, {report.seconds['total']:.1f} s"
    )
    lines = [headline, "", *_table(report), *(f"note: {note}" for note in report.notes)]
    if report.before_name is not None and report.task == "classification":
        lines += ["", f"changed predictions: {len(report.changed):,} of {report.examples:,}"]
        lines += [_example(one) for one in _surest(report.changed, changed)]
    return "\n".join(lines)


def _table(report: QualityReport) -> list[str]:
    rows = [_HEADER]
    for name, score in report.scores.items():
        difference, around = score.difference, score.difference or score.after
        before = "" if score.before is None else f"{score.before.value:.4f}"
        gap = "" if difference is None else f"{difference.value:+.4f}"
        p_value = "" if score.p_value is None else f"{score.p_value:.3g}"
        signed = "" if difference is None else "+"
        rows.append((_TITLES[name], before, f"{score.after.value:.4f}", gap, _ends(around, signed), p_value))
    for name, figure in report.fidelity.items():
        rows.append((_TITLES[name], "", f"{figure.value:.4f}", "", _ends(figure, ""), ""))
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
    return ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows]


def _ends(figure: Estimate, sign: str) -> str:
    return f"{figure.low:{sign}.4f} to {figure.high:{sign}.4f}"


def _surest(changed: tuple[Changed, ...], most: int) -> list[Changed]:
    return sorted(changed, key=lambda one: (-one.after_probability, one.number))[:most]


def _example(one: Changed) -> str:
    text = " / ".join(filter(None, (one.text, one.text_pair)))
    text = " ".join(text.split())
    label = "" if one.label is None else f" (label {one.label})"
    change = f"{one.before} {one.before_probability:.2f} -> {one.after} {one.after_probability:.2f}{label}"
    return f"  {change}: {text if len(text) <= 70 else text[:69] + '…'}"

"""What functions take as a report: one itself, or a run or a model to count."""

from typing import Any

from ..model.given import given_model
from .sparsity import SparsityReport, sparsity


def given_report(given: Any, function: str) -> SparsityReport:
    """Return the report that a function was given; raises BertpruneError that names the right call."""
    report = None if isinstance(given, type) else getattr(given, "report", given)
    return report if isinstance(report, SparsityReport) else sparsity(given_model(given, function))

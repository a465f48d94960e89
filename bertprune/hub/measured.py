"""What was measured of a model, as a section of its card: from the reports that stand beside it."""

import json
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter

from ..errors import ExportError
from ..evaluation.report import QualityReport, figure_rows
from ..evaluation.speed_report import SpeedReport, speed_rows
from ..exports.card import NOT_TIMED
from ..text import as_code, markdown

REPORT_FILES = QUALITY_FILE, SPEED_FILE = "quality.json", "speed.json"
"""What `to_dict` of the reports of `evaluate` and `speed` gives, as JSON; the first holds texts, and stays behind."""

_TITLE = "## Measured"
_SECTION = re.compile(rf"\n*^{_TITLE}$(?:(?!^## ).)*", re.M | re.S)
_TIMED = 'How fast it is stands below, under "Measured".'

Report = TypeVar("Report", QualityReport, SpeedReport)


def with_measured(card: str, folder: Path) -> str:
    """Return a card with the figures of the reports in a folder in place of earlier ones. Raises ExportError."""
    quality = _read(folder / QUALITY_FILE, QualityReport, "bp.evaluate")
    speed = _read(folder / SPEED_FILE, SpeedReport, "bp.speed")
    parts = [*(_quality(quality) if quality else ()), *(_speed(speed) if speed else ())]
    if not parts:
        return card
    kept = _SECTION.sub("\n\n", card).rstrip().replace(NOT_TIMED, _TIMED if speed else NOT_TIMED)
    return "\n\n".join([kept, _TITLE, *parts]).lstrip() + "\n"


def _read(path: Path, kind: type[Report], function: str) -> Report | None:
    if not path.is_file():
        return None
    try:
        plain = json.loads(path.read_text(encoding="utf-8"), object_hook=_with_undefined)
        return TypeAdapter(kind).validate_python(plain)
    except (OSError, ValueError, RecursionError):
        raise ExportError(
            "{file} beside the model is not a report of {function}, its to_dict() as JSON: write it anew, or remove it",
            code="exports.push_not_a_report", file=path.name, function=function,
        ) from None  # fmt: skip


def _with_undefined(given: dict[str, Any]) -> dict[str, Any]:
    """Restore the figures that are not defined, for which JSON has no number."""
    if given.keys() != {"value", "low", "high"}:
        return given
    return {name: math.nan if number is None else number for name, number in given.items()}


def _quality(report: QualityReport) -> Iterator[str]:
    yield (
        f"{_names(report.before_name, report.after_name)}: {report.task} on {report.examples:,} examples of"
        f" {as_code(report.data_name)}."
    )
    yield _table(figure_rows(report))
    yield from _notes(report.notes)


def _speed(report: SpeedReport) -> Iterator[str]:
    data = report.data_name
    texts = "made-up token ids" if data is None else f"{report.texts:,} texts of {as_code(data)}"
    names = _names(report.before.name if report.before else None, report.after.name)
    threads = "1 thread" if report.threads == 1 else f"{report.threads} threads"
    yield f"{names}: {report.rounds} rounds on {texts}, {threads}, {as_code(report.machine)}."
    yield _table(speed_rows(report))
    yield from _notes(report.notes)


def _names(before: str | None, after: str) -> str:
    return as_code(after) if before is None else f"{as_code(before)} → {as_code(after)}"


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    header, *others = ([" ".join(cell.split()) for cell in row] for row in rows)
    return markdown(header, others, right=range(1, len(header)))


def _notes(notes: Sequence[str]) -> Iterator[str]:
    if notes:
        yield "\n".join(f"- {' '.join(note.split())}" for note in notes)

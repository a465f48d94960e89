"""Calibration texts: a file that a visitor uploaded, and how many texts of it a run draws."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import bertprune as bp


@dataclass(frozen=True)
class TextFile:
    """An uploaded file; two of the same content are equal, so that their runs are shared."""

    sha256: str
    """The hash of its kind and content."""
    texts: int
    """How many texts it has."""
    shown: str = field(compare=False)
    """The name under which it was uploaded."""
    path: str = field(compare=False)
    folder: str = field(compare=False)
    """The temporary folder of the upload, removed after the session."""


@dataclass(frozen=True)
class Texts:
    """What a run is calibrated on; None stands for it where no step asks, and for the texts that a demo brings."""

    file: TextFile | None
    """None where none was uploaded yet."""
    count: Any
    max_length: Any

    def read(self) -> bp.Calibration | None:
        """Read the file. Raises DataError where a number cannot be."""
        if self.file is None:
            return None
        return bp.Calibration(self.file.path, count=_whole(self.count), max_length=_whole(self.max_length))


def _whole(number: Any) -> Any:
    """Return a number as an integer where it is one: fields send floats."""
    return int(number) if isinstance(number, float) and number.is_integer() else number

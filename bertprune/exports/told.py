"""What is known of an export once it is written, beside its contents: for card and report."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .drift import Drift
from .precision import Precision


@dataclass(frozen=True)
class Told:
    """What card and report tell of the written files."""

    precision: Precision = Precision()
    drift: Drift | None = None
    lines: str = ""
    """The lines of Python that run an ONNX model."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What the report says of an ONNX model, so that its speed can be told."""

"""What the form of a step offers for a method: what it prunes together, in which scopes, and whether it reads texts."""

from __future__ import annotations

from typing import Any

import bertprune as bp

_EXAMPLES = {"pattern": ("2:4", "4:8"), "block": ("block:4x4", "block:16x16")}
"""What is offered of granularities that have numbers; others of the kind can be typed."""


def kind_of(granularity: str) -> str:
    """Return the kind of a granularity as a step gives it: `pattern` for N:M, `block` with any numbers."""
    if granularity.startswith("block:"):
        return "block"
    return "pattern" if ":" in granularity else granularity


def granularities(method: Any) -> list[str]:
    """List what a method can prune together, its own first."""
    return [one for kind in method.granularities for one in _EXAMPLES.get(kind, (kind,))]


def granularity_of(method: Any, chosen: str | None) -> str:
    """Return what is chosen where the method can prune by it, and the method's own elsewhere."""
    given = (chosen or "").strip()
    return given if kind_of(given) in method.granularities else granularities(method)[0]


def can_reconstruct(method: Any, granularity: str) -> bool:
    """Return whether to offer it; torch's methods, which prune one thing, stay as simple as in torch."""
    return len(granularities(method)) > 1 and bool(method.reconstructs(kind_of(granularity)))


def reads_texts(method: str, reconstruct: bool, everything: bool = False) -> bool:
    """Return whether a step by the method of that name reads calibration texts; none for layers that all go."""
    found = bp.methods().get(method)
    if found is not None and everything and found.removes == "layer":
        return False
    return found is not None and (found.needs_texts or reconstruct)

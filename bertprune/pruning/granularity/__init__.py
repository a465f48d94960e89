"""Granularity: which entries are pruned together. Each file is one; `groups.py` says what a granularity does."""

from collections.abc import Callable, Mapping
from typing import Any

from .elements import Elements
from .groups import Granularity, Groups, Unit
from .slices import Slices

GRANULARITIES: Mapping[str, Callable[[Mapping[str, Any]], Granularity]] = {
    "element": lambda options: Elements(),
    "slice": Slices,
}
"""By what a method `removes`; each takes the method's options."""

__all__ = ["GRANULARITIES", "Elements", "Granularity", "Groups", "Slices", "Unit"]

"""Granularity: which entries are pruned together. Each file is one; `groups.py` says what a granularity does."""

from collections.abc import Callable, Mapping

from ...step import Kind
from .coupled import CoupledGranularity, CoupledUnit
from .elements import ElementGroups, Elements
from .grids import Blocks, Lines
from .groups import Granularity, Groups, Unit
from .layers import Layers, LayerUnit
from .patterns import PatternGroups, Patterns
from .slices import Slices
from .tokens import Tokens

GRANULARITIES: Mapping[Kind, Callable[..., Granularity]] = {
    "element": lambda options: Elements(),
    "slice": Slices,
    "row": lambda options: Lines(0),
    "column": lambda options: Lines(1),
    "pattern": lambda options, kept, of: Patterns(kept, of),
    "block": lambda options, height, width: Blocks(height, width),
    "neuron": lambda options: CoupledGranularity("neuron"),
    "head": lambda options: CoupledGranularity("head"),
    "layer": lambda options: Layers(),
    "token": lambda options: Tokens(),
}
"""By kind; each takes the method's options and the numbers that a step gives with it."""

__all__ = [
    "GRANULARITIES",
    "Blocks",
    "CoupledGranularity",
    "CoupledUnit",
    "ElementGroups",
    "Elements",
    "Granularity",
    "Groups",
    "LayerUnit",
    "Layers",
    "Lines",
    "PatternGroups",
    "Patterns",
    "Slices",
    "Tokens",
    "Unit",
]

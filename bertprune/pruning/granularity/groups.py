"""What a granularity does: it finds the groups that are pruned together, and bounds their number for a preview."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from ...errors import Message
from ...model.targets import Target
from ...scores import Method
from ..bounds import Bounds, Range
from ..rank import TensorScores


@dataclass(frozen=True)
class Unit:
    """The tensors whose groups local scope ranks together: one tensor, or several that have groups in common."""

    targets: tuple[Target, ...]
    where: str | Message
    """What messages call its groups."""


class Groups(Protocol):
    """The groups of one unit that may be pruned."""

    @property
    def alive(self) -> int:
        """How many groups have anything alive."""

    def scores(self, method: Method, options: Mapping[str, Any], generator: torch.Generator) -> TensorScores:
        """Score the groups: the larger, the more worth keeping. Raises RecipeError where the method fails."""

    def unscored(self) -> TensorScores:
        """Return placeholders, for a unit that loses nothing."""

    def masks(self, keep: Tensor) -> Sequence[Tensor]:
        """Turn what ranking keeps of the scores into masks of the unit's tensors: bool, their shapes, True is alive."""


class Granularity(Protocol):
    """What is pruned together."""

    @property
    def single(self) -> bool:
        """Whether each group is one entry."""

    def units(self, method: str, targets: Sequence[Target]) -> list[Unit]:
        """Return the units of a step's targets. Raises RecipeError where a target has no such groups."""

    def groups(self, unit: Unit, masks: Sequence[Tensor | None], alive: Sequence[int]) -> Groups:
        """Find the groups of a unit; by tensor, `masks` is what is alive (None: all), `alive` how many entries are."""

    def alive(self, tensors: Sequence[Bounds]) -> Range:
        """Return the least and the most groups of a unit that can be alive."""

    def lose(self, tensors: Sequence[Bounds], groups: Range) -> Range:
        """Subtract that many groups from the bounds of one unit; return how many entries they have."""

    def lose_among(self, units: Sequence[Sequence[Bounds]], groups: Range, alive: Range) -> Range:
        """Subtract that many groups from all units together, which have `alive` entries; return the entries."""

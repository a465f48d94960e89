"""What a granularity does: it finds the groups that are pruned together, and bounds their number for a preview."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ...errors import Message
from ...model.targets import Target
from ...scores import Method
from ...selection import Selection
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

    def scores(
        self, method: Method, options: Mapping[str, Any], generator: torch.Generator, statistics: Mapping[str, Any]
    ) -> TensorScores:
        """Score the groups: the larger, the more worth keeping. Raises RecipeError where the method fails.

        `statistics` are what calibration texts tell of the unit's first tensor, by argument: inputs, gradients.
        """

    def unscored(self) -> TensorScores:
        """Return placeholders, for a unit that loses nothing."""

    def masks(self, keep: Tensor) -> Sequence[Tensor]:
        """Turn what ranking keeps of the scores into masks of the unit's tensors: bool, their shapes, True is alive."""


class Granularity(Protocol):
    """What is pruned together."""

    @property
    def single(self) -> bool:
        """Whether each group is one entry."""

    def units(self, method: str, model: nn.Module, select: Selection, missing: frozenset[str]) -> list[Unit]:
        """Return the units that a selection matches; `missing` names tensors that the checkpoint lacks.

        Raises RecipeError where nothing matches, or what matches has no such groups.
        """

    def groups(self, unit: Unit, masks: Sequence[Tensor | None], alive: Sequence[int]) -> Groups:
        """Find the groups of a unit; by tensor, `masks` is what is alive (None: all), `alive` how many entries are."""

    def alive(self, unit: Unit, tensors: Sequence[Bounds]) -> Range:
        """Return the least and the most groups of a unit that can be alive."""

    def lose(self, unit: Unit, tensors: Sequence[Bounds], groups: Range) -> Range:
        """Subtract that many groups from the bounds of one unit; return how many entries they have."""

    def lose_among(
        self, units: Sequence[Unit], bounds: Sequence[Sequence[Bounds]], groups: Range, alive: Range
    ) -> Range:
        """Subtract that many groups from all units together, which have `alive` entries; return the entries."""

"""The scores of a tensor's entries or slices, made piece by piece."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import RecipeError

Array = NDArray[Any]

CHUNK = 1 << 19
"""Scores looked at together: few enough for small temporaries, so many that threads seldom wait for each other."""


@dataclass(frozen=True)
class Scores:
    """The scores of one tensor, flat; made from `values` piece by piece where there is a `rule`."""

    name: str
    values: Tensor
    alive: Tensor | None = None
    rule: Callable[[Array], Array] | None = None
    """Takes and returns float32 or float64, whatever the dtype of the values; each score depends on its value alone."""

    @property
    def count(self) -> int:
        """Count the entries that are alive."""
        return self.values.numel() if self.alive is None else count_true(self.alive)

    def of(self, values: Tensor, wide: torch.dtype) -> Array:
        """Score some of the values."""
        array: Array = values.to(wide).numpy(force=True)
        return array if self.rule is None else self.rule(array)

    def pieces(self, wide: torch.dtype) -> Iterator[tuple[slice, Array]]:
        """Yield the scores of one chunk after another, dead entries included, with where they stand; one at least."""
        for start in range(0, max(1, self.values.numel()), CHUNK):
            where = slice(start, start + CHUNK)
            yield where, self.of(self.values[where], wide)

    def everything(self, wide: torch.dtype) -> Array:
        """Return a copy of the scores of all that are alive."""
        scores, living = self.of(self.values, wide), self.living(slice(None))
        return scores.copy() if living is None else scores[living]

    def living(self, where: slice) -> Array | None:
        """Tell which of one chunk are alive; None where all are."""
        return None if self.alive is None else self.alive[where].numpy(force=True)


def count_true(mask: Tensor) -> int:
    """Count what a bool mask keeps; along axes that repeat one value, that value counts for all."""
    repeated = [step == 0 for step in mask.stride()]
    once = mask[tuple(slice(1) if same else slice(None) for same in repeated)]
    times = math.prod(size for size, same in zip(mask.shape, repeated, strict=True) if same)
    return int(np.count_nonzero(once.numpy(force=True))) * times


def wide_enough(sources: Sequence[Scores]) -> torch.dtype:
    """Choose a dtype that NumPy compares fast and that holds every score of a floating-point tensor exactly."""
    half_or_single = (torch.float16, torch.bfloat16, torch.float32)
    return torch.float32 if all(source.values.dtype in half_or_single for source in sources) else torch.float64


def joined(sources: Sequence[Scores], wide: torch.dtype) -> Scores:
    """Make one source of several that have few scores together."""
    parts, alive = [], []
    for source in sources:
        scores, living = source.of(source.values, wide), source.living(slice(None))
        refuse_nan(source, bool(np.isnan(scores if living is None else scores[living]).any()))
        parts.append(scores)
        alive.append(np.ones(scores.size, bool) if living is None else living)
    return Scores("all", torch.from_numpy(np.concatenate(parts)), torch.from_numpy(np.concatenate(alive)))


def refuse_nan(source: Scores, there: bool) -> None:
    """Raise RecipeError, with the tensor's name, where there is a NaN."""
    if there:
        raise RecipeError(f"{source.name}: a score is NaN, so it cannot be ranked")

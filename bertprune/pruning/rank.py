"""Find exactly the k lowest scores among many tensors, without ever joining or sorting them.

The cut, that is the k-th lowest score, is bracketed by order statistics of a small sample. One pass counts what lies
below the bracket and collects what lies inside, about one score in a hundred; the exact cut is found among those.
A second pass compares each score with the cut. The sample decides how much is collected, never what the cut is.

NumPy compares several times faster than torch, and both let other threads run meanwhile.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import RecipeError

CHUNK = 1 << 16
"""Scores looked at together: few enough that they and their temporaries stay in a core's cache."""

_SAMPLE = 1 << 15
"""A sample is never smaller; fewer scores than this are ranked without one."""
_SIGMAS = 6.0

Array = NDArray[Any]
_Found = tuple[int, slice, Array]
"""Scores that were collected, with the number of their source and the chunk that they are from."""
_Test = Callable[[Array], NDArray[np.bool_]]


@dataclass(frozen=True)
class Scores:
    """The scores of one tensor, flat; computed piece by piece from `values` where `rule` is given."""

    name: str
    values: Tensor
    alive: Tensor | None = None
    rule: Callable[[Tensor], Tensor] | None = None

    @property
    def count(self) -> int:
        """Count the entries that are alive."""
        return self.values.numel() if self.alive is None else count_true(self.alive)

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the scores."""
        return self.of(self.values[:1]).dtype

    def of(self, values: Tensor) -> Tensor:
        """Score some of the values."""
        return values if self.rule is None else self.rule(values)

    def pieces(self, wide: torch.dtype) -> Iterator[tuple[slice, Array]]:
        """Yield the scores of one chunk after another, dead entries included, with where they stand."""
        for start in range(0, self.values.numel(), CHUNK):
            where = slice(start, start + CHUNK)
            yield where, self.piece(where, wide)

    def living_pieces(self, wide: torch.dtype) -> Iterator[tuple[slice, Array]]:
        """Yield the scores of one chunk after another, of living entries alone, with where the chunk stands."""
        alive = None if self.alive is None else self.alive.numpy(force=True)
        for where, scores in self.pieces(wide):
            living = scores if alive is None else scores[alive[where]]
            if living.size:
                yield where, living

    def piece(self, where: slice, wide: torch.dtype) -> Array:
        """Score one chunk, dead entries included."""
        scores: Array = self.of(self.values[where]).to(wide).numpy(force=True)
        return scores


def count_true(mask: Tensor) -> int:
    """Count what a bool mask keeps."""
    return int(np.count_nonzero(mask.numpy(force=True)))


def drop_lowest(sources: Sequence[Scores], k: int) -> list[Tensor]:
    """Return one bool mask a source, flat: False for what was dead and for the k lowest scores that were alive.

    Exactly k go. Of equal scores at the cut the first go, in the order of the sources and of positions.
    Pure. Raises RecipeError where a score is NaN.
    """
    alive = sum(source.count for source in sources)
    if not 0 <= k <= alive:
        raise ValueError(f"cannot drop {k} of {alive}")
    if k in (0, alive):
        return [_uniform(source, keep=k == 0) for source in sources]
    wide = _wide(sources)
    with ThreadPoolExecutor(torch.get_num_threads()) as threads:
        cut = _Search(sources, wide, threads).cut(k, alive)
        masks = list(threads.map(lambda source: _above(source, wide, cut.score), sources))
    if cut.to_go < cut.ties:
        _bring_back(sources, masks, wide, cut)
    pairs = zip(sources, masks, strict=True)
    return [mask if source.alive is None else mask.logical_and_(source.alive) for source, mask in pairs]


def _uniform(source: Scores, keep: bool) -> Tensor:
    if keep and source.alive is not None:
        return source.alive.clone()
    return torch.full(source.values.shape, keep, dtype=torch.bool, device=source.values.device)


def _wide(sources: Sequence[Scores]) -> torch.dtype:
    """Choose a dtype that NumPy compares fast and that holds every score exactly."""
    half_or_single = (torch.float16, torch.bfloat16, torch.float32)
    return torch.float32 if all(source.dtype in half_or_single for source in sources) else torch.float64


class _Cut(NamedTuple):
    score: float
    """The k-th lowest."""
    to_go: int
    """How many equal to it must go."""
    ties: int
    """How many equal to it there are."""
    places: list[tuple[int, slice]]
    """The chunks in which they are, with the number of the source."""


@dataclass(frozen=True)
class _Search:
    """The search for the cut among some sources, one thread a source."""

    sources: Sequence[Scores]
    wide: torch.dtype
    threads: ThreadPoolExecutor

    def cut(self, k: int, alive: int) -> _Cut:
        """Find the k-th lowest score."""
        low, high = self.bracket(k, alive)
        while True:
            to_low, found = self.between(low, high)
            inside = np.concatenate([scores for _, _, scores in found]) if found else np.empty(0)
            rank = k - to_low
            if 0 < rank <= inside.size:
                cut = float(np.partition(inside, rank - 1)[rank - 1])
                return self.cut_at(cut, k - to_low - int(np.count_nonzero(inside < cut)), found)
            edge = low if rank <= 0 else high
            below, on_edge = self.around(edge)
            at_edge = self.cut_at(edge, k - below, on_edge)
            if 0 < at_edge.to_go <= at_edge.ties:
                return at_edge
            low, high = (-math.inf, low) if rank <= 0 else (high, math.inf)

    def cut_at(self, cut: float, to_go: int, found: list[_Found]) -> _Cut:
        """Count the ties at the cut among the scores that were collected."""
        ties = [(number, where, int(np.count_nonzero(scores == cut))) for number, where, scores in found]
        places = [(number, where) for number, where, count in ties if count]
        return _Cut(cut, to_go, sum(count for _, _, count in ties), places)

    def bracket(self, k: int, alive: int) -> tuple[float, float]:
        """Guess two scores that enclose the k-th lowest, so narrow that little lies between."""
        if alive <= _SAMPLE:
            return -math.inf, math.inf
        sample = np.sort(np.concatenate([_sample(source, alive, self.wide) for source in self.sources]))
        share = k / alive
        reach = _SIGMAS * math.sqrt(sample.size * share * (1 - share)) + _SIGMAS
        first, last = math.floor(share * sample.size - reach), math.ceil(share * sample.size + reach)
        low = float(sample[first]) if first >= 0 else -math.inf
        return low, float(sample[last]) if last < sample.size else math.inf

    def between(self, low: float, high: float) -> tuple[int, list[_Found]]:
        """Count the living scores up to `low`, and collect those between `low` and `high`, both ends left out."""
        return self._each(lambda scores: scores > low, lambda scores: scores < high)

    def around(self, edge: float) -> tuple[int, list[_Found]]:
        """Count the living scores below `edge`, and collect those that equal it."""
        return self._each(lambda scores: scores >= edge, lambda scores: scores <= edge)

    def _each(self, over: _Test, under: _Test) -> tuple[int, list[_Found]]:
        """Count what fails the first test, and collect what meets both."""
        counted = list(self.threads.map(lambda source: _count(source, self.wide, over, under), self.sources))
        found = [(number, *piece) for number, (_, pieces) in enumerate(counted) for piece in pieces]
        return sum(count for count, _ in counted), found


def _sample(source: Scores, alive: int, wide: torch.dtype) -> Array:
    """Draw scores at fixed pseudo-random places: a stride could fall in step with the matrix's rows."""
    size = source.values.numel()
    wanted = math.ceil(min(size, max(_SAMPLE, round(alive ** (2 / 3))) * size / alive))
    places = torch.from_numpy(np.random.default_rng(size).integers(0, size, wanted)).to(source.values.device)
    drawn: Array = source.of(source.values[places]).to(wide).numpy(force=True)
    return drawn if source.alive is None else drawn[source.alive[places].numpy(force=True)]


def _count(source: Scores, wide: torch.dtype, over: _Test, under: _Test) -> tuple[int, list[tuple[slice, Array]]]:
    failed, found = 0, []
    for where, scores in source.living_pieces(wide):
        if np.isnan(scores.max()):
            raise RecipeError(f"{source.name}: a score is NaN, so it cannot be ranked")
        met = over(scores)
        failed += scores.size - int(np.count_nonzero(met))
        met &= under(scores)
        found.append((where, scores[met]))
    return failed, found


def _above(source: Scores, wide: torch.dtype, cut: float) -> Tensor:
    """Keep what lies above the cut, dead entries included."""
    mask = np.empty(source.values.numel(), dtype=bool)
    for where, scores in source.pieces(wide):
        np.greater(scores, cut, out=mask[where])
    return torch.from_numpy(mask).to(source.values.device)


def _bring_back(sources: Sequence[Scores], masks: Sequence[Tensor], wide: torch.dtype, cut: _Cut) -> None:
    """Keep those equal to the cut as well, but for the first ones."""
    to_go = cut.to_go
    for number, where in cut.places:
        equal = sources[number].piece(where, wide) == cut.score
        alive = sources[number].alive
        if alive is not None:
            equal &= alive[where].numpy(force=True)
        ties = torch.from_numpy(np.flatnonzero(equal)).to(masks[number].device)
        masks[number][where][ties[to_go:]] = True
        to_go -= min(to_go, len(ties))

"""Find exactly the k lowest scores among many tensors, without joining or sorting them, unless they are few.

The cut, that is the k-th lowest score, is bracketed by order statistics of a small sample. One pass drops what lies
below the bracket and collects what lies inside, about one score in a hundred; the exact cut is found among those, and
they are dropped or kept by it. Where many scores equal an end of the bracket, the cut may be that end, and a second
pass compares each score with it. The sample decides how much is collected, never what the cut is.

NumPy compares several times faster than torch, and both let other threads run meanwhile.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import RecipeError
from ..parallel import Map, choose_map, map_serially

Array = NDArray[Any]

CHUNK = 1 << 19
"""Scores compared at a time: few enough for small temporaries, so many that threads seldom wait for each other."""
SAMPLE = 1 << 17
"""So many scores, or fewer, are ranked without a sample."""
SIGMAS = 4.0
"""How far the bracket reaches: it misses the cut about once in ten thousand times, which costs a second pass."""


@dataclass(frozen=True)
class Scores:
    """The scores of one tensor, flat; computed from `values` piece by piece where there is a `rule`."""

    name: str
    values: Tensor
    count: int
    """How many of them are alive."""
    alive: Tensor | None = None
    """Which of them are alive: bool, flat; None where all are."""
    rule: Callable[[Array], Array] | None = None
    """Takes and returns float32 or float64, whatever the dtype of the values; each score depends on its value alone."""

    def of(self, values: Tensor, dtype: torch.dtype) -> Array:
        """Score some of the values."""
        array: Array = values.to(dtype).numpy(force=True)
        return array if self.rule is None else self.rule(array)

    def pieces(self, dtype: torch.dtype) -> Iterator[tuple[slice, Array, Array | None]]:
        """Yield chunk after chunk, at least one: where it is, its scores, and which are alive (None: all)."""
        for start in range(0, max(1, self.values.numel()), CHUNK):
            where = slice(start, start + CHUNK)
            living = None if self.alive is None else self.alive[where].numpy(force=True)
            yield where, self.of(self.values[where], dtype), living

    def living(self, dtype: torch.dtype) -> Array:
        """Return a copy of all scores that are alive."""
        pieces = [scores if living is None else scores[living] for _, scores, living in self.pieces(dtype)]
        return np.concatenate(pieces)


def drop_lowest(sources: Sequence[Scores], k: int) -> list[Tensor]:
    """Return one bool mask a source, flat: False for what was dead and for the k lowest scores that were alive.

    Exactly k are dropped. Of equal scores at the cut the first are, in the order of the sources and of positions.
    Pure. Raises RecipeError where a score that has to be ranked is NaN.
    """
    return _drop(sources, k, choose_map(source.values.numel() for source in sources))


def drop_lowest_of_each(sources: Iterable[tuple[Scores, int]], mapper: Map) -> list[Tensor]:
    """Return one bool mask a source, which loses its own k lowest; see `drop_lowest`. The sources may be lazy."""
    return mapper(lambda pair: _drop([pair[0]], pair[1], map_serially)[0], sources)


def count_true(mask: Tensor) -> int:
    """Count what a bool mask keeps; along axes that repeat one value, that value counts for all."""
    repeated = [step == 0 for step in mask.stride()]
    once = mask[tuple(slice(1) if same else slice(None) for same in repeated)]
    times = math.prod(size for size, same in zip(mask.shape, repeated, strict=True) if same)
    return int(np.count_nonzero(once.numpy(force=True))) * times


def _drop(sources: Sequence[Scores], k: int, mapper: Map) -> list[Tensor]:
    alive = sum(source.count for source in sources)
    if not 0 <= k <= alive:
        raise ValueError(f"cannot drop {k} of {alive}")
    if k in (0, alive):
        return [_all(source, keep=k == 0) for source in sources]
    dtype = _exact_dtype(sources)
    sizes = [source.values.numel() for source in sources]
    if len(sources) > 1 and sum(sizes) <= SAMPLE:
        (mask,) = _Search([_merged(sources, dtype)], dtype, mapper).masks(k, alive)
        masks = np.split(mask, np.cumsum(sizes)[:-1])
    else:
        masks = _Search(sources, dtype, mapper).masks(k, alive)
    return [torch.from_numpy(mask).to(source.values.device) for source, mask in zip(sources, masks, strict=True)]


def _all(source: Scores, keep: bool) -> Tensor:
    if keep and source.alive is not None:
        return source.alive.clone()
    return torch.full(source.values.shape, keep, dtype=torch.bool, device=source.values.device)


def _exact_dtype(sources: Sequence[Scores]) -> torch.dtype:
    """Choose a dtype that NumPy compares fast and that holds every score of a floating-point tensor exactly."""
    half_or_single = (torch.float16, torch.bfloat16, torch.float32)
    return torch.float32 if all(source.values.dtype in half_or_single for source in sources) else torch.float64


def _merged(sources: Sequence[Scores], dtype: torch.dtype) -> Scores:
    """Make one source of several that have few scores together."""
    scores, alive = [], []
    for source in sources:
        for _, piece, living in source.pieces(dtype):
            _refuse_nan(source, bool(np.isnan(piece if living is None else piece[living]).any()))
            scores.append(piece)
            alive.append(np.ones(piece.size, bool) if living is None else living)
    count = sum(source.count for source in sources)
    return Scores("all", torch.from_numpy(np.concatenate(scores)), count, torch.from_numpy(np.concatenate(alive)))


def _refuse_nan(source: Scores, found: bool) -> None:
    if found:
        raise RecipeError("{tensor}: a score is NaN and cannot be ranked", code="prune.nan_score", tensor=source.name)


class _Split(NamedTuple):
    """A source, split by a bracket whose ends are left out."""

    below: int
    """How many that are alive lie at or under the low end."""
    places: Array
    """Where those lie that are inside and alive, in order."""
    scores: Array
    """Their scores."""
    mask: Array
    """What is alive and lies above the low end."""

    def cut(self, score: float, ties: int) -> Array:
        """Take what lies under the cut out of the mask, and the first so many of those that equal it."""
        self.mask[self.places[self.scores < score]] = False
        self.mask[self.places[self.scores == score][:ties]] = False
        return self.mask


@dataclass(frozen=True)
class _Search:
    """The search for the cut among some sources."""

    sources: Sequence[Scores]
    dtype: torch.dtype
    map: Map

    def masks(self, k: int, alive: int) -> list[Array]:
        """Drop the k lowest."""
        low, high = self.bracket(k, alive)
        while True:
            edge = low
            if low < high:
                parts = self.split(low, high)
                rank = k - sum(part.below for part in parts)
                if 0 < rank <= sum(part.scores.size for part in parts):
                    return self.cut_inside(parts, rank)
                edge = low if rank <= 0 else high
            below, ties = self.around(edge)
            if 0 < k - below <= sum(ties):
                return self.cut_at(edge, k - below, ties)
            low, high = (-math.inf, edge) if k <= below else (edge, math.inf)

    def bracket(self, k: int, alive: int) -> tuple[float, float]:
        """Guess two scores that enclose the k-th lowest, with little between them; of few scores, find itself."""
        if alive <= SAMPLE:
            scores = np.concatenate(self.map(lambda source: source.living(self.dtype), self.sources))
            scores.partition(k - 1)
            return float(scores[k - 1]), float(scores[k - 1])
        sample = np.concatenate(self.map(lambda source: _sample(source, alive, self.dtype), self.sources))
        share = k / alive
        reach = SIGMAS * math.sqrt(sample.size * share * (1 - share)) + SIGMAS
        first, last = math.floor(share * sample.size - reach), math.ceil(share * sample.size + reach)
        ends = [place for place in (first, last) if 0 <= place < sample.size]
        if ends:
            sample.partition(ends)
        low = float(sample[first]) if first in ends else -math.inf
        return low, float(sample[last]) if last in ends else math.inf

    def split(self, low: float, high: float) -> list[_Split]:
        """Split every source by a bracket."""
        return self.map(lambda source: _split(source, self.dtype, low, high), self.sources)

    def cut_inside(self, parts: Sequence[_Split], rank: int) -> list[Array]:
        """Find the score of a rank among those inside the bracket, and drop up to it."""
        scores = np.concatenate([part.scores for part in parts])
        scores.partition(rank - 1)
        score = float(scores[rank - 1])
        dropped_ties = rank - int(np.count_nonzero(scores[: rank - 1] < score))
        ties = self.map(lambda part: int(np.count_nonzero(part.scores == score)), parts)
        jobs = zip(parts, _shares(dropped_ties, ties), strict=True)
        return self.map(lambda job: job[0].cut(score, job[1]), jobs)

    def around(self, edge: float) -> tuple[int, list[int]]:
        """Count the living scores below `edge`, and those that equal it, source by source."""
        found = self.map(lambda source: _around(source, self.dtype, edge), self.sources)
        return sum(below for below, _ in found), [ties for _, ties in found]

    def cut_at(self, score: float, dropped_ties: int, ties: Sequence[int]) -> list[Array]:
        """Drop what lies under a score, and the first so many of those that equal it."""
        jobs = zip(self.sources, _shares(dropped_ties, ties), strict=True)
        return self.map(lambda job: _kept(job[0], self.dtype, score, job[1]), jobs)


def _shares(dropped: int, ties: Sequence[int]) -> Iterator[int]:
    """Yield how many of its ties each source loses: the first in order."""
    for there in ties:
        yield min(dropped, there)
        dropped -= min(dropped, there)


def _sample(source: Scores, alive: int, dtype: torch.dtype) -> Array:
    """Draw scores at fixed pseudo-random places: a stride could fall in step with the matrix's rows."""
    size = source.values.numel()
    wanted = math.ceil(alive ** (2 / 3) * size / alive)
    places = torch.from_numpy(np.random.default_rng(size).integers(0, max(1, size), wanted)).to(source.values.device)
    drawn = source.of(source.values[places], dtype)
    return drawn if source.alive is None else drawn[source.alive[places].numpy(force=True)]


def _split(source: Scores, dtype: torch.dtype, low: float, high: float) -> _Split:
    mask = np.empty(source.values.numel(), bool)
    below, places, found = 0, [], []
    place_dtype = np.min_scalar_type(mask.size)  # half the memory of what would be 64 bits
    for where, scores, living in source.pieces(dtype):
        over, under, size = np.greater(scores, low, out=mask[where]), scores < high, scores.size
        if living is not None:
            over &= living
            under &= living
            size = int(np.count_nonzero(living))
        inside = np.flatnonzero(over & under)
        above_low = int(np.count_nonzero(over))
        # every number is over the low end, under the high one, or both
        _refuse_nan(source, above_low + int(np.count_nonzero(under)) - inside.size != size)
        below += size - above_low
        places.append((inside + where.start).astype(place_dtype))
        found.append(scores[inside])
    return _Split(below, np.concatenate(places), np.concatenate(found), mask)


def _around(source: Scores, dtype: torch.dtype, edge: float) -> tuple[int, int]:
    below = ties = 0
    for _, scores, living in source.pieces(dtype):
        scores = scores if living is None else scores[living]
        under, equal = int(np.count_nonzero(scores < edge)), int(np.count_nonzero(scores == edge))
        unlike = under + equal + int(np.count_nonzero(scores > edge)) != scores.size
        _refuse_nan(source, unlike and bool(np.isnan(scores).any()))  # the edge may be another source's NaN
        below += under
        ties += equal
    return below, ties


def _kept(source: Scores, dtype: torch.dtype, cut: float, dropped_ties: int) -> Array:
    """Keep what is alive and lies above the cut, and of those that equal it all but the first so many."""
    mask = np.empty(source.values.numel(), bool)
    for where, scores, living in source.pieces(dtype):
        kept = np.greater_equal(scores, cut, out=mask[where])
        if living is not None:
            kept &= living
        if dropped_ties:
            ties = np.flatnonzero(kept & (scores == cut))[:dropped_ties]
            kept[ties] = False
            dropped_ties -= ties.size
    return mask

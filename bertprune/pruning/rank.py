"""Find exactly the k lowest scores among many tensors, without joining or sorting them, unless they are few.

The cut, that is the k-th lowest score, is bracketed by order statistics of a small sample. One pass drops what lies
below the bracket and collects what lies inside, about one score in a hundred; the exact cut is found among those, and
they are dropped or kept by it. Where many scores equal an end of the bracket, the cut may be that end, and a second
pass compares each score with it. The sample decides how much is collected, never what the cut is.

NumPy compares several times faster than torch, and both let other threads run meanwhile.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..parallel import Each, in_turn, shared
from .memory import Fresh
from .scores import Array, Scores, joined, refuse_nan, wide_enough

_SAMPLE = 1 << 17
"""So many scores, or fewer, are ranked without a sample."""
_SIGMAS = 4.0
"""How far the bracket reaches: it misses the cut about once in ten thousand times, which costs a second pass."""


def drop_lowest(sources: Sequence[Scores], k: int) -> list[Tensor]:
    """Return one bool mask a source, flat: False for what was dead and for the k lowest scores that were alive.

    Exactly k go. Of equal scores at the cut the first go, in the order of the sources and of positions.
    Pure. Raises RecipeError where a score that has to be ranked is NaN.
    """
    return _drop(sources, k, shared(source.values.numel() for source in sources), Fresh())


def drop_lowest_of_each(sources: Iterable[tuple[Scores, int]], work: Each) -> list[Tensor]:
    """Return one bool mask a source, which loses its own k lowest; see `drop_lowest`. The sources may be lazy."""
    memory = Fresh()
    return work(lambda pair: _drop([pair[0]], pair[1], in_turn, memory)[0], sources)


def _drop(sources: Sequence[Scores], k: int, work: Each, memory: Fresh) -> list[Tensor]:
    alive = sum(source.count for source in sources)
    if not 0 <= k <= alive:
        raise ValueError(f"cannot drop {k} of {alive}")
    if k in (0, alive):
        return [_uniform(source, keep=k == 0) for source in sources]
    masks = _masks(sources, k, alive, work, memory)
    return [torch.from_numpy(mask).to(source.values.device) for source, mask in zip(sources, masks, strict=True)]


def _masks(sources: Sequence[Scores], k: int, alive: int, work: Each, memory: Fresh) -> list[Array]:
    wide = wide_enough(sources)
    sizes = [source.values.numel() for source in sources]
    if len(sources) == 1 or sum(sizes) > _SAMPLE:
        return _Search(sources, wide, work, memory).masks(k, alive)
    (mask,) = _Search([joined(sources, wide)], wide, work, memory).masks(k, alive)
    return np.split(mask, np.cumsum(sizes)[:-1])


def _uniform(source: Scores, keep: bool) -> Tensor:
    if keep and source.alive is not None:
        return source.alive.clone()
    return torch.full(source.values.shape, keep, dtype=torch.bool, device=source.values.device)


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

    def cut(self, score: float, to_go: int) -> Array:
        """Take what lies under the cut out of the mask, and the first so many of those that equal it."""
        self.mask[self.places[self.scores < score]] = False
        self.mask[self.places[self.scores == score][:to_go]] = False
        return self.mask


@dataclass(frozen=True)
class _Search:
    """The search for the cut among some sources."""

    sources: Sequence[Scores]
    wide: torch.dtype
    work: Each
    memory: Fresh
    """For the masks."""

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
        """Guess two scores that enclose the k-th lowest, so narrow that little lies between; itself, of few scores."""
        if alive <= _SAMPLE:
            scores = np.concatenate(self.work(lambda source: source.everything(self.wide), self.sources))
            scores.partition(k - 1)
            return float(scores[k - 1]), float(scores[k - 1])
        sample = np.concatenate(self.work(lambda source: _sample(source, alive, self.wide), self.sources))
        share = k / alive
        reach = _SIGMAS * math.sqrt(sample.size * share * (1 - share)) + _SIGMAS
        first, last = math.floor(share * sample.size - reach), math.ceil(share * sample.size + reach)
        ends = [place for place in (first, last) if 0 <= place < sample.size]
        if ends:
            sample.partition(ends)
        low = float(sample[first]) if first in ends else -math.inf
        return low, float(sample[last]) if last in ends else math.inf

    def split(self, low: float, high: float) -> list[_Split]:
        """Split every source by a bracket."""
        return self.work(lambda source: _split(source, self.wide, low, high, self._mask(source)), self.sources)

    def cut_inside(self, parts: Sequence[_Split], rank: int) -> list[Array]:
        """Find the score of a rank among those inside the bracket, and drop up to it."""
        scores = np.concatenate([part.scores for part in parts])
        scores.partition(rank - 1)
        score = float(scores[rank - 1])
        to_go = rank - int(np.count_nonzero(scores[: rank - 1] < score))
        ties = self.work(lambda part: int(np.count_nonzero(part.scores == score)), parts)
        jobs = zip(parts, _shares(to_go, ties), strict=True)
        return self.work(lambda job: job[0].cut(score, job[1]), jobs)

    def around(self, edge: float) -> tuple[int, list[int]]:
        """Count the living scores below `edge`, and those that equal it, source by source."""
        found = self.work(lambda source: _around(source, self.wide, edge), self.sources)
        return sum(below for below, _ in found), [ties for _, ties in found]

    def cut_at(self, score: float, to_go: int, ties: Sequence[int]) -> list[Array]:
        """Drop what lies under a score, and the first so many of those that equal it."""
        jobs = zip(self.sources, _shares(to_go, ties), strict=True)
        return self.work(lambda job: _kept(job[0], self.wide, score, job[1], self._mask(job[0])), jobs)

    def _mask(self, source: Scores) -> Array:
        return self.memory.array([source.values.numel()], bool)


def _shares(to_go: int, ties: Sequence[int]) -> Iterator[int]:
    """Yield how many of its ties each source loses: the first in order."""
    for there in ties:
        yield min(to_go, there)
        to_go -= min(to_go, there)


def _sample(source: Scores, alive: int, wide: torch.dtype) -> Array:
    """Draw scores at fixed pseudo-random places: a stride could fall in step with the matrix's rows."""
    size = source.values.numel()
    wanted = math.ceil(alive ** (2 / 3) * size / alive)
    places = torch.from_numpy(np.random.default_rng(size).integers(0, max(1, size), wanted)).to(source.values.device)
    drawn = source.of(source.values[places], wide)
    return drawn if source.alive is None else drawn[source.alive[places].numpy(force=True)]


def _split(source: Scores, wide: torch.dtype, low: float, high: float, mask: Array) -> _Split:
    below, places, found = 0, [], []
    kind = np.min_scalar_type(source.values.numel())  # half the memory of what would be 64 bits
    for where, scores in source.pieces(wide):
        over, under, size = np.greater(scores, low, out=mask[where]), scores < high, scores.size
        if (living := source.living(where)) is not None:
            over &= living
            under &= living
            size = int(np.count_nonzero(living))
        inside = np.flatnonzero(over & under)
        up = int(np.count_nonzero(over))
        # every number is over the low end, under the high one, or both
        refuse_nan(source, up + int(np.count_nonzero(under)) - inside.size != size)
        below += size - up
        places.append((inside + where.start).astype(kind))
        found.append(scores[inside])
    return _Split(below, np.concatenate(places), np.concatenate(found), mask)


def _around(source: Scores, wide: torch.dtype, edge: float) -> tuple[int, int]:
    below = ties = 0
    for where, scores in source.pieces(wide):
        living = source.living(where)
        scores = scores if living is None else scores[living]
        under, equal = int(np.count_nonzero(scores < edge)), int(np.count_nonzero(scores == edge))
        unlike = under + equal + int(np.count_nonzero(scores > edge)) != scores.size
        refuse_nan(source, unlike and bool(np.isnan(scores).any()))  # the edge may be another source's NaN
        below += under
        ties += equal
    return below, ties


def _kept(source: Scores, wide: torch.dtype, cut: float, to_go: int, mask: Array) -> Array:
    """Keep what is alive and lies above the cut, and of those that equal it all but the first `to_go`."""
    for where, scores in source.pieces(wide):
        kept = np.greater_equal(scores, cut, out=mask[where])
        if (living := source.living(where)) is not None:
            kept &= living
        if to_go:
            ties = np.flatnonzero(kept & (scores == cut))[:to_go]
            kept[ties] = False
            to_go -= ties.size
    return mask

"""Find exactly the k lowest scores among many tensors, without ever joining or sorting them.

The cut, that is the k-th lowest score, is bracketed by order statistics of a small sample. One pass counts what lies
below the bracket and collects what lies inside, about one score in a hundred; the exact cut is found among those.
A second pass compares each score with the cut. The sample decides how much is collected, never what the cut is.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import RecipeError

CHUNK = 1 << 18
"""Scores looked at together: few enough to stay in a core's cache."""

_SAMPLE = 1 << 15
_SIGMAS = 6.0


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
        return self.values.numel() if self.alive is None else int(torch.count_nonzero(self.alive))

    def of(self, values: Tensor) -> Tensor:
        """Score some of the values."""
        return values if self.rule is None else self.rule(values)

    def pieces(self, dtype: torch.dtype) -> Iterator[tuple[slice, Tensor]]:
        """Yield the scores of one chunk after another, dead entries included, with where they stand."""
        for start in range(0, self.values.numel(), CHUNK):
            where = slice(start, start + CHUNK)
            yield where, self.of(self.values[where]).to(dtype)


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
    dtype = _common_dtype(sources)
    cut, ties_to_go, ties = _cut(sources, k, alive, dtype)
    masks = []
    for source in sources:
        mask, ties_to_go, ties = _compare(source, dtype, cut, ties_to_go, ties)
        masks.append(mask)
    return masks


def _uniform(source: Scores, keep: bool) -> Tensor:
    if keep and source.alive is not None:
        return source.alive.clone()
    return torch.full(source.values.shape, keep, dtype=torch.bool, device=source.values.device)


def _common_dtype(sources: Sequence[Scores]) -> torch.dtype:
    dtype = sources[0].of(sources[0].values[:1]).dtype
    for source in sources[1:]:
        dtype = torch.promote_types(dtype, source.of(source.values[:1]).dtype)
    return dtype


def _cut(sources: Sequence[Scores], k: int, alive: int, dtype: torch.dtype) -> tuple[float, int, int]:
    """Return the k-th lowest score, how many equal to it must go, and how many equal to it there are."""
    low, high = _bracket(sources, k, alive, dtype)
    while True:
        to_low, inside = _between(sources, low, high, dtype)
        rank = k - to_low
        if 0 < rank <= inside.numel():
            cut = float(inside.kthvalue(rank).values)
            below = to_low + int(torch.count_nonzero(inside < cut))
            return cut, k - below, int(torch.count_nonzero(inside == cut))
        edge = low if rank <= 0 else high
        below, ties = _count(sources, edge, dtype)
        if below < k <= below + ties:
            return edge, k - below, ties
        low, high = (-math.inf, low) if rank <= 0 else (high, math.inf)


def _bracket(sources: Sequence[Scores], k: int, alive: int, dtype: torch.dtype) -> tuple[float, float]:
    """Guess two scores that enclose the k-th lowest, so narrow that little lies between."""
    sample = torch.cat([_sample(source, alive).to(dtype) for source in sources]).sort().values
    drawn = sample.numel()
    if drawn == 0:
        return -math.inf, math.inf
    share = k / alive
    reach = _SIGMAS * math.sqrt(drawn * share * (1 - share)) + _SIGMAS
    first, last = math.floor(share * drawn - reach), math.ceil(share * drawn + reach)
    return (
        float(sample[first]) if first >= 0 else -math.inf,
        float(sample[last]) if last < drawn else math.inf,
    )


def _sample(source: Scores, alive: int) -> Tensor:
    """Draw scores at fixed pseudo-random places: a stride could fall in step with the matrix's rows."""
    size = source.values.numel()
    wanted = math.ceil(min(size, max(_SAMPLE, round(alive ** (2 / 3))) * size / alive))
    generator = torch.Generator().manual_seed(size)
    places = torch.randint(size, (wanted,), generator=generator).to(source.values.device)
    drawn = source.of(source.values[places])
    return drawn if source.alive is None else drawn[source.alive[places]]


def _between(sources: Sequence[Scores], low: float, high: float, dtype: torch.dtype) -> tuple[int, Tensor]:
    """Count the living scores up to `low`, and collect those between `low` and `high`, both ends left out."""
    to_low, inside, largest = 0, [], []
    for source in sources:
        for where, scores in source.pieces(dtype):
            if source.alive is not None:
                scores = scores[source.alive[where]]
            if scores.numel() == 0:
                continue
            over = scores > low
            to_low += scores.numel() - int(torch.count_nonzero(over))
            inside.append(scores[over & (scores < high)])
            largest.append(scores.amax())
        if largest and bool(torch.stack(largest).isnan().any()):
            raise RecipeError(f"{source.name}: a score is NaN, so it cannot be ranked")
        largest.clear()
    return to_low, torch.cat(inside)


def _count(sources: Sequence[Scores], edge: float, dtype: torch.dtype) -> tuple[int, int]:
    """Count the living scores below `edge`, and those equal to it."""
    below = ties = 0
    for source in sources:
        for where, scores in source.pieces(dtype):
            living = scores if source.alive is None else scores[source.alive[where]]
            below += int(torch.count_nonzero(living < edge))
            ties += int(torch.count_nonzero(living == edge))
    return below, ties


def _compare(source: Scores, dtype: torch.dtype, cut: float, to_go: int, ties: int) -> tuple[Tensor, int, int]:
    """Make one source's mask; returns it with the ties that must still go, and that are still to come."""
    mask = torch.empty(source.values.shape, dtype=torch.bool, device=source.values.device)
    for where, scores in source.pieces(dtype):
        if to_go == 0:
            torch.ge(scores, cut, out=mask[where])
            continue
        torch.gt(scores, cut, out=mask[where])
        if to_go < ties:
            equal = scores == cut
            if source.alive is not None:
                equal &= source.alive[where]
            places = equal.nonzero().flatten()
            mask[where][places[to_go:]] = True
            ties -= places.numel()
            to_go -= min(to_go, places.numel())
    if source.alive is not None:
        mask &= source.alive
    return mask, to_go, ties

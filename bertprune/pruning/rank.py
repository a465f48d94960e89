"""Find exactly the k lowest scores among many tensors, without joining or sorting them, unless they are few.

The cut, which is the k-th lowest score, is bracketed by order statistics of a small sample. One pass drops what is
below the bracket and collects what is inside, about one score in a hundred; the exact cut is found among those. Where
many scores equal an end of the bracket, the cut may be that end, and a second pass compares each score with it. The
sample decides how much is collected, never what the cut is.

NumPy compares several times faster than torch, and both let other threads run meanwhile.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import RecipeError, first_names
from ..parallel import Map, choose_map, map_serially

Array = NDArray[Any]

CHUNK = 1 << 19
"""Scores compared at a time: few enough for small temporaries, so many that threads seldom wait for each other."""
SAMPLE = 1 << 17
"""So many scores, or fewer, are ranked without a sample."""
SIGMAS = 4.0
"""How far the bracket reaches: it misses the cut about once in ten thousand times, which costs a second pass."""
_ROUNDS = 4
"""No scores need more brackets than this, if they are the same each time they are computed."""


@dataclass(frozen=True)
class TensorScores:
    """The scores of one tensor, flat; computed from `values` piece by piece where there is a `rule`."""

    name: str
    values: Tensor
    count: int
    """How many of them are alive."""
    alive: Tensor | None = None
    """Which of them are alive: bool, flat; None where all are."""
    rule: Callable[[Array], Array] | None = None
    """Takes and returns float32 or float64, whatever the dtype of the values; each score depends on its value alone."""
    doubted: bool = False
    """Whether the rule may break that promise, so that what is dropped has to be counted."""

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


def drop_lowest(tensors: Sequence[TensorScores], k: int, mapper: Map | None = None) -> list[Tensor]:
    """Return one bool mask a tensor, flat: False for what was masked before and for the k lowest scores of the rest.

    Exactly k are dropped. Of equal scores at the cut the first are, in the order of the tensors and of positions.
    `mapper` is chosen by the sizes unless given. Pure. Raises RecipeError where a score that has to be ranked is NaN,
    or a rule gives other scores when it is called again.
    """
    sizes = [scores.values.numel() for scores in tensors]
    alive = sum(scores.count for scores in tensors)
    if not 0 <= k <= alive:
        raise ValueError(f"cannot drop {k} of {alive}")
    if k in (0, alive):
        return [_all(scores, keep=k == 0) for scores in tensors]
    dtype = exact_dtype(tensors)
    if len(tensors) > 1 and sum(sizes) <= SAMPLE:
        (mask,) = _cut([_merged(tensors, dtype)], k, alive, dtype, map_serially)
        masks = np.split(mask, np.cumsum(sizes)[:-1])
    else:
        masks = _cut(tensors, k, alive, dtype, mapper or choose_map(sizes))
    if any(scores.doubted for scores in tensors) and alive - sum(map(np.count_nonzero, masks)) != k:
        raise _unsteady(tensors)
    return [torch.from_numpy(mask).to(scores.values.device) for scores, mask in zip(tensors, masks, strict=True)]


def drop_lowest_of_each(pairs: Iterable[tuple[TensorScores, int]], mapper: Map) -> list[Tensor]:
    """Return one bool mask a tensor, which loses its own k lowest; see `drop_lowest`. The pairs may be lazy."""
    return mapper(lambda pair: drop_lowest([pair[0]], pair[1], map_serially)[0], pairs)


def count_true(mask: Tensor) -> int:
    """Count what a bool mask keeps; along axes that repeat one value, that value counts for all."""
    repeated = [step == 0 for step in mask.stride()]
    once = mask[tuple(slice(1) if same else slice(None) for same in repeated)]
    times = math.prod(size for size, same in zip(mask.shape, repeated, strict=True) if same)
    return int(np.count_nonzero(once.numpy(force=True))) * times


def _all(tensor: TensorScores, keep: bool) -> Tensor:
    if keep and tensor.alive is not None:
        return tensor.alive.clone()
    return torch.full(tensor.values.shape, keep, dtype=torch.bool, device=tensor.values.device)


def exact_dtype(tensors: Sequence[TensorScores]) -> torch.dtype:
    """Choose a dtype that NumPy compares fast and that holds every score of a floating-point tensor exactly."""
    half_or_single = (torch.float16, torch.bfloat16, torch.float32)
    return torch.float32 if all(tensor.values.dtype in half_or_single for tensor in tensors) else torch.float64


def _merged(tensors: Sequence[TensorScores], dtype: torch.dtype) -> TensorScores:
    """Join tensors that have few scores together, as if they were one."""
    scores, alive = [], []
    for tensor in tensors:
        for _, piece, living in tensor.pieces(dtype):
            refuse_nan(tensor, bool(np.isnan(piece if living is None else piece[living]).any()))
            scores.append(piece)
            alive.append(np.ones(piece.size, bool) if living is None else living)
    count = sum(tensor.count for tensor in tensors)
    return TensorScores("all", torch.from_numpy(np.concatenate(scores)), count, torch.from_numpy(np.concatenate(alive)))


def refuse_nan(tensor: TensorScores, found: bool) -> None:
    """Refuse scores that cannot be ranked. Raises RecipeError."""
    if found:
        raise RecipeError("{tensor}: a score is NaN and cannot be ranked", code="prune.nan_score", tensor=tensor.name)


def _cut(tensors: Sequence[TensorScores], k: int, alive: int, dtype: torch.dtype, mapper: Map) -> list[Array]:
    """Find the k-th lowest score; drop what is below it, and the first of its ties."""
    low, high = _bracket(tensors, k, alive, dtype, mapper)
    for _ in range(_ROUNDS):
        edge = low
        if low < high:
            parts = mapper(partial(_split, dtype=dtype, low=low, high=high), tensors)
            rank = k - sum(part.below for part in parts)
            if 0 < rank <= sum(part.scores.size for part in parts):
                return _cut_inside(parts, rank, mapper)
            edge = low if rank <= 0 else high
        counts = mapper(partial(_count, dtype=dtype, edge=edge), tensors)
        below, ties = sum(below for below, _ in counts), [ties for _, ties in counts]
        if 0 < k - below <= sum(ties):
            jobs = zip(tensors, _shares(k - below, ties), strict=True)
            return mapper(partial(_drop_below, dtype=dtype, cut=edge), jobs)
        low, high = (-math.inf, edge) if k <= below else (edge, math.inf)
    raise _unsteady(tensors)


def _unsteady(tensors: Sequence[TensorScores]) -> RecipeError:
    return RecipeError(
        "{tensors}: the scores differ from call to call; a score must follow from its value alone",
        code="prune.unsteady_scores", tensors=first_names(tensor.name for tensor in tensors),
    )  # fmt: skip


def _bracket(
    tensors: Sequence[TensorScores], k: int, alive: int, dtype: torch.dtype, mapper: Map
) -> tuple[float, float]:
    """Guess two scores that enclose the k-th lowest, with little between them; of few scores, return it twice."""
    if alive <= SAMPLE:
        scores = np.concatenate(mapper(lambda tensor: tensor.living(dtype), tensors))
        scores.partition(k - 1)
        return float(scores[k - 1]), float(scores[k - 1])
    sample = np.concatenate(mapper(lambda tensor: _sample(tensor, alive, dtype), tensors))
    share = k / alive
    reach = SIGMAS * math.sqrt(sample.size * share * (1 - share)) + SIGMAS
    first, last = math.floor(share * sample.size - reach), math.ceil(share * sample.size + reach)
    ends = [index for index in (first, last) if 0 <= index < sample.size]
    if ends:
        sample.partition(ends)
    low = float(sample[first]) if first in ends else -math.inf
    return low, float(sample[last]) if last in ends else math.inf


def _sample(tensor: TensorScores, alive: int, dtype: torch.dtype) -> Array:
    """Draw scores at fixed pseudo-random positions: a stride could fall in step with the matrix's rows."""
    size = tensor.values.numel()
    wanted = math.ceil(alive ** (2 / 3) * size / alive)
    indices = np.random.default_rng(size).integers(0, max(1, size), wanted)
    drawn = torch.from_numpy(indices).to(tensor.values.device)
    scores = tensor.of(tensor.values[drawn], dtype)
    return scores if tensor.alive is None else scores[tensor.alive[drawn].numpy(force=True)]


class _Split(NamedTuple):
    """The scores of a tensor, split by a bracket whose ends are left out."""

    below: int
    """How many that are alive are at or under the low end."""
    indices: Array
    """Where those are that are inside and alive, in order."""
    scores: Array
    """Their scores."""
    mask: Array
    """What is alive and above the low end."""


def _split(tensor: TensorScores, dtype: torch.dtype, low: float, high: float) -> _Split:
    mask = np.empty(tensor.values.numel(), bool)
    below, indices, found = 0, [], []
    index_dtype = np.min_scalar_type(mask.size)  # half the memory of 64 bits
    for where, scores, living in tensor.pieces(dtype):
        over, under, size = np.greater(scores, low, out=mask[where]), scores < high, scores.size
        if living is not None:
            over &= living
            under &= living
            size = int(np.count_nonzero(living))
        inside = np.flatnonzero(over & under)
        above_low = int(np.count_nonzero(over))
        # every number is over the low end, under the high one, or both
        refuse_nan(tensor, above_low + int(np.count_nonzero(under)) - inside.size != size)
        below += size - above_low
        indices.append((inside + where.start).astype(index_dtype))
        found.append(scores[inside])
    return _Split(below, np.concatenate(indices), np.concatenate(found), mask)


def _cut_inside(parts: Sequence[_Split], rank: int, mapper: Map) -> list[Array]:
    """Find the score of a rank among those inside the bracket, and drop up to it."""
    scores = np.concatenate([part.scores for part in parts])
    scores.partition(rank - 1)
    cut = float(scores[rank - 1])
    dropped_ties = rank - int(np.count_nonzero(scores[: rank - 1] < cut))
    ties = mapper(lambda part: int(np.count_nonzero(part.scores == cut)), parts)
    return mapper(partial(_drop_inside, cut=cut), zip(parts, _shares(dropped_ties, ties), strict=True))


def _drop_inside(job: tuple[_Split, int], cut: float) -> Array:
    """Drop what is inside the bracket and below the cut, and the first of the ties."""
    part, ties = job
    part.mask[part.indices[part.scores < cut]] = False
    part.mask[part.indices[part.scores == cut][:ties]] = False
    return part.mask


def _shares(dropped: int, ties: Sequence[int]) -> Iterator[int]:
    """Yield how many of its ties each tensor loses: the first in order."""
    for there in ties:
        yield min(dropped, there)
        dropped -= min(dropped, there)


def _count(tensor: TensorScores, dtype: torch.dtype, edge: float) -> tuple[int, int]:
    """Count the scores below an edge, and those that equal it."""
    below = ties = 0
    for _, scores, living in tensor.pieces(dtype):
        scores = scores if living is None else scores[living]
        under, equal = int(np.count_nonzero(scores < edge)), int(np.count_nonzero(scores == edge))
        unlike = under + equal + int(np.count_nonzero(scores > edge)) != scores.size
        refuse_nan(tensor, unlike and bool(np.isnan(scores).any()))  # the edge may be another tensor's NaN
        below += under
        ties += equal
    return below, ties


def _drop_below(job: tuple[TensorScores, int], dtype: torch.dtype, cut: float) -> Array:
    """Keep what is alive and above the cut, and of those that equal it all but the first so many."""
    tensor, dropped_ties = job
    mask = np.empty(tensor.values.numel(), bool)
    for where, scores, living in tensor.pieces(dtype):
        kept = np.greater_equal(scores, cut, out=mask[where])
        if living is not None:
            kept &= living
        if dropped_ties:
            ties = np.flatnonzero(kept & (scores == cut))[:dropped_ties]
            kept[ties] = False
            dropped_ties -= ties.size
    return mask

"""Find the lowest scores of each row of a matrix by itself."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .rank import Array, TensorScores, exact_dtype, refuse_nan

_ROWS = 1 << 22
"""Scores that are ranked at a time."""


def drop_lowest_of_rows(tensor: TensorScores, counts: NDArray[np.int64]) -> Tensor:
    """Return a bool mask, flat: False for what was masked before and for so many lowest scores of each row.

    Of equal scores the first go. Pure. Raises RecipeError where a score that has to be ranked is NaN.
    """
    values, dtype = tensor.values.view(len(counts), -1), exact_dtype([tensor])
    alive = None if tensor.alive is None else tensor.alive.view(values.shape)
    mask = np.empty(values.shape, bool)
    height = max(1, _ROWS // max(1, values.shape[1]))
    for start in range(0, len(counts), height):
        rows = slice(start, start + height)
        scores = tensor.of(values[rows].reshape(-1), dtype).reshape(-1, values.shape[1])
        living = np.ones(scores.shape, bool) if alive is None else alive[rows].numpy(force=True)
        refuse_nan(tensor, bool(np.isnan(scores[living]).any()))
        mask[rows] = _keep(scores, living, counts[rows])
    return torch.from_numpy(mask.reshape(-1)).to(tensor.values.device)


def _keep(scores: Array, living: Array, counts: NDArray[np.int64]) -> Array:
    ranked = np.where(living, scores, np.inf)
    at = np.maximum(counts - 1, 0)
    if (counts == counts[0]).all():
        cuts = np.partition(ranked, at[0], axis=1)[:, at[:1]]
    else:
        cuts = np.take_along_axis(np.sort(ranked, axis=1), at[:, None], axis=1)
    below = ranked < cuts
    ties = (ranked == cuts) & living
    missing = counts - below.sum(axis=1)
    dropped = below | (ties & (ties.cumsum(axis=1) <= missing[:, None]))
    return living & ~np.where(counts[:, None] > 0, dropped, False)

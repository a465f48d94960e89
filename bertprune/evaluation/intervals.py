"""How sure a figure is: the paired bootstrap over examples, and exact tests on counts.

A resample of n examples with replacement is a vector of how often each was drawn. Statistics therefore take weights,
all resamples at once, and examples that are alike are drawn as one unit with a count (the same distribution, and far
fewer numbers). Before and after are computed from the same weights, which is what makes the differences paired.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Numbers = NDArray[np.float64]
Statistic = Callable[[Numbers], Numbers]
"""Weights `(resamples, units)` to values `(resamples, figures)`."""

CONFIDENCE = 0.95
RESAMPLES = 2000
_CELLS = 200_000
"""Weights held at once: what fits a processor's cache is several times faster than what does not."""


@dataclass(frozen=True)
class Estimate:
    """A figure and the ends of its 95 % interval; NaN where it is not defined."""

    value: float
    low: float
    high: float

    def __float__(self) -> float:
        return self.value


def bootstrap(statistic: Statistic, counts: NDArray[np.int64], seed: int, resamples: int = RESAMPLES) -> Numbers:
    """Compute a statistic on resamples of the units, `(resamples, figures)`; the seed gives the resamples."""
    generator = np.random.default_rng(seed)
    return np.concatenate([statistic(weights) for weights in _weights(generator, counts, resamples)])


def _weights(generator: np.random.Generator, counts: NDArray[np.int64], resamples: int) -> Iterator[Numbers]:
    total, units = int(counts.sum()), len(counts)
    chunk = max(1, _CELLS // units)
    for start in range(0, resamples, chunk):
        rows = min(chunk, resamples - start)
        if total == units:
            drawn = generator.integers(0, units, (rows, units)) + units * np.arange(rows)[:, None]
            yield np.bincount(drawn.ravel(), minlength=rows * units).reshape(rows, units).astype(np.float64)
        else:
            yield generator.multinomial(total, counts / total, rows).astype(np.float64)


def percentiles(value: float, draws: Numbers) -> Estimate:
    """Put the percentile interval of bootstrap draws around a value."""
    draws = draws[np.isfinite(draws)]
    if not len(draws) or not np.isfinite(value):
        return Estimate(value, np.nan, np.nan)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    return Estimate(value, float(low), float(high))


def proportion(count: int, total: int) -> Estimate:
    """Put Wilson's interval around a share; unlike the bootstrap it keeps a width at 0 and 1."""
    ends = stats.binomtest(count, total).proportion_ci(CONFIDENCE, method="wilson")
    return Estimate(count / total, float(ends.low), float(ends.high))


def mcnemar(lost: int, won: int) -> float:
    """Return the exact two-sided p-value of McNemar's test on the examples that only one side got right."""
    return float(stats.binomtest(lost, lost + won).pvalue) if lost + won else 1.0

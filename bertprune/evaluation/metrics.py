"""Metrics by scikit-learn and scipy, with their confidence intervals: the paired bootstrap over examples, exact tests.

A resample of n examples with replacement is a vector of how often each was drawn. A statistic therefore takes weights,
for all resamples at once, and equal examples are drawn as one unit with a count (the same distribution, with far
fewer numbers). Before and after are computed from the same weights, so their differences are paired.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from sklearn.metrics import accuracy_score, f1_score
from sklearn.metrics.pairwise import paired_cosine_distances

Numbers = NDArray[np.float64]
Classes = NDArray[np.int64]
Statistic = Callable[[Numbers], Numbers]
"""Weights `(resamples, units)` to values `(resamples, figures)`."""

CONFIDENCE = 0.95
RESAMPLES = 2000
_CHUNK = 200_000
"""Weights in memory at a time; fitting into the processor's cache makes it several times faster."""
_ROUNDING = 1e-12
"""A variance below this share of the whole sample's is rounding error."""


@dataclass(frozen=True)
class Estimate:
    """A figure and the ends of its 95 % interval; NaN if undefined."""

    value: float
    low: float
    high: float

    def __float__(self) -> float:
        return self.value


# scipy.stats.bootstrap is 1.5 to 40 times slower: it copies the examples of every resample.
def bootstrap(statistic: Statistic, counts: NDArray[np.int64], seed: int, resamples: int = RESAMPLES) -> Numbers:
    """Compute a statistic on resamples of the units, `(resamples, figures)`; the seed decides the resamples."""
    generator = np.random.default_rng(seed)
    return np.concatenate([statistic(weights) for weights in _weights(generator, counts, resamples)])


def _weights(generator: np.random.Generator, counts: NDArray[np.int64], resamples: int) -> Iterator[Numbers]:
    total, units = int(counts.sum()), len(counts)
    chunk = max(1, _CHUNK // units)
    for start in range(0, resamples, chunk):
        rows = min(chunk, resamples - start)
        if total == units:
            drawn = generator.integers(0, units, (rows, units)) + units * np.arange(rows)[:, None]
            yield np.bincount(drawn.ravel(), minlength=rows * units).reshape(rows, units).astype(np.float64)
        else:
            yield generator.multinomial(total, counts / total, rows).astype(np.float64)


def percentiles(value: float, draws: Numbers) -> Estimate:
    """Return a value with the percentile interval of its bootstrap draws."""
    draws = draws[np.isfinite(draws)]
    if not len(draws) or not np.isfinite(value):
        return Estimate(value, np.nan, np.nan)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    return Estimate(value, float(low), float(high))


def proportion(count: int, total: int) -> Estimate:
    """Return a share with Wilson's interval, whose width unlike the bootstrap's is not 0 at 0 and 1."""
    ends = stats.binomtest(count, total).proportion_ci(CONFIDENCE, method="wilson")
    return Estimate(count / total, float(ends.low), float(ends.high))


def mcnemar(lost: int, won: int) -> float:
    """Return the exact two-sided p-value of McNemar's test on the examples that only one side got right."""
    return float(stats.binomtest(lost, lost + won).pvalue) if lost + won else 1.0


def accuracy(labels: Classes, predicted: Classes) -> float:
    """Return the share of predictions that equal the label."""
    return float(accuracy_score(labels, predicted))


def macro_f1(labels: Classes, predicted: Classes) -> float:
    """Return the mean F1 of the classes that occur among the labels."""
    return float(f1_score(labels, predicted, labels=np.unique(labels), average="macro", zero_division=0.0))


def pearson(scores: Numbers, similarities: Numbers) -> float:
    """Return Pearson's correlation; NaN if one side is constant."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.ConstantInputWarning)
        return float(stats.pearsonr(scores, similarities).statistic)


def spearman(scores: Numbers, similarities: Numbers) -> float:
    """Return Spearman's rank correlation; NaN if one side is constant."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.ConstantInputWarning)
        return float(stats.spearmanr(scores, similarities).statistic)


def cosines(one: Numbers, other: Numbers) -> Numbers:
    """Return the cosine of each row of one with the same row of the other."""
    return np.asarray(1.0 - paired_cosine_distances(one, other))


def weighted_mean(*columns: Numbers) -> Statistic:
    """Return the statistic that computes each column's mean."""
    stacked = np.stack(columns, axis=1)
    return lambda weights: weights @ stacked / weights.sum(axis=1, keepdims=True)


def weighted_ratio(totals: Sequence[Numbers], counts: Sequence[Numbers]) -> Statistic:
    """Return the statistic that computes each column's sum over the sum of its counts."""
    above, below = np.stack(totals, axis=1), np.stack(counts, axis=1)
    return lambda weights: weights @ above / (weights @ below)


def weighted_f1(labels: Classes, *predictions: Classes) -> Statistic:
    """Return the statistic that computes the macro-F1 of each row of predictions."""
    present = np.unique(labels)

    def one(weights: Numbers, predicted: Classes) -> Numbers:
        is_label = (labels[:, None] == present).astype(np.float64)
        is_predicted = (predicted[:, None] == present).astype(np.float64)
        both, either = weights @ (is_label * is_predicted), weights @ (is_label + is_predicted)
        # A class that does not occur in a resample is left out of its mean.
        scores = np.divide(2 * both, either, out=np.full_like(both, np.nan), where=either > 0)
        return np.asarray(np.nanmean(scores, axis=1))

    return lambda weights: np.stack([one(weights, predicted) for predicted in predictions], axis=1)


def weighted_correlations(scores: Numbers, *similarities: Numbers) -> Statistic:
    """Return the statistic that computes Spearman's and then Pearson's correlation for each row of similarities."""
    rank_scores, *rank_rows = [_ranker(values) for values in (scores, *similarities)]
    plain = [_pearson(scores, row) for row in similarities]

    def both(weights: Numbers) -> Numbers:
        known = rank_scores(weights)
        ranked = [_rank_correlation(weights, known, rank(weights)) for rank in rank_rows]
        return np.stack([*ranked, *(correlate(weights) for correlate in plain)], axis=1)

    return both


def _ranker(values: Numbers) -> Statistic:
    """Return a function that ranks values, each repeated as often as its weight; equal values share their mean rank."""
    distinct, group = np.unique(values, return_inverse=True)
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(len(distinct)))
    tied = len(distinct) < len(values)

    def rank(weights: Numbers) -> Numbers:
        sizes = np.add.reduceat(weights[:, order], starts, axis=1) if tied else weights[:, order]
        ranks = np.cumsum(sizes, axis=1)
        ranks -= (sizes - 1) / 2
        return np.take(ranks, group, axis=1)

    return rank


def _rank_correlation(weights: Numbers, x: Numbers, y: Numbers) -> Numbers:
    total = weights.sum(axis=1)
    mean_alone = total * ((total + 1) / 2) ** 2
    sums = [np.einsum("bi,bi,bi->b", weights, *pair) for pair in ((x, y), (x, x), (y, y))]
    product, first, second = (value / mean_alone - 1.0 for value in sums)
    return _ratio(product, first, second)


def _pearson(x: Numbers, y: Numbers) -> Statistic:
    # Centred and scaled, so that the differences of sums below keep their digits.
    x, y = ((row - row.mean()) / (row.std() or 1.0) for row in (x, y))
    columns = np.stack([x, y, x * y, x * x, y * y], axis=1)

    def correlate(weights: Numbers) -> Numbers:
        sum_x, sum_y, product, first, second = (weights @ columns / weights.sum(axis=1, keepdims=True)).T
        return _ratio(product - sum_x * sum_y, first - sum_x**2, second - sum_y**2)

    return correlate


def _ratio(covariance: Numbers, first: Numbers, second: Numbers) -> Numbers:
    """Divide by the spread; NaN if a side is constant up to rounding."""
    varies = (first > _ROUNDING) & (second > _ROUNDING)
    spread = np.sqrt(np.where(varies, first * second, 1.0))
    return np.where(varies, covariance / spread, np.nan)

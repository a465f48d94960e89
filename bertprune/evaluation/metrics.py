"""The figures: values by scikit-learn and scipy, and the same figures as functions of weights for the bootstrap."""

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from sklearn.metrics import accuracy_score, f1_score

from .intervals import Numbers, Statistic

Classes = NDArray[np.int64]

_ROUNDING = 1e-12
"""A variance below this share of the whole sample's is what rounding leaves of none."""


def accuracy(labels: Classes, predicted: Classes) -> float:
    """Return the share of predictions that equal the label."""
    return float(accuracy_score(labels, predicted))


def macro_f1(labels: Classes, predicted: Classes) -> float:
    """Return the mean F1 of the classes that occur among the labels."""
    return float(f1_score(labels, predicted, labels=np.unique(labels), average="macro", zero_division=0.0))


def pearson(scores: Numbers, similarities: Numbers) -> float:
    """Return Pearson's correlation; NaN where one side is constant."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.ConstantInputWarning)
        return float(stats.pearsonr(scores, similarities).statistic)


def spearman(scores: Numbers, similarities: Numbers) -> float:
    """Return Spearman's rank correlation; NaN where one side is constant."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.ConstantInputWarning)
        return float(stats.spearmanr(scores, similarities).statistic)


def weighted_mean(*columns: Numbers) -> Statistic:
    """Make the statistic that gives each column's mean."""
    stacked = np.stack(columns, axis=1)
    return lambda weights: weights @ stacked / weights.sum(axis=1, keepdims=True)


def weighted_ratio(totals: Sequence[Numbers], count: Numbers) -> Statistic:
    """Make the statistic that gives each column's sum over the sum of counts."""
    stacked = np.stack(totals, axis=1)
    return lambda weights: weights @ stacked / (weights @ count)[:, None]


def weighted_f1(labels: Classes, *predictions: Classes) -> Statistic:
    """Make the statistic that gives the macro-F1 of each row of predictions."""
    present = np.unique(labels)

    def one(weights: Numbers, predicted: Classes) -> Numbers:
        is_label = (labels[:, None] == present).astype(np.float64)
        is_predicted = (predicted[:, None] == present).astype(np.float64)
        both, either = weights @ (is_label * is_predicted), weights @ (is_label + is_predicted)
        # A class that a resample leaves out altogether says nothing about it.
        scores = np.divide(2 * both, either, out=np.full_like(both, np.nan), where=either > 0)
        return np.asarray(np.nanmean(scores, axis=1))

    return lambda weights: np.stack([one(weights, predicted) for predicted in predictions], axis=1)


def weighted_correlations(scores: Numbers, *similarities: Numbers) -> Statistic:
    """Make the statistic that gives Spearman's and then Pearson's correlation for each row of similarities."""
    rank_scores, *rank_rows = [_ranker(values) for values in (scores, *similarities)]
    plain = [_pearson(scores, row) for row in similarities]

    def both(weights: Numbers) -> Numbers:
        known = rank_scores(weights)
        ranked = [_rank_correlation(weights, known, rank(weights)) for rank in rank_rows]
        return np.stack([*ranked, *(correlate(weights) for correlate in plain)], axis=1)

    return both


def _ranker(values: Numbers) -> Statistic:
    """Make the ranking of values, each there as often as its weight says; equal ones share their mean rank."""
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
    """Divide by the spread; where a side does not vary, to rounding, there is no correlation."""
    varies = (first > _ROUNDING) & (second > _ROUNDING)
    spread = np.sqrt(np.where(varies, first * second, 1.0))
    return np.where(varies, covariance / spread, np.nan)

"""The figures: values by scikit-learn and scipy, and the same figures as functions of weights for the bootstrap."""

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from sklearn.metrics import accuracy_score, f1_score

from .intervals import Numbers, Statistic

Classes = NDArray[np.int64]


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

    def both(weights: Numbers) -> Numbers:
        ranks = _weighted_ranks(weights, scores)
        rows = [_correlation(weights, ranks, _weighted_ranks(weights, row)) for row in similarities]
        plain = np.broadcast_to(scores, weights.shape)
        rows += [_correlation(weights, plain, np.broadcast_to(row, weights.shape)) for row in similarities]
        return np.stack(rows, axis=1)

    return both


def _weighted_ranks(weights: Numbers, values: Numbers) -> Numbers:
    """Rank as if each value stood there as often as its weight says; equal values share their mean rank."""
    distinct, group = np.unique(values, return_inverse=True)
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(len(distinct)))
    sizes = np.add.reduceat(weights[:, order], starts, axis=1)
    ranks = np.cumsum(sizes, axis=1) - (sizes - 1) / 2
    return np.asarray(ranks[:, group])


def _correlation(weights: Numbers, x: Numbers, y: Numbers) -> Numbers:
    total = weights.sum(axis=1)
    x = x - ((weights * x).sum(axis=1) / total)[:, None]
    y = y - ((weights * y).sum(axis=1) / total)[:, None]
    spread = np.sqrt((weights * x * x).sum(axis=1) * (weights * y * y).sum(axis=1))
    product = (weights * x * y).sum(axis=1)
    return np.divide(product, spread, out=np.full_like(product, np.nan), where=spread > 0)

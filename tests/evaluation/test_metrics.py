"""Statistics on weights give what scikit-learn and scipy give on the resample written out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import accuracy_score, f1_score

from bertprune.evaluation import metrics
from bertprune.evaluation.metrics import bootstrap, mcnemar, percentiles, proportion

counts = st.integers(2, 4).flatmap(
    lambda classes: st.lists(
        st.tuples(*[st.integers(0, classes - 1)] * 3, st.integers(0, 4)), min_size=4, max_size=30
    ).filter(lambda rows: sum(row[3] for row in rows) > 0)
)


def repeated(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return np.repeat(values, weights.astype(int))


@settings(max_examples=30)
@given(counts)
def test_weighted_classification_figures_equal_those_of_scikit_learn(rows: list[tuple[int, int, int, int]]) -> None:
    labels, before, after, weights = np.array(rows).T
    drawn = [repeated(row, weights) for row in (labels, before, after)]
    hits = metrics.weighted_mean((labels == before) * 1.0, (labels == after) * 1.0)
    assert hits(weights[None] * 1.0)[0] == pytest.approx([accuracy_score(drawn[0], row) for row in drawn[1:]])
    for figure, row in zip(metrics.weighted_f1(labels, before, after)(weights[None] * 1.0)[0], drawn[1:], strict=True):
        seen = [c for c in np.unique(labels) if c in drawn[0] or c in row]
        expected = f1_score(drawn[0], row, labels=seen, average="macro", zero_division=0) if seen else np.nan
        assert figure == pytest.approx(expected, nan_ok=True)


@given(st.lists(st.tuples(st.integers(-9, 9), st.integers(-3, 3), st.integers(0, 3)), min_size=3, max_size=40))
def test_weighted_correlations_equal_those_of_scipy(rows: list[tuple[int, int, int]]) -> None:
    x, y, weights = np.array(rows).T
    drawn_x, drawn_y = repeated(x, weights), repeated(y, weights)
    if len(drawn_x) < 3:
        return
    ranked, plain = metrics.weighted_correlations(x * 1.0, y * 1.0)(weights[None] * 1.0)[0]
    if np.ptp(drawn_x) == 0 or np.ptp(drawn_y) == 0:
        assert np.isnan([ranked, plain]).all()
    else:
        assert ranked == pytest.approx(stats.spearmanr(drawn_x, drawn_y).statistic, abs=1e-9)
        assert plain == pytest.approx(stats.pearsonr(drawn_x, drawn_y).statistic, abs=1e-9)


def test_correlations_keep_their_digits_at_any_scale(subtests: pytest.Subtests) -> None:
    for scale, offset in [(1e-6, 0.0), (1.0, 1e3), (1e6, 1e3)]:
        with subtests.test(f"{scale}, {offset}"):
            generator = np.random.default_rng(0)
            x, y = generator.normal(size=(2, 500))
            x = (x + offset) * scale
            figures = metrics.weighted_correlations(x, y)(np.ones((1, 500)))[0]
            assert figures == pytest.approx([stats.spearmanr(x, y).statistic, stats.pearsonr(x, y).statistic], abs=1e-9)


def test_the_bootstrap_agrees_with_that_of_scipy() -> None:
    generator = np.random.default_rng(1)
    before = generator.normal(size=200)
    after = before + 0.3 * generator.normal(size=200) + 0.05
    draws = bootstrap(metrics.weighted_mean(before, after), np.ones(200, dtype=np.int64), seed=0)
    ours = percentiles(float((after - before).mean()), draws[:, 1] - draws[:, 0])
    theirs = stats.bootstrap(
        (before, after),
        lambda b, a, axis: (a - b).mean(axis=axis),
        paired=True,
        vectorized=True,
        method="percentile",
        n_resamples=5000,
        rng=generator,
    ).confidence_interval
    assert (ours.low, ours.high) == pytest.approx(tuple(theirs), abs=0.006)


def test_equal_examples_can_be_drawn_as_one_unit() -> None:
    hit = np.array([1.0] * 30 + [0.0] * 70)
    one_by_one = bootstrap(metrics.weighted_mean(hit), np.ones(100, dtype=np.int64), 0, resamples=20_000)[:, 0]
    by_counts = bootstrap(metrics.weighted_mean(np.array([1.0, 0.0])), np.array([30, 70]), 0, resamples=20_000)[:, 0]
    for draws in (one_by_one, by_counts):
        assert draws.mean() == pytest.approx(0.3, abs=0.002)
        assert draws.std() == pytest.approx(np.sqrt(0.3 * 0.7 / 100), rel=0.03)


def test_the_interval_covers_the_truth_nineteen_times_in_twenty() -> None:
    generator = np.random.default_rng(2)
    covered = 0
    for seed in range(300):
        sample = generator.normal(size=60)
        draws = bootstrap(metrics.weighted_mean(sample), np.ones(60, dtype=np.int64), seed, resamples=400)
        interval = percentiles(float(sample.mean()), draws[:, 0])
        covered += interval.low <= 0.0 <= interval.high
    assert 0.90 <= covered / 300 <= 0.98


def test_the_seed_alone_decides_the_resamples() -> None:
    statistic, ones = metrics.weighted_mean(np.arange(50.0)), np.ones(50, dtype=np.int64)
    state = np.random.get_state()[1].copy()
    first = bootstrap(statistic, ones, 3)
    assert np.array_equal(first, bootstrap(statistic, ones, 3))
    assert not np.array_equal(first, bootstrap(statistic, ones, 4))
    assert np.array_equal(state, np.random.get_state()[1])


def test_intervals_of_proportions_keep_a_width_at_zero_and_one() -> None:
    assert proportion(100, 100).high == 1.0
    assert 0.95 < proportion(100, 100).low < 0.97
    assert proportion(0, 10).low == pytest.approx(0.0, abs=1e-12)


def test_mcnemar_is_exact(subtests: pytest.Subtests) -> None:
    for lost, won, p_value in [(0, 0, 1.0), (0, 6, 2 / 64), (10, 2, 0.03857421875)]:
        with subtests.test(f"{lost}, {won}"):
            assert mcnemar(lost, won) == pytest.approx(p_value)


def test_an_undefined_figure_has_an_undefined_interval() -> None:
    figure = percentiles(float("nan"), np.full(10, np.nan))
    assert np.isnan([figure.value, figure.low, figure.high]).all()

"""The ranking against a stable sort of the same scores."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bertprune.errors import RecipeError
from bertprune.pruning import rank
from bertprune.pruning.rank import TensorScores, drop_lowest

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
VALUES = {
    "normal": lambda n, g: torch.randn(n, generator=g),
    "few": lambda n, g: torch.randint(-3, 3, (n,), generator=g).float(),
    "equal": lambda n, g: torch.full((n,), 0.5),
    "minus zero": lambda n, g: torch.full((n,), -0.0),
    "denormal": lambda n, g: torch.randn(n, generator=g) * 1e-40,
    "wide": lambda n, g: torch.randn(n, generator=g).exp().pow(4),
}


def scores(name, values, alive=None, rule=None):
    """Make scores of which those in `alive`, or all, are alive."""
    return TensorScores(name, values, values.numel() if alive is None else int(alive.sum()), alive, rule)


def expected(sources, k):
    """Drop the k lowest by a stable sort in float64: ties go by source and position."""
    entries = [
        (float(score), number, place)
        for number, source in enumerate(sources)
        for place, score in enumerate(source.of(source.values, torch.float64))
        if source.alive is None or source.alive[place]
    ]
    gone = {entry[1:] for entry in sorted(entries, key=lambda entry: entry[0])[:k]}
    return [
        torch.tensor(
            [
                (source.alive is None or bool(source.alive[place])) and (number, place) not in gone
                for place in range(source.values.numel())
            ]
        )
        for number, source in enumerate(sources)
    ]


@st.composite
def problems(draw):
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    sources = []
    for number in range(draw(st.integers(1, 4))):
        size = draw(st.integers(0, 120))
        values = VALUES[draw(st.sampled_from(sorted(VALUES)))](size, generator).to(draw(st.sampled_from(DTYPES)))
        alive = torch.rand(size, generator=generator) > 0.4 if draw(st.booleans()) else None
        sources.append(scores(str(number), values, alive, np.abs if draw(st.booleans()) else None))
    total = sum(source.count for source in sources)
    return sources, draw(st.sampled_from([0, total, min(1, total), draw(st.integers(0, total))]))


@given(problems(), st.sampled_from([3, 64, 1 << 18]), st.sampled_from([1, 40, 1 << 15]))
def test_exactly_the_k_lowest_are_dropped_and_ties_by_position(problem, chunk, sample):
    sources, k = problem
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rank, "CHUNK", chunk)
        patch.setattr(rank, "SAMPLE", sample)
        masks = drop_lowest(sources, k)
    for mask, wanted in zip(masks, expected(sources, k), strict=True):
        assert torch.equal(mask, wanted)


@given(problems())
def test_masks_are_nested(problem):
    sources, k = problem
    fewer, more = drop_lowest(sources, k // 2), drop_lowest(sources, k)
    assert all(bool((small | ~large).all()) for small, large in zip(fewer, more, strict=True))


def test_a_small_sample_leads_to_the_exact_cut_among_many(subtests):
    for share in [1e-5, 0.001, 0.3, 0.5, 0.999]:
        with subtests.test(str(share)):
            generator = torch.Generator().manual_seed(1)
            sources = [scores(str(n), torch.randn(200_003, generator=generator), None, np.abs) for n in range(3)]
            k = round(share * 600_009)
            masks = drop_lowest(sources, k)
            magnitudes = torch.cat([source.values.abs() for source in sources])
            kept = torch.cat(masks)
            assert int((~kept).sum()) == k
            assert magnitudes[~kept].max() <= magnitudes[kept].min()


def test_many_ties_leave_the_sample_nothing_to_bracket(subtests):
    """The bracket's ends are one score, so that nothing can lie between them."""
    for name in ["few", "equal", "minus zero", "half zero", "outlier"]:
        with subtests.test(name):
            generator = torch.Generator().manual_seed(1)
            values = {
                **VALUES,
                "half zero": lambda n, g: torch.randn(n, generator=g) * (torch.rand(n, generator=g) > 0.5),
                "outlier": lambda n, g: torch.full((n,), 1e-3).index_fill_(0, torch.tensor([n // 2]), 3e38),
            }[name](150_001, generator)
            empty = scores("empty", torch.empty(0))  # all of its slices are pruned already
            sources = [scores("a", values, None, np.abs), empty, scores("b", values, values < 0.7, np.abs)]
            everything = torch.cat([values, torch.where(values < 0.7, values.abs(), torch.inf)]).abs()
            order = everything.argsort(stable=True)
            for share in (1e-5, 0.2, 0.5, 0.999):
                k = round(share * sum(source.count for source in sources))
                kept = (everything < torch.inf).index_fill(0, order[:k], False)
                assert torch.equal(torch.cat(drop_lowest(sources, k)), kept), share


def test_a_bracket_that_misses_the_cut_is_slower_but_exact(monkeypatch, subtests):
    for sigmas in [0.0, -3.0, -100.0]:
        with subtests.test(str(sigmas)):
            monkeypatch.setattr(rank, "SAMPLE", 10)
            monkeypatch.setattr(rank, "SIGMAS", sigmas)
            values = torch.randperm(1000, generator=torch.Generator().manual_seed(0)).float()
            for k in (1, 499, 500, 999):
                assert torch.equal(drop_lowest([scores("x", values)], k)[0], values >= k)


def test_infinite_scores_are_ranked_and_nan_is_refused_by_name():
    values = torch.tensor([math.inf, -math.inf, 0.0, math.inf])
    assert drop_lowest([scores("x", values)], 1)[0].tolist() == [True, False, True, True]
    assert drop_lowest([scores("x", values)], 3)[0].tolist() == [False, False, False, True]
    with pytest.raises(RecipeError, match=r"^b: a score is NaN"):
        drop_lowest([scores("a", values), scores("b", torch.tensor([1.0, math.nan]))], 2)
    dead = scores("b", torch.tensor([math.nan, 1.0]), torch.tensor([False, True]))
    assert [mask.tolist() for mask in drop_lowest([dead, scores("a", torch.zeros(1))], 1)] == [[False, True], [False]]
    half = torch.arange(100_000) < 60_000
    for size, alive, k in ((100_000, half, 100_000), (200_000, None, 300_000)):
        spoiled = scores("spoiled", torch.full((size,), math.nan), alive)
        with pytest.raises(RecipeError, match=r"^spoiled: a score is NaN"):
            drop_lowest([scores("sound", torch.randn(size), alive), spoiled], k)
    ties = torch.ones(100_000).index_fill_(0, torch.tensor([70_000]), math.nan)
    with pytest.raises(RecipeError, match=r"^c: a score is NaN"):
        drop_lowest([scores("c", ties)], 20_000)


def test_asking_for_more_than_there_is_is_a_mistake():
    with pytest.raises(ValueError, match="cannot drop 3 of 2"):
        drop_lowest([scores("x", torch.ones(2))], 3)

"""Spreading a budget: exact on small tables, against all allocations, and never above the budget."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertprune.plans.allocation import Space, choose

DRIFTS = st.floats(0, 1, allow_nan=False, width=32)
OPTIONS = st.lists(st.lists(st.tuples(st.integers(0, 6), DRIFTS), min_size=1, max_size=4), min_size=1, max_size=4)


@given(OPTIONS, st.integers(0, 14))
def test_the_least_sum_of_drifts_that_saves_enough_is_found(options, need):
    sums = [
        sum(drift for _, drift in chosen) for chosen in product(*options) if sum(saving for saving, _ in chosen) >= need
    ]
    found = choose(options, need)
    assert (found is None) == (not sums)
    if found is not None:
        chosen = [each[at] for each, at in zip(options, found, strict=True)]
        assert sum(saving for saving, _ in chosen) >= need
        assert sum(drift for _, drift in chosen) == pytest.approx(min(sums))


@st.composite
def spaces(draw):
    """Neurons and heads of some layers; a head costs as much as many neurons."""
    layers = draw(st.integers(1, 4))
    neurons, heads = draw(st.integers(2, 200)), draw(st.integers(2, 12))
    cost, dear = draw(st.floats(0.5, 3)), draw(st.floats(5, 60))
    numbers = (neurons,) * layers + (heads,) * layers
    space = Space(numbers, (cost,) * layers + (dear,) * layers, (True,) * layers + (False,) * layers, 0.0)
    return space.of(draw(st.floats(0.01, 1)) * space.saved(space.most))


@given(spaces(), st.sampled_from([0.0, 0.25, 0.5, 1.0]))
def test_uniform_allocations_keep_to_the_budget_and_waste_less_than_a_neuron(space, share):
    counts = space.uniform(share)
    if counts is None:
        return
    layers = len(counts) // 2
    assert space.enough(counts)
    assert all(0 <= count <= most for count, most in zip(counts, space.most, strict=True))
    assert len(set(counts[layers:])) == 1 and max(counts[:layers]) - min(counts[:layers]) <= 1
    if any(counts[:layers]):
        assert space.saved(counts) - space.need <= space.costs[0] * (1 + 1e-6)


@given(spaces(), st.integers(0, 2**32 - 1))
def test_ranked_allocations_take_what_scores_least_for_its_cost(space, seed):
    drawn = np.random.default_rng(seed)
    scores = [np.sort(drawn.random(number)) for number in space.numbers]
    counts = space.ranked(scores)
    assert counts is not None and space.enough(counts)
    gone = [one[count - 1] / cost for one, count, cost in zip(scores, counts, space.costs, strict=True) if count]
    stays = [
        one[count] / cost
        for one, count, cost, most in zip(scores, counts, space.costs, space.most, strict=True)
        if count < most
    ]
    # at the cut itself one head may take the place of several neurons
    assert sum(one > min(stays, default=np.inf) for one in gone) <= len(space.numbers)


@given(spaces(), st.data())
def test_what_is_left_is_filled_up_from_anywhere(space, data):
    counts = tuple(data.draw(st.integers(0, most)) for most in space.most)
    filled = space.filled(counts)
    layers = len(counts) // 2
    if filled is None:
        full = (*space.most[:layers], *counts[layers:])
        assert not space.enough(full)
        return
    assert space.enough(filled) and filled[layers:] == counts[layers:]
    if any(filled[:layers]):
        assert space.saved(filled) - space.need <= space.costs[0] * (1 + 1e-6)


def test_the_cheapest_options_are_filled_up_to_the_budget():
    space = Space((100, 100, 4, 4), (1.0, 1.0, 20.0, 20.0), (True, True, False, False), 101.5)
    neurons = [(count, count / 1000) for count in range(0, 100, 10)]
    cheap, dear = [(count, 0.001 * count) for count in range(4)], [(count, float(count)) for count in range(4)]
    counts = space.cheapest([neurons, neurons, cheap, dear])
    assert counts is not None and counts[2:] == (3, 0)
    assert sum(counts[:2]) == 42

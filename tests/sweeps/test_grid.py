"""Grids of steps, and the names of recipes."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

import bertprune as bp

METHODS = st.lists(st.sampled_from(["magnitude", "wanda", "obs", "fisher", "random"]), min_size=1, unique=True)
AMOUNTS = st.lists(st.sampled_from([0.1, 0.25, 0.5, 0.9]), min_size=1, unique=True)
KINDS = st.lists(st.sampled_from(["neuron", "head", "row"]), min_size=1, unique=True)


@given(METHODS, AMOUNTS, KINDS)
def test_every_combination_is_there_once_and_in_order(methods, amounts, kinds):
    made = bp.grid(method=methods, fraction=amounts, granularity=kinds)
    steps = [bp.Step(method=m, fraction=f, granularity=g) for m, f, g in product(methods, amounts, kinds)]
    assert list(made.values()) == steps and list(made) == list(map(str, steps))


def test_one_value_is_one_step_and_globs_are_one_value():
    both = bp.Selection(include=["*.query", "*.key"])
    (step,) = bp.grid(method="magnitude", count=3, select=both, options={"n": 1}).values()
    assert step == bp.Step(method="magnitude", count=3, select=both, options={"n": 1})
    each = bp.grid(method="magnitude", count=3, select=["*.query", "*.key"])
    assert [step.select.include for step in each.values()] == [("*.query",), ("*.key",)]


def test_a_combination_that_no_step_can_have_is_plain_data():
    made = bp.grid(method="magnitude", fraction=[0.5], granularity=["neuron", "2:4"])
    assert list(made)[1] == "method=magnitude, fraction=0.5, granularity=2:4"
    with pytest.raises(bp.BertpruneError, match="neither fraction nor count"):
        bp.Recipe.of(list(made.values())[1])

"""A step's amount is what torch would prune, and a step says in one line what it does."""

import copy
import math
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.utils import prune

from bertprune.selection import Selection, describe
from bertprune.step import Step


def test_infinity_may_be_spelled_out(subtests: pytest.Subtests) -> None:
    for word in ["inf", "INF", "Infinity"]:
        with subtests.test(word):
            assert Step(method="x", count=1, options={"n": word}).options == {"n": math.inf}


@given(st.floats(0, 1, exclude_min=True), st.integers(0, 10**7))
def test_amounts_round_as_torch_does(fraction: float, alive: int) -> None:
    assert Step(method="x", fraction=fraction).amount_of(alive) == prune._compute_nparams_toprune(fraction, alive)


HALVES = [(0.5, 5, 2), (0.5, 7, 4), (0.3, 589_824, 176_947), (1.0, 9, 9)]


def test_halves_are_rounded_to_even(subtests: pytest.Subtests) -> None:
    for fraction, alive, amount in HALVES:
        with subtests.test(str(fraction)):
            assert Step(method="x", fraction=fraction).amount_of(alive) == amount


def test_1_and_1_0_differ() -> None:
    assert Step(method="x", count=1).amount_of(10) == 1
    assert Step(method="x", fraction=1.0).amount_of(10) == 10


def test_a_step_says_what_it_does() -> None:
    step = Step(
        method="ln_structured", count=8, options={"n": 2, "dim": 1}, select=Selection(layers=[0], tensor="bias")
    )
    assert str(step) == "ln_structured 8 local, dim=1, n=2 on layers 0; tensor bias"
    assert (
        str(Step(method="l1_unstructured", fraction=0.2, scope="global")) == "l1_unstructured 0.2 global on everything"
    )


def test_a_selection_without_conditions_is_every_tensor_of_a_name() -> None:
    assert str(describe(Selection(tensor="bias"))) == "every bias"
    assert str(describe(Selection(layers=[0]))) == "layers 0"


def test_the_options_of_a_step_cannot_be_changed(subtests: pytest.Subtests) -> None:
    for options in [{}, {"dim": 1}]:
        with subtests.test(str(options)):
            one = Step(method="ln_structured", count=1, options=options)
            changes: dict[str, tuple[Any, ...]] = {
                "__setitem__": ("n", 1),
                "setdefault": ("n", 1),
                "clear": (),
                "pop": ("n",),
            }
            for name, arguments in changes.items():
                with pytest.raises(TypeError, match="cannot be changed"):
                    getattr(one.options, name)(*arguments)
            for copied in (copy.deepcopy(one), pickle.loads(pickle.dumps(one))):
                assert copied == one and hash(copied) == hash(one)


def test_a_share_of_one_does_not_read_as_a_count() -> None:
    texts = [str(Step(method="l1_unstructured", **amount)) for amount in ({"fraction": 1.0}, {"count": 1})]
    assert texts == ["l1_unstructured 1.0 local on everything", "l1_unstructured 1 local on everything"]

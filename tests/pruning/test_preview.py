"""A preview is exact where counts decide, and right within its range everywhere."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import bertprune as bp
from bertprune.errors import RecipeError
from bertprune.pruning.preview import preview_recipe

SELECTIONS = ["*", "0", "{0,1}", "2"]


def model(device="cpu"):
    with torch.device(device):
        return nn.Sequential(nn.Linear(6, 4), nn.Linear(4, 5), nn.Linear(5, 7))


@st.composite
def steps(draw):
    method = draw(st.sampled_from(["l1_unstructured", "random_unstructured", "ln_structured", "random_structured"]))
    options = {"dim": draw(st.integers(0, 1))} if method.endswith("_structured") else {}
    scopes = ["local"] if method.startswith("random") else ["local", "global"]
    amount = draw(
        st.one_of(
            st.builds(lambda c: {"count": c}, st.integers(1, 3)),
            st.builds(lambda f: {"fraction": f}, st.floats(0.01, 0.9)),
        )
    )
    return bp.Step(
        method=method,
        scope=draw(st.sampled_from(scopes)),
        options=options,
        select=draw(st.sampled_from(SELECTIONS)),
        **amount,
    )


@pytest.mark.filterwarnings("ignore::bertprune.errors.NoEffectWarning")
@given(st.lists(steps(), min_size=1, max_size=4), st.integers(0, 99))
def test_what_is_pruned_lies_within_the_preview(steps, seed):
    recipe = bp.Recipe(steps=steps)
    try:
        seen = preview_recipe(model("meta"), recipe)
    except RecipeError:
        with pytest.raises(RecipeError):
            bp.apply(model(), recipe, seed)
        return
    try:
        outcomes = bp.apply(model(), recipe, seed)
    except RecipeError as error:
        assert "are alive" in str(error)  # what only the weights could tell
        return
    for step, outcome in zip(seen.steps, outcomes, strict=True):
        assert step.targets == tuple(tensor.name for tensor in outcome.tensors)
        assert step.removed[0] <= outcome.removed <= step.removed[1]
    assert seen.steps[0].removed[0] == seen.steps[0].removed[1] or steps[0].scope == "global"


CERTAIN = [
    ([("l1_unstructured", 0.3, "global", {}, "*")], [(24, 24)]),
    ([("l1_unstructured", 0.3, "global", {}, "*")] * 2, [(24, 24), (16, 16)]),
    ([("ln_structured", 0.5, "local", {"dim": 1}, "0")] * 2, [(12, 12), (8, 8)]),
    (
        [("ln_structured", 0.5, "local", {"dim": 0}, "0"), ("ln_structured", 0.5, "local", {"dim": 1}, "0")],
        [(12, 12), (6, 6)],
    ),
    (
        [("l1_unstructured", 0.5, "global", {}, "*"), ("l1_unstructured", 0.5, "local", {}, "0")],
        [(40, 40), (0, 12)],
    ),
]


def test_certain_where_counts_decide_and_a_range_where_steps_overlap(subtests):
    for recipe, removed in CERTAIN:
        with subtests.test(str(removed)):
            steps = [
                bp.Step(method=method, fraction=fraction, scope=scope, options=options, select=select)
                for method, fraction, scope, options, select in recipe
            ]
            assert [step.removed for step in preview_recipe(model("meta"), bp.Recipe(steps=steps)).steps] == removed


def test_asking_for_too_much_is_refused():
    step = bp.Step(method="l1_unstructured", count=25, select="0")
    with pytest.raises(RecipeError, match=r"cannot prune 25: no more than 24 are alive in 0\.weight$"):
        preview_recipe(model("meta"), bp.Recipe(steps=[step]))
    step = bp.Step(method="ln_structured", count=7, options={"dim": 1})
    with pytest.raises(RecipeError, match=r"no more than 6 are alive in 0\.weight \(slices along dim 1\)$"):
        preview_recipe(model("meta"), bp.Recipe(steps=[step]))


def test_after_a_global_step_the_sum_is_known_though_no_tensor_is():
    recipe = bp.Recipe(
        steps=[
            bp.Step(method="l1_unstructured", fraction=0.5, scope="global", select="*"),
            bp.Step(method="l1_unstructured", fraction=0.5, select="*"),
        ]
    )
    low, high = preview_recipe(model("meta"), recipe).steps[1].removed
    assert low <= 20 <= high and high - low <= 4  # 79 entries, of which 40 are pruned: half of 39, rounded three times

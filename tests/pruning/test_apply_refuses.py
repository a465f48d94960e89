"""What `bp.apply` refuses or warns of; a model that it refuses, or that is cancelled, stays as it was."""

import math

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

import bertprune as bp
from bertprune.errors import NoEffectWarning, RecipeError, SelectionError

KEY = "encoder.layer.0.attention.self.key"


def step(method="l1_unstructured", fraction=0.3, select=KEY, **more):
    return bp.Step(method=method, fraction=fraction, select=select, **more)


def test_a_refused_recipe_leaves_the_model_as_it_was(tiny_bert):
    with pytest.raises(RecipeError, match=r"^step 2: .* no more than \d+ are alive"):
        bp.apply(tiny_bert, bp.Recipe(steps=[step(), bp.Step(method="l1_unstructured", count=800, select=KEY)]))
    with pytest.raises(RecipeError, match=r"^step 2: unknown method"):
        bp.apply(tiny_bert, bp.Recipe(steps=[step(), step("nope")]))
    assert not prune.is_pruned(tiny_bert)


def test_a_cancelled_run_leaves_the_model_as_it_was(tiny_bert):
    def cancel(share, words):
        if share >= 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bp.apply(tiny_bert, bp.Recipe(steps=[step(), step()]), progress=cancel)
    assert not prune.is_pruned(tiny_bert)


def test_nan_and_infinite_weights_do_no_harm_elsewhere(tiny_bert):
    with torch.no_grad():
        tiny_bert.pooler.dense.weight[0] = torch.tensor([math.nan, math.inf]).repeat(16)
    bp.apply(tiny_bert, step())
    assert prune.is_pruned(tiny_bert)


def test_finite_weights_whose_sum_is_not_are_pruned(tiny_bert):
    with torch.no_grad():
        tiny_bert.pooler.dense.weight.fill_(3e38)
    (outcome,) = bp.apply(tiny_bert, step(select="pooler.dense"))
    assert outcome.removed == 307


UNFIT = {
    "holds torch.int8 values": torch.ones((2, 2), dtype=torch.int8),
    "holds torch.float8_e4m3fn values": torch.ones((2, 2)).to(torch.float8_e4m3fn),
    "is stored as torch.sparse_coo": torch.ones((2, 2)).to_sparse(),
}


def test_tensors_that_cannot_be_pruned_are_refused_by_name():
    with torch.device("meta"):
        meta = nn.Sequential(nn.Linear(2, 2))
    with pytest.raises(SelectionError, match=r"^0\.weight is on the meta device"):
        bp.apply(meta, step(select="*"))
    for words, values in UNFIT.items():
        model = nn.Sequential(nn.Linear(2, 2))
        model[0].weight = nn.Parameter(values, requires_grad=False)
        with pytest.raises(SelectionError, match=rf"^0\.weight {words}"):
            bp.apply(model, step(select="*"))


def test_a_step_without_effect_warns(tiny_bert):
    with pytest.warns(NoEffectWarning, match=r"l1_unstructured 1e-09 .* pruned nothing"):
        (outcome,) = bp.apply(tiny_bert, step(fraction=1e-9))
    assert outcome.removed == 0 and tiny_bert.get_submodule(KEY).weight_mask.all()


def test_a_step_that_takes_only_zeros_warns(tiny_bert):
    bp.apply(tiny_bert, step(fraction=0.8))
    bp.bake(tiny_bert)
    with pytest.warns(NoEffectWarning, match="pruned only values that are zero already") as said:
        (outcome,) = bp.apply(tiny_bert, step(fraction=0.5))
    assert outcome.removed == 512 and said[0].message.code == "prune.only_zeros"
    bp.apply(tiny_bert, step(fraction=0.9))  # some of these are not zero: no warning


def test_a_seed_is_an_integer(tiny_bert, subtests):
    for seed in [-1, 1.0, True, "0", 2**63]:
        with subtests.test(repr(seed)), pytest.raises(RecipeError, match="a seed is an integer"):
            bp.apply(tiny_bert, step(), seed=seed)


def test_everything_and_the_last_one(tiny_bert):
    (outcome,) = bp.apply(tiny_bert, step(fraction=1.0))
    assert outcome.removed == 1024 and not tiny_bert.get_submodule(KEY).weight_mask.any()
    with pytest.raises(RecipeError, match="cannot prune 1: no more than 0 are alive"):
        bp.apply(tiny_bert, bp.Step(method="l1_unstructured", count=1, select=KEY))


def test_globs_of_all_steps_together_are_bounded(tiny_bert):
    many = bp.Recipe(steps=[step(select="*{1..300}*a*b*")] * 4)
    with pytest.raises(RecipeError) as caught:
        bp.apply(tiny_bert, many)
    assert caught.value.code == "recipe.too_many_globs"

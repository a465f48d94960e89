"""The same choice as torch.nn.utils.prune, from the same starting mask and the same seed."""

import copy
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import prune

from bertprune.errors import RecipeError
from bertprune.pruning.apply import apply
from bertprune.recipe import Recipe
from bertprune.step import Step

pytestmark = pytest.mark.filterwarnings("ignore::bertprune.errors.NoEffectWarning")

DTYPES = st.sampled_from([torch.float64, torch.float32, torch.float16, torch.bfloat16])
SHAPES = st.sampled_from([(7, 5), (1, 9), (16, 16), (3, 4, 5), (2, 3, 2, 3)])
AMOUNTS = st.one_of(st.integers(1, 3), st.floats(0.01, 1.0))


class Holder(nn.Module):
    """Hold one weight of any shape."""

    def __init__(self, weight):
        super().__init__()
        self.weight = nn.Parameter(weight.clone())


def pair(weight, mask=None):
    """Make two equal modules, from the same starting mask if there is one."""
    modules = Holder(weight), Holder(weight)
    if mask is not None:
        for module in modules:
            prune.custom_from_mask(module, "weight", mask.to(weight.dtype))
    return modules


def step_of(method, amount, **more):
    return Step(method=method, **{"count" if isinstance(amount, int) else "fraction": amount}, **more)


def mask_of(module):
    return module.weight_mask != 0


def removed_scores(before, after, scores):
    return torch.sort(scores[before & ~after]).values


@st.composite
def weights(draw):
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    shape = draw(SHAPES)
    weight = torch.randn(shape, generator=generator).to(draw(DTYPES))
    mask = torch.rand(shape, generator=generator) > draw(st.sampled_from([0.0, 0.3, 0.7]))
    mask.view(-1)[:4] = True
    return weight, draw(st.sampled_from([None, mask]))


def agree(ours, theirs, start, scores):
    """The multiset of removed scores is torch's; the masks too, unless equal scores lie on both sides of the cut."""
    mine, torchs = mask_of(ours), mask_of(theirs)
    assert int(mine.sum()) == int(torchs.sum())
    assert torch.equal(removed_scores(start, mine, scores), removed_scores(start, torchs, scores))
    gone, kept = scores[start & ~mine], scores[mine]
    if gone.numel() and kept.numel() and gone.max() < kept.min():
        assert torch.equal(mine, torchs)


@given(weights(), AMOUNTS)
def test_l1_unstructured(case, amount):
    weight, mask = case
    ours, theirs = pair(weight, mask)
    start = torch.ones(weight.shape, dtype=torch.bool) if mask is None else mask
    apply(ours, step_of("l1_unstructured", amount, select="*"), seed=0)
    prune.l1_unstructured(theirs, "weight", amount)
    agree(ours, theirs, start, weight.abs())


@given(weights(), AMOUNTS, st.integers(0, 2**31))
def test_random_unstructured(case, amount, seed):
    weight, mask = case
    ours, theirs = pair(weight, mask)
    start = torch.ones(weight.shape, dtype=torch.bool) if mask is None else mask
    apply(ours, step_of("random_unstructured", amount, select="*"), seed=seed)
    torch.manual_seed(seed)
    prune.random_unstructured(theirs, "weight", amount)
    draws = torch.zeros_like(weight)
    draws[start] = -torch.rand(int(start.sum()), generator=torch.Generator().manual_seed(seed), dtype=weight.dtype)
    agree(ours, theirs, start, draws)


@given(weights(), AMOUNTS, st.sampled_from([1, 2, 3, 0.5, 0, math.inf, -math.inf, "fro"]), st.integers(-2, 1))
def test_ln_structured(case, amount, n, dim):
    weight, mask = case
    ours, theirs = pair(weight, mask)
    living = living_slices(weight, mask, dim)
    if isinstance(amount, int) and amount > living.sum():
        amount = int(living.sum())
    step = step_of("ln_structured", amount, select="*", options={"n": n, "dim": dim})
    if n == "fro" and weight.dim() > 3:  # torch's own limit, and its own words for it
        with pytest.raises(RecipeError, match=r"^ln_structured: weight: RuntimeError: linalg\.matrix_norm"):
            apply(ours, step)
        return
    apply(ours, step, seed=0)
    prune.ln_structured(theirs, "weight", amount, n=n, dim=dim)
    norms = torch.norm(current(weight, mask), p=n, dim=others(weight, dim))
    agree_by_slice(ours, theirs, living, norms, dim)


@given(weights(), AMOUNTS, st.integers(-2, 1), st.integers(0, 2**31))
def test_random_structured(case, amount, dim, seed):
    weight, mask = case
    ours, theirs = pair(weight, mask)
    living = living_slices(weight, mask, dim)
    if isinstance(amount, int) and amount > living.sum():
        amount = int(living.sum())
    apply(ours, step_of("random_structured", amount, select="*", options={"dim": dim}), seed=seed)
    torch.manual_seed(seed)
    prune.random_structured(theirs, "weight", amount, dim=dim)
    assert torch.equal(mask_of(ours), mask_of(theirs))


def others(weight, dim):
    return [axis for axis in range(weight.dim()) if axis != dim % weight.dim()]


def current(weight, mask):
    return weight if mask is None else weight * mask


def living_slices(weight, mask, dim):
    mask = torch.ones(weight.shape, dtype=torch.bool) if mask is None else mask
    return mask.sum(dim=others(weight, dim)) != 0


def agree_by_slice(ours, theirs, living, norms, dim):
    mine, torchs = (living_slices(mask_of(m), mask_of(m), dim) for m in (ours, theirs))
    assert torch.equal(removed_scores(living, mine, norms), removed_scores(living, torchs, norms))
    gone, kept = norms[living & ~mine], norms[mine]
    if gone.numel() and kept.numel() and gone.max() < kept.min():
        assert torch.equal(mask_of(ours), mask_of(theirs))


@given(st.lists(weights(), min_size=2, max_size=4), AMOUNTS)
def test_global_l1(cases, amount):
    dtype = cases[0][0].dtype
    cases = [(weight.to(dtype), mask) for weight, mask in cases]
    pairs = [pair(*case) for case in cases]
    ours, theirs = (nn.ModuleList(side) for side in zip(*pairs, strict=True))
    start = torch.cat([(torch.ones(w.shape, dtype=torch.bool) if m is None else m).flatten() for w, m in cases])
    apply(ours, step_of("l1_unstructured", amount, select="*", scope="global"), seed=0)
    prune.global_unstructured([(m, "weight") for m in theirs], prune.L1Unstructured, amount=amount)
    scores = torch.cat([weight.abs().flatten() for weight, _ in cases])
    mine, torchs = (torch.cat([mask_of(m).flatten() for m in side]) for side in (ours, theirs))
    assert torch.equal(removed_scores(start, mine, scores), removed_scores(start, torchs, scores))
    gone, kept = scores[start & ~mine], scores[mine]
    if gone.numel() and kept.numel() and gone.max() < kept.min():
        assert torch.equal(mine, torchs)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["random_unstructured", "l1_unstructured", "random_structured", "ln_structured"]),
        st.floats(0.05, 0.6),
        st.integers(0, 1),
    ),
    min_size=1,
    max_size=4,
)


@given(STEPS, st.integers(0, 2**31))
def test_stacked_steps_under_one_seed(steps, seed):
    weight = torch.randn((12, 9), generator=torch.Generator().manual_seed(seed))
    ours, theirs = pair(weight)
    torch.manual_seed(seed)
    recipe = []
    for method, fraction, dim in steps:
        options = {"dim": dim} if method.endswith("_structured") else {}
        extra = {"n": 2} if method == "ln_structured" else {}
        recipe.append(Step(method=method, fraction=fraction, select="*", options=options | extra))
        getattr(prune, method)(theirs, "weight", fraction, **options, **extra)
    apply(ours, Recipe(steps=recipe), seed=seed)
    assert torch.equal(mask_of(ours), mask_of(theirs))
    assert torch.equal(ours.weight, theirs.weight)
    (mine,), (torchs,) = (list(m._forward_pre_hooks.values()) for m in (ours, theirs))
    assert type(mine) is type(torchs)
    if isinstance(torchs, prune.PruningContainer):
        assert [type(hook) for hook in mine] == [type(hook) for hook in torchs]
        assert [vars(hook) for hook in mine] == [vars(hook) for hook in torchs]


def test_every_family(family, subtests):
    """A loop of torch's own over the encoder's matrices makes the same masks, under the same seed."""
    for method in ["l1_unstructured", "random_unstructured", "ln_structured", "random_structured"]:
        with subtests.test(method):
            ours, theirs = copy.deepcopy(family), copy.deepcopy(family)
            options = {"dim": 0} if method.endswith("_structured") else {}
            extra = {"n": 2} if method == "ln_structured" else {}
            apply(ours, Step(method=method, fraction=0.3, select="*", options=options | extra), seed=5)
            torch.manual_seed(5)
            pruned = 0
            for name, module in theirs.named_modules():
                if isinstance(getattr(module, "weight", None), nn.Parameter) and module.weight.dim() == 2:
                    getattr(prune, method)(module, "weight", 0.3, **options, **extra)
                    assert torch.equal(ours.get_submodule(name).weight_mask, module.weight_mask != 0), name
                    pruned += 1
            assert pruned == sum(name.endswith("weight_mask") for name, _ in ours.named_buffers()) > 12

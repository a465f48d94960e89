"""The register of methods: torch's own, and methods of one's own that are added or refused."""

from typing import Annotated

import pytest
import torch
from pydantic import Field
from torch.nn.utils import prune

import bertprune as bp
from bertprune.errors import RecipeError
from tests.scores.own_methods import matrix

pytestmark = pytest.mark.usefixtures("temporary_methods")


def test_torchs_own_are_there_with_words_and_sources():
    known = bp.methods()
    assert {"l1_unstructured", "ln_structured", "random_structured", "random_unstructured"} <= set(known)
    for method in known.values():
        assert method.title and method.summary and method.paper
    assert list(known["ln_structured"].options.model_fields) == ["n", "dim"]
    assert known["ln_structured"].scopes == ("local", "global")
    assert known["random_unstructured"].scopes == ("local",)


def test_ten_lines_make_a_method():
    @bp.method("far_from_mean", paper="https://example.org/far")
    def far_from_mean(weight: torch.Tensor, *, power: Annotated[float, Field(gt=0)] = 2.0) -> torch.Tensor:
        """Remove the entries nearest to the mean of their tensor."""
        return (weight - weight.mean()).abs() ** power

    model = matrix()
    weight = model[0].weight.detach().clone()
    (outcome,) = bp.apply(model, bp.Step(method="far_from_mean", count=5, options={"power": 1.5}))
    assert outcome.removed == 5
    order = (weight - weight.mean()).abs().flatten().sort().indices
    assert set((model[0].weight_mask.flatten() == 0).nonzero().flatten().tolist()) == set(order[:5].tolist())
    (hook,) = model[0]._forward_pre_hooks.values()
    assert type(hook).__name__ == "FarFromMean" and isinstance(hook, prune.CustomFromMask)
    method = bp.methods()["far_from_mean"]
    assert method.summary == "Remove the entries nearest to the mean of their tensor."
    assert method.options.model_json_schema()["properties"]["power"]["exclusiveMinimum"] == 0


def test_slices_and_the_run_s_generator():
    @bp.method("noisy_rows", removes="slice")
    def noisy_rows(weight: torch.Tensor, *, generator: torch.Generator, dim: int = 0) -> torch.Tensor:
        """Remove rows at random."""
        return torch.rand(weight.shape[dim], generator=generator)

    first, again, other = matrix(), matrix(), matrix()
    for model, seed in ((first, 3), (again, 3), (other, 4)):
        bp.apply(model, bp.Step(method="noisy_rows", count=2), seed=seed)
        assert int((model[0].weight_mask.sum(1) == 0).sum()) == 2
    assert torch.equal(first[0].weight_mask, again[0].weight_mask)
    assert not torch.equal(first[0].weight_mask, other[0].weight_mask)


def test_a_subclass_of_torchs_base_class():
    @bp.method("every_other")
    class EveryOther(prune.BasePruningMethod):
        """Remove entries at random, as many as asked."""

        PRUNING_TYPE = "unstructured"

        def __init__(self, amount, offset: int = 0):
            self.amount, self.offset = amount, offset

        def compute_mask(self, t, default_mask):
            mask = default_mask.clone()
            places = torch.randperm(t.numel())[: round(self.amount * t.numel())]
            mask.view(-1)[places] = 0
            return mask

    model, again = matrix(), matrix()
    before = torch.random.get_rng_state()
    for one in (model, again):
        (outcome,) = bp.apply(one, bp.Step(method="every_other", fraction=0.5, options={"offset": 1}), seed=9)
        assert outcome.removed == 12
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(model[0].weight_mask, again[0].weight_mask)
    (hook,) = model[0]._forward_pre_hooks.values()
    assert type(hook) is EveryOther and hook.offset == 1
    with pytest.raises(RecipeError, match="supports scope local only, not global"):
        bp.apply(matrix(), bp.Step(method="every_other", fraction=0.5, scope="global"))


WRONG = [
    (
        {"method": "l1_unstrctured"},
        r"unknown method 'l1_unstrctured'; did you mean l1_unstructured\? known: fi",
    ),
    ({"method": "l1_unstructured", "options": {"n": 2}}, r"l1_unstructured has no option n; it has no options"),
    (
        {"method": "ln_structured", "options": {"n": "two"}},
        r"option n should be a valid integer or .* or 'fro' or 'nuc', not 'two'",
    ),
    ({"method": "ln_structured", "options": {"dim": 1.0}}, r"option dim .*not 1\.0"),
    ({"method": "ln_structured", "options": {"dim": True}}, r"option dim .*not True"),
    (
        {"method": "ln_structured", "options": {"dim": 2}},
        r"dim 2 is out of range for 0\.weight, which has 2 dim",
    ),
    ({"method": "random_unstructured", "scope": "global"}, r"supports scope local only, not global"),
]


def test_wrong_steps_get_one_clear_line(subtests):
    for step, words in WRONG:
        with subtests.test(words), pytest.raises(RecipeError, match=words):
            bp.apply(matrix(), bp.Step(count=1, **step))


def test_bad_methods_are_refused_when_they_register():
    with pytest.raises(RecipeError, match="needs a keyword argument `dim`"):
        bp.method("no_dim", removes="slice")(lambda weight: weight)
    with pytest.raises(RecipeError, match="must be an identifier"):
        bp.method("not a name")(lambda weight: weight)
    with pytest.raises(RecipeError, match="derive from torch's BasePruningMethod, have compute_mask"):
        bp.method("identity")(prune.Identity)


def test_bad_scores_are_refused_by_name():
    bp.method("wrong_shape")(lambda weight: weight[0])
    bp.method("not_numbers")(lambda weight: weight > 0)
    bp.method("nan_score")(lambda weight: weight * float("nan"))
    for name, words in [
        ("wrong_shape", r"wrong_shape: what it returns for 0\.weight must have the shape \(4, 6\), not \(6,\)"),
        ("not_numbers", r"must be a tensor of real numbers, not a torch tensor of torch\.bool"),
        ("nan_score", r"0\.weight: a score is NaN"),
    ]:
        model = matrix()
        with pytest.raises(RecipeError, match=words):
            bp.apply(model, bp.Step(method=name, count=1))
        assert not prune.is_pruned(model)


def scoring(weight):
    """Score by magnitude."""
    return weight.abs()


def needs_three(weight, *, n: "NoSuchType" = 3):  # noqa: F821
    """Carry a hint that cannot be resolved."""
    return weight


def none():
    """Take nothing."""


def positional(weight, n, /):
    """Take an option by position."""
    return weight


class Abstract(prune.BasePruningMethod):
    """Lack compute_mask."""

    def __init__(self, amount):
        self.amount = amount


class Whole(Abstract):
    """Mask nothing."""

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t, default_mask):
        return default_mask


REFUSED = {
    "name": (("not a name",), {}, scoring),
    "number as name": ((3,), {}, scoring),
    "no brackets": ((scoring,), {}, scoring),
    "removes": (("bad",), {"removes": "row"}, scoring),
    "scope": (("bad",), {"scopes": ("rows",)}, scoring),
    "scope as text": (("bad",), {"scopes": "local"}, scoring),
    "no scope": (("bad",), {"scopes": ()}, scoring),
    "paper": (("bad",), {"paper": 3}, scoring),
    "hint": (("bad",), {}, needs_three),
    "nothing to score": (("bad",), {}, none),
    "positional option": (("bad",), {}, positional),
    "no function": (("bad",), {}, torch.abs),
    "number": (("bad",), {}, 3),
    "private option": (("bad",), {}, lambda weight, *, _n=1: weight),
    "no dim": (("bad",), {"removes": "slice"}, scoring),
    "elementwise slices": (("bad",), {"removes": "slice", "elementwise": True}, lambda weight, *, dim=0: weight),
    "slices of texts": (("bad",), {"removes": "slice"}, lambda weight, *, inputs, dim=0: weight),
    "granularities": (("bad",), {"granularities": ("2:4",)}, scoring),
    "elementwise inputs": (("bad",), {"elementwise": True}, lambda weight, *, inputs: weight),
    "elementwise draws": (("bad",), {"elementwise": True}, lambda weight, *, generator: weight),
    "elementwise class": (("bad",), {"elementwise": True}, Whole),
    "global class": (("bad",), {"scopes": ("local", "global")}, Whole),
    "abstract class": (("bad",), {}, Abstract),
    "other class": (("bad",), {}, dict),
    "built-in": (("l1_unstructured",), {}, scoring),
    "built-in as class": (("ln_structured",), {}, Whole),
}


def test_a_refused_registration_is_one_line_and_leaves_no_trace(temporary_methods, subtests):
    before = dict(temporary_methods)
    for case, (names, settings, rule) in REFUSED.items():
        with subtests.test(case):
            with pytest.raises(RecipeError) as caught:
                bp.method(*names, **settings)(rule)
            assert "\n" not in str(caught.value)
            assert temporary_methods == before
            model = matrix()
            bp.apply(model, bp.Step(method="l1_unstructured", fraction=0.5))
            assert [type(hook) for hook in model[0]._forward_pre_hooks.values()] == [prune.L1Unstructured]


def test_brackets_that_are_forgotten_are_asked_for():
    with pytest.raises(RecipeError, match=r"^@bp\.method needs a name: write @bp\.method\('scoring'\)$"):
        bp.method(scoring)


def test_a_module_may_define_its_own_again():
    bp.method("mine")(lambda weight: weight)
    bp.method("mine")(scoring)
    assert bp.methods()["mine"].rule is scoring and bp.methods()["mine"].replaces is None


def test_a_built_in_is_replaced_only_when_asked_for_and_says_so(tiny_folder):
    with pytest.raises(RecipeError, match=r"l1_unstructured already is a method, defined in bertprune\.scores\.torch"):
        bp.method("l1_unstructured")(scoring)

    @bp.method("l1_unstructured", replace=True)
    def reversed_l1(weight):
        """Remove the largest."""
        return -weight.abs()

    found = bp.methods()["l1_unstructured"]
    assert (found.replaces, found.defined_in) == ("bertprune.scores.torch_methods", __name__)
    step = bp.Step(method="l1_unstructured", count=3, select="pooler.dense")
    run = bp.prune(tiny_folder("BertModel"), step)
    dense = run.model.pooler.dense
    assert dense.weight_orig[~dense.weight_mask].abs().min() >= dense.weight_orig[dense.weight_mask].abs().max()
    (hook,) = dense._forward_pre_hooks.values()
    assert type(hook) is not prune.L1Unstructured and isinstance(hook, prune.CustomFromMask)
    assert "from torch.nn.utils import prune" not in run.as_python()  # torch's l1 is another one
    bp.method("l1_unstructured")(scoring)  # from the same module, so it stays a replacement
    assert bp.methods()["l1_unstructured"].replaces == "bertprune.scores.torch_methods"


def test_a_function_in_the_place_of_a_class_does_not_keep_its_hook():
    bp.method("whole")(Whole)
    bp.method("whole")(scoring)
    model = matrix()
    bp.apply(model, bp.Step(method="whole", count=2))
    (hook,) = model[0]._forward_pre_hooks.values()
    assert not isinstance(hook, Whole)

"""The register of methods: torch's four, and methods of one's own."""

from typing import Annotated

import pytest
import torch
from pydantic import Field
from torch import nn
from torch.nn.utils import prune

import bertprune as bp
from bertprune.errors import BertpruneWarning, RecipeError
from bertprune.scores import registry


@pytest.fixture
def register(monkeypatch):
    """Give a register that forgets what the test adds."""
    monkeypatch.setattr(registry, "REGISTER", dict(registry.REGISTER))
    return registry.REGISTER


def matrix():
    return nn.Sequential(nn.Linear(6, 4, bias=False))


def test_torchs_own_are_there_with_words_and_sources():
    known = bp.methods()
    assert {"l1_unstructured", "ln_structured", "random_structured", "random_unstructured"} <= set(known)
    for method in known.values():
        assert method.title and method.summary and method.paper
    assert list(known["ln_structured"].options.model_fields) == ["n", "dim"]
    assert known["ln_structured"].scopes == ("local", "global")
    assert known["random_unstructured"].scopes == ("local",)


def test_ten_lines_make_a_method(register):
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


def test_slices_and_the_run_s_generator(register):
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


def test_a_subclass_of_torchs_base_class(register):
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
    with pytest.raises(RecipeError, match="works in scope local, not global"):
        bp.apply(matrix(), bp.Step(method="every_other", fraction=0.5, scope="global"))


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ({"method": "l1_unstrctured"}, r"unknown method 'l1_unstrctured'; did you mean l1_unstructured\? known: l1_"),
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
        ({"method": "random_unstructured", "scope": "global"}, r"works in scope local, not global"),
    ],
)
def test_wrong_steps_get_one_clear_line(step, words):
    with pytest.raises(RecipeError, match=words):
        bp.apply(matrix(), bp.Step(count=1, **step))


def test_bad_methods_are_refused_when_they_register(register):
    with pytest.raises(RecipeError, match="needs a keyword argument `dim`"):
        bp.method("no_dim", removes="slice")(lambda weight: weight)
    with pytest.raises(RecipeError, match="must be an identifier"):
        bp.method("not a name")(lambda weight: weight)
    with pytest.raises(RecipeError, match="derive from torch's BasePruningMethod and take `amount`"):
        bp.method("identity")(prune.Identity)


def test_bad_scores_are_refused_by_name(register):
    bp.method("wrong_shape")(lambda weight: weight[0])
    bp.method("not_numbers")(lambda weight: weight > 0)
    bp.method("nan_score")(lambda weight: weight * float("nan"))
    for name, words in [
        ("wrong_shape", r"scores of 0\.weight must have the shape \(4, 6\), not \(6,\)"),
        ("not_numbers", r"must be a tensor of real numbers, not torch\.bool"),
        ("nan_score", r"0\.weight: a score is NaN"),
    ]:
        model = matrix()
        with pytest.raises(RecipeError, match=words):
            bp.apply(model, bp.Step(method=name, count=1))
        assert not prune.is_pruned(model)


def test_methods_from_a_file(register, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "import bertprune as bp\n\n@bp.method('mine')\ndef mine(weight):\n    'Mine.'\n    return weight.abs()\n"
    )
    registry.load_file(file)
    assert bp.methods()["mine"].summary == "Mine."
    file.write_text("1 / 0")
    with pytest.raises(RecipeError, match=r"^mine\.py: ZeroDivisionError"):
        registry.load_file(file)
    file.write_text("raise SystemExit(0)")
    with pytest.raises(RecipeError, match=r"^mine\.py: SystemExit: 0"):
        registry.load_file(file)
    file.write_text("import bertprune")
    with pytest.raises(RecipeError, match=r"^mine\.py registers no method"):
        registry.load_file(file)
    with pytest.raises(RecipeError, match=r"^gone\.py: no such file"):
        registry.load_file(tmp_path / "gone.py")


def test_a_broken_plugin_is_left_out_with_a_warning(monkeypatch):
    from importlib.metadata import EntryPoint

    broken = EntryPoint(name="x", value="no_such_package_anywhere", group="bertprune.methods")
    monkeypatch.setattr(registry, "entry_points", lambda group: [broken])
    registry.load_entry_points.cache_clear()
    with pytest.warns(BertpruneWarning, match="cannot load the methods of no_such_package_anywhere"):
        assert "l1_unstructured" in bp.methods()

"""Hooks on tied tensors: ours, torch's, one on the other, in any order; errors leave the model whole."""

import warnings
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.utils import prune

import bertprune as bp
from tests.tiny_models import make_model

IDS = torch.tensor([[3, 5, 7, 0]])
TENTH = bp.Step(method="l1_unstructured", fraction=0.1, select="*word_embeddings")
HALF_FLOAT = bp.Step(method="random_unstructured", fraction=0.5, select="*word_embeddings")


def inside(model: Any) -> Any:
    return model.bert.embeddings.word_embeddings


def outside(model: Any) -> Any:
    return model.cls.predictions.decoder


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(IDS).logits


ACTIONS: dict[str, Any] = {
    "ours": lambda model: bp.apply(model, TENTH),
    "ours, float": lambda model: bp.apply(model, HALF_FLOAT, mask_dtype="float"),
    "torch inside": lambda model: prune.l1_unstructured(inside(model), "weight", 0.2),
    "torch outside": lambda model: prune.l1_unstructured(outside(model), "weight", 0.3),
    "torch bias": lambda model: prune.l1_unstructured(outside(model), "bias", 0.5),
}


@settings(max_examples=30)
@given(st.lists(st.sampled_from(sorted(ACTIONS)), min_size=1, max_size=4))
def test_baking_keeps_the_outputs_after_any_order(names: list[str]) -> None:
    model = make_model("BertForMaskedLM")
    previous = [torch.ones(97, 32, dtype=torch.bool)] * 2
    for name in names:
        ACTIONS[name](model)
        masks = [getattr(part(model), "weight_mask", torch.ones(97, 32)) != 0 for part in (inside, outside)]
        assert not any((now & ~then).any() for now, then in zip(masks, previous, strict=True)), "nothing comes back"
        previous = masks
    expected, masks_alike = logits(model), torch.equal(*previous)
    words = next(one for one in bp.sparsity(model).tensors if one.name.endswith("word_embeddings.weight"))
    assert words.count.masked == int((~(previous[0] | previous[1])).sum())
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        bp.bake(model)
    assert torch.equal(expected, logits(model))
    assert not prune.is_pruned(model) and not any("_orig" in name for name in model.state_dict())
    assert (inside(model).weight is outside(model).weight) == masks_alike
    assert all(type(one.message).__name__ == "UntiedWarning" for one in said)
    assert any("word_embeddings" in str(one.message) for one in said) != masks_alike


def test_the_count_is_of_what_all_owners_keep() -> None:
    model = make_model("BertForMaskedLM")
    prune.l1_unstructured(outside(model), "weight", 0.5)
    (outcome,) = bp.apply(model, TENTH)
    assert (outcome.alive_before, outcome.removed) == (97 * 32, round(97 * 32 * 0.1))
    assert inside(model).weight_orig is outside(model).weight_orig


def test_a_refused_hook_leaves_the_model_whole() -> None:
    model = make_model("BertForMaskedLM")
    prune.l1_unstructured(outside(model), "weight", 0.5)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    wrong = bp.Step(method="ln_structured", fraction=0.5, options={"n": "several", "dim": 0}, select="*.key")
    for recipe in (bp.Recipe(steps=[TENTH, wrong]), bp.Recipe(steps=[wrong, TENTH])):
        with pytest.raises(bp.BertpruneError):
            bp.apply(model, recipe)
    assert before.keys() == model.state_dict().keys()
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in before.items())


def test_a_warning_that_is_made_an_error_finds_the_model_baked_as_a_whole() -> None:
    model = make_model("BertForMaskedLM")
    for module in (inside(model), model.bert.encoder.layer[1].output.dense):
        prune.l1_unstructured(module, "weight", 0.5)
    expected = logits(model)
    with pytest.raises(UserWarning, match="were one tensor under different masks"):
        bp.bake(model)
    assert torch.equal(expected, logits(model)) and not prune.is_pruned(model)


def test_torch_can_take_our_hooks_off_a_tied_tensor() -> None:
    model = make_model("BertForMaskedLM")
    bp.apply(model, TENTH)
    expected = logits(model)
    for part in (inside, outside):
        prune.remove(part(model), "weight")
    assert torch.equal(expected, logits(model)) and inside(model).weight is outside(model).weight


@pytest.mark.filterwarnings("error")
def test_a_tensor_whose_pruning_torch_made_permanent_at_one_owner_stays_tied(subtests: pytest.Subtests) -> None:
    for part in [inside, outside]:
        with subtests.test(part.__name__):
            model = make_model("BertForMaskedLM")
            bp.apply(model, TENTH)
            prune.remove(part(model), "weight")
            expected = logits(model)
            bp.bake(model)
            assert torch.equal(expected, logits(model)) and not prune.is_pruned(model)
            assert inside(model).weight is outside(model).weight


def test_a_model_without_values_is_not_baked() -> None:
    model = make_model("BertForMaskedLM")
    bp.apply(model, TENTH)
    model.to("meta")
    with pytest.raises(bp.BertpruneError) as caught:
        bp.bake(model)
    assert caught.value.code == "bake.meta" and prune.is_pruned(model)


def test_what_is_pruned_and_baked_in_inference_mode_trains_afterwards() -> None:
    model = make_model("BertForMaskedLM")
    with torch.inference_mode():
        bp.apply(model, TENTH)
    model(IDS).logits.sum().backward()
    assert inside(model).weight_orig.grad is not None
    with torch.inference_mode():
        bp.bake(model)
        bp.apply(model, HALF_FLOAT)
        bp.bake(model)
    model(IDS).logits.sum().backward()
    assert inside(model).weight is outside(model).weight

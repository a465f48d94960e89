"""torch's mechanism stays visible: what is on a module after a step, after baking, after saving and loading."""

import copy
import pickle
from itertools import product

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

import bertprune as bp
from bertprune.errors import SelectionError
from tests.tiny_models import make_model

KEY = "encoder.layer.0.attention.self.key"


def step(method="l1_unstructured", fraction=0.3, select=KEY, **more):
    return bp.Step(method=method, fraction=fraction, select=select, **more)


def parameters(module):
    return [name for name, _ in module.named_parameters()]


def buffers(module):
    return [name for name, _ in module.named_buffers()]


def test_what_a_step_leaves_on_a_module(tiny_bert):
    key = tiny_bert.get_submodule(KEY)
    dense = key.weight
    bp.apply(tiny_bert, step("random_unstructured"))
    assert parameters(key) == ["bias", "weight_orig"] and buffers(key) == ["weight_mask"]
    assert key.weight_orig is dense and key.weight_mask.dtype == torch.bool
    assert not isinstance(key.weight, nn.Parameter) and key.weight.grad_fn is not None
    (hook,) = key._forward_pre_hooks.values()
    assert type(hook) is prune.RandomUnstructured and hook._tensor_name == "weight"
    assert prune.is_pruned(tiny_bert)


def test_the_derived_weight_has_a_graph_even_where_gradients_are_off(tiny_bert):
    with torch.no_grad():
        bp.apply(tiny_bert, step())
    assert tiny_bert.get_submodule(KEY).weight.grad_fn is not None


def test_the_derived_weight_is_torchs_product_to_the_bit_and_part_of_its_graph(subtests):
    for dtype, mask_dtype in product([torch.float64, torch.float32, torch.bfloat16], ["bool", "float"]):
        with subtests.test(f"{dtype}, {mask_dtype}"):
            model = make_model("BertModel")
            key = model.get_submodule(KEY).to(dtype)
            bp.apply(model, step(), mask_dtype=mask_dtype)
            derived = key.weight_mask.to(dtype) * key.weight_orig  # a masked negative number becomes -0.0
            assert torch.equal(key.weight.view(torch.uint8), derived.view(torch.uint8))
            assert key.weight.grad_fn.name() == "MulBackward0"
            key.weight.sum().backward()
            assert torch.equal(key.weight_orig.grad, key.weight_mask.to(dtype))


def test_global_steps_leave_a_hook_with_the_methods_name(tiny_bert):
    bp.apply(tiny_bert, step(scope="global"))
    (hook,) = tiny_bert.get_submodule(KEY)._forward_pre_hooks.values()
    assert isinstance(hook, prune.CustomFromMask) and type(hook).__name__ == "L1Unstructured"
    for twin in (copy.deepcopy(hook), pickle.loads(pickle.dumps(hook))):
        assert type(twin).__name__ == "L1Unstructured" and torch.equal(twin.mask, hook.mask)


def test_stacked_steps_become_a_container(tiny_bert):
    bp.apply(
        tiny_bert, bp.Recipe(steps=[step("random_unstructured"), step("ln_structured", options={"n": 2, "dim": 1})])
    )
    bp.apply(tiny_bert, step(scope="global"))
    (hook,) = tiny_bert.get_submodule(KEY)._forward_pre_hooks.values()
    assert isinstance(hook, prune.PruningContainer)
    assert [type(h).__name__ for h in hook] == ["RandomUnstructured", "LnStructured", "L1Unstructured"]


def test_torch_prunes_further_what_we_pruned(tiny_bert):
    bp.apply(tiny_bert, step())
    key = tiny_bert.get_submodule(KEY)
    alive = int(key.weight_mask.sum())
    prune.l1_unstructured(key, "weight", 10)
    prune.ln_structured(key, "weight", 1, n=2, dim=0)
    assert int(key.weight_mask.sum()) <= alive - 10 - 1
    tiny_bert(torch.tensor([[1, 2, 3]]))
    prune.remove(key, "weight")
    assert parameters(key) == ["bias", "weight"] and buffers(key) == []


def test_we_prune_further_what_torch_pruned(tiny_bert):
    key = tiny_bert.get_submodule(KEY)
    prune.random_unstructured(key, "weight", 0.5)
    dead = key.weight_mask == 0
    (outcome,) = bp.apply(tiny_bert, step(fraction=0.5))
    assert outcome.alive_before == 512 and outcome.removed == 256
    assert not key.weight_mask[dead].any()


def test_float_masks_on_request_equal_torchs_buffers(tiny_bert):
    torchs = copy.deepcopy(tiny_bert)
    bp.apply(tiny_bert, step(), mask_dtype="float")
    prune.l1_unstructured(torchs.get_submodule(KEY), "weight", 0.3)
    ours, theirs = tiny_bert.state_dict(), torchs.state_dict()
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[name], theirs[name]) and ours[name].dtype == theirs[name].dtype for name in ours)


def test_bool_and_float_masks_give_the_same_bits(tiny_bert):
    twin = copy.deepcopy(tiny_bert)
    bp.apply(tiny_bert, step(scope="global", select="*"))
    bp.apply(twin, step(scope="global", select="*"), mask_dtype="float")
    tokens = torch.tensor([[1, 2, 3, 4]])
    assert torch.equal(tiny_bert(tokens).last_hidden_state, twin(tokens).last_hidden_state)


def test_saved_loaded_and_continued(tiny_bert):
    twin = copy.deepcopy(tiny_bert)
    bp.apply(tiny_bert, step("random_unstructured"), seed=1)
    bp.apply(twin, step("random_unstructured"), seed=2)
    twin.load_state_dict(tiny_bert.state_dict())
    for model in (tiny_bert, twin):
        bp.apply(model, step("l1_unstructured", fraction=0.5))
    assert all(
        torch.equal(a, b) for a, b in zip(tiny_bert.state_dict().values(), twin.state_dict().values(), strict=True)
    )


def test_training_updates_only_unmasked_weights(tiny_bert):
    bp.apply(tiny_bert, step())
    key = tiny_bert.get_submodule(KEY)
    before = key.weight_orig.detach().clone()
    optimizer = torch.optim.SGD(tiny_bert.parameters(), lr=1.0)
    tiny_bert(torch.tensor([[1, 2, 3, 4]])).last_hidden_state.square().sum().backward()
    optimizer.step()
    moved = key.weight_orig != before
    assert moved[key.weight_mask].any() and not moved[~key.weight_mask].any()
    tiny_bert(torch.tensor([[1, 2]]))
    assert not key.weight[~key.weight_mask].any()


def test_a_stale_derived_weight_does_not_mislead_the_next_step(tiny_bert):
    bp.apply(tiny_bert, step("random_unstructured", fraction=0.1))
    key = tiny_bert.get_submodule(KEY)
    with torch.no_grad():
        key.weight_orig.mul_(-1).add_(3)
        key.weight_orig[0] = 1e-6  # now the smallest, which the derived weight does not know yet
    alive = int(key.weight_mask[0].sum())
    bp.apply(tiny_bert, bp.Step(method="l1_unstructured", count=alive, select=KEY))
    assert not key.weight_mask[0].any()


def test_baking_one_tensor_leaves_the_other(tiny_bert):
    key = tiny_bert.get_submodule(KEY)
    torch.nn.init.ones_(key.bias)
    bp.apply(tiny_bert, step())
    bp.apply(tiny_bert, bp.Step(method="l1_unstructured", count=5, select=bp.Selection(include=KEY, tensor="bias")))
    masked = (key.weight_orig * key.weight_mask).detach().clone()
    assert bp.bake(tiny_bert, KEY) is tiny_bert
    assert parameters(key) == ["bias_orig", "weight"] and buffers(key) == ["bias_mask"]
    assert torch.equal(key.weight, masked) and isinstance(key.weight, nn.Parameter)
    (hook,) = key._forward_pre_hooks.values()
    assert type(hook) is prune.L1Unstructured and hook._tensor_name == "bias"
    bp.bake(tiny_bert)
    assert not prune.is_pruned(tiny_bert)
    with pytest.raises(SelectionError, match="no matching tensor is pruned"):
        bp.bake(tiny_bert, KEY)


def test_tied_tensors_are_pruned_once_and_stay_tied(tiny_mlm):
    word = tiny_mlm.bert.embeddings.word_embeddings
    decoder = tiny_mlm.cls.predictions.decoder
    (outcome,) = bp.apply(tiny_mlm, step(select=bp.Selection(roles="embeddings.word"), fraction=0.5))
    assert len(outcome.tensors) == 1 and outcome.alive_before == 97 * 32
    assert word.weight_orig is decoder.weight_orig and word.weight_mask is decoder.weight_mask
    tiny_mlm(torch.tensor([[1, 2, 3]]))
    assert torch.equal(word.weight, decoder.weight)
    bp.bake(tiny_mlm)
    assert word.weight is decoder.weight and int((word.weight == 0).sum()) == outcome.removed


def test_the_global_random_state_is_neither_read_nor_touched(tiny_bert):
    twin = copy.deepcopy(tiny_bert)
    recipe = bp.Recipe(steps=[step("random_unstructured", select="*"), step("random_structured", select="*")])
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    bp.apply(tiny_bert, recipe, seed=7)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(2)
    bp.apply(twin, recipe, seed=7)
    assert all(torch.equal(a, b) for a, b in zip(tiny_bert.buffers(), twin.buffers(), strict=True))


def test_global_ln_structured_ranks_all_rows_together():
    model = nn.Sequential(nn.Linear(4, 3, bias=False), nn.Linear(4, 5, bias=False))
    with torch.no_grad():
        model[0].weight.copy_(torch.arange(1.0, 4.0)[:, None].expand(3, 4))
        model[1].weight.copy_(torch.tensor([0.5, 9.0, 2.5, 9.0, 9.0])[:, None].expand(5, 4))
    (outcome,) = bp.apply(
        model, bp.Step(method="ln_structured", count=4, scope="global", options={"n": 2, "dim": 0}, select="*")
    )
    assert model[0].weight_mask.any(1).tolist() == [False, False, True]
    assert model[1].weight_mask.any(1).tolist() == [False, True, False, True, True]
    assert [(t.slices_before, t.slices_removed) for t in outcome.tensors] == [(3, 2), (5, 2)]


def test_hooks_of_the_callers_on_what_autograd_saves_do_not_mix_the_products_up():
    model = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 6))
    weights = [layer.weight.detach().clone() for layer in model]
    with torch.autograd.graph.saved_tensors_hooks(lambda saved: saved.clone(), lambda saved: saved):
        bp.apply(model, bp.Step(method="l1_unstructured", fraction=0.5, select="*"))
    for layer, weight in zip(model, weights, strict=True):
        assert torch.equal(layer.weight, weight * layer.weight_mask)
        layer.weight.sum().backward()
        assert torch.equal(layer.weight_orig.grad, layer.weight_mask.float())


def test_a_checkpoint_with_an_empty_tensor_is_pruned(tiny_folder):
    run = bp.prune(
        tiny_folder("BertModel", type_vocab_size=0), bp.Step(method="l1_unstructured", fraction=0.5, select="*")
    )
    assert run.report.total.masked > 0

"""A snapshot shows what torch really holds: parameters, buffers, derived tensors, hooks and their history."""

import json
import math

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from bertprune.errors import SelectionError
from bertprune.model.diff import diff
from bertprune.model.snapshot import snapshot

KEY = "encoder.layer.0.attention.self.key"


def names(records):
    return [record.local for record in records]


def hooks(part):
    return [(hook.tensor, hook.name, hook.history) for hook in part.hooks]


def test_it_lists_what_torch_lists(tiny):
    model = tiny("BertForSequenceClassification")
    prune.l1_unstructured(model.classifier, "weight", amount=0.5)
    seen = snapshot(model)
    assert [one.name for one in seen.parameters] == [name for name, _ in model.named_parameters()]
    assert [one.name for one in seen.buffers] == [name for name, _ in model.named_buffers()]
    assert list(seen.state_dict_keys) == list(model.state_dict())
    for one in seen.tensors:
        tensor = getattr(model.get_submodule(one.module), one.local)
        assert one.shape == tuple(tensor.shape)
        assert one.dtype == str(tensor.dtype).removeprefix("torch.")
        assert one.requires_grad == tensor.requires_grad
        flat = tensor.detach().reshape(-1)
        assert list(one.corner) == (flat if len(flat) <= 4 else torch.cat([flat[:2], flat[-2:]])).tolist()


def test_pruning_stacking_and_baking_show_step_by_step(tiny):
    model = tiny("BertModel")
    key = model.get_submodule(KEY)
    before = snapshot(model).module(KEY)
    assert (names(before.parameters), before.buffers, before.derived, before.hooks) == (["weight", "bias"], (), (), ())

    prune.random_unstructured(key, "weight", amount=0.3)
    once = snapshot(model).module(KEY)
    assert sorted(names(once.parameters)) == ["bias", "weight_orig"]
    assert names(once.buffers) == ["weight_mask"]
    assert [(one.local, one.grad_fn, one.persistent) for one in once.derived] == [("weight", "MulBackward0", False)]
    assert hooks(once) == [("weight", "RandomUnstructured", ("RandomUnstructured",))]
    assert set(once.state_dict_keys) == {f"{KEY}.{name}" for name in ("bias", "weight_orig", "weight_mask")}

    prune.l1_unstructured(key, "bias", amount=5)
    prune.ln_structured(key, "weight", amount=0.3, n=2, dim=1)
    stacked = snapshot(model).module(KEY)
    assert sorted(names(stacked.parameters)) == ["bias_orig", "weight_orig"]
    assert sorted(names(stacked.buffers)) == ["bias_mask", "weight_mask"]
    assert sorted(hooks(stacked)) == [
        ("bias", "L1Unstructured", ("L1Unstructured",)),
        ("weight", "PruningContainer", ("RandomUnstructured", "LnStructured")),
    ]

    prune.remove(key, "weight")
    baked = snapshot(model).module(KEY)
    assert sorted(names(baked.parameters)) == ["bias_orig", "weight"]
    assert names(baked.buffers) == ["bias_mask"]
    assert hooks(baked) == [("bias", "L1Unstructured", ("L1Unstructured",))]


def test_bool_masks_and_custom_methods():
    class my_method(prune.CustomFromMask):
        pass

    layer = nn.Linear(4, 3)
    my_method.apply(layer, "weight", torch.ones(3, 4, dtype=torch.bool))
    layer.weight_mask = torch.ones(3, 4, dtype=torch.bool)
    seen = snapshot(layer)
    assert [(one.local, one.dtype) for one in seen.buffers] == [("weight_mask", "bool")]
    assert hooks(seen) == [("weight", "my_method", ("my_method",))]
    assert seen.buffers[0].corner == (True, True, True, True)


def test_a_global_step_of_torch_leaves_a_custom_mask():
    layer = nn.Linear(4, 3)
    prune.global_unstructured([(layer, "weight")], prune.L1Unstructured, amount=2)
    assert hooks(snapshot(layer)) == [("weight", "CustomFromMask", ("CustomFromMask",))]


def test_other_hooks_are_listed_without_a_tensor():
    def watch(module, inputs):
        return None

    layer = nn.Linear(2, 2)
    layer.register_forward_pre_hook(watch)
    prune.identity(layer, "weight")
    assert hooks(snapshot(layer)) == [("", "watch", ()), ("weight", "Identity", ("Identity",))]
    assert "watch (no pruning)" in snapshot(layer).render()


def test_tied_tensors_have_a_record_each_and_name_the_first(tiny):
    model = tiny("BertForMaskedLM")
    seen = {one.name: one for one in snapshot(model).tensors}
    first, second = "bert.embeddings.word_embeddings.weight", "cls.predictions.decoder.weight"
    assert seen[first].alias_of is None
    assert seen[second].alias_of == first
    assert f"tied to {first}" in snapshot(model).module("cls.predictions.decoder").render()


def test_a_shared_module_appears_at_both_paths():
    part = nn.Linear(2, 2)
    prune.identity(part, "weight")
    seen = snapshot(nn.ModuleDict({"one": part, "two": part}))
    assert [(one.name, one.alias_of) for one in seen.derived] == [("one.weight", None), ("two.weight", "one.weight")]
    assert [hook.module for hook in seen.hooks] == ["one", "two"]


def test_buffers_that_are_not_saved_are_marked(tiny):
    seen = {one.name: one for one in snapshot(tiny("BertModel")).buffers}
    assert not seen["embeddings.position_ids"].persistent
    assert "not saved" in snapshot(tiny("BertModel")).module("embeddings").render()


VALUES = [
    torch.tensor([1.5, -2.0, 3.0], dtype=torch.bfloat16),
    torch.tensor([1, -2, 3], dtype=torch.int64),
    torch.tensor([True, False, True]),
]


def test_values_of_any_dtype_are_shown(subtests):
    for values in VALUES:
        with subtests.test(str(values.dtype)):
            holder = nn.Module()
            holder.register_buffer("some", values)
            assert list(snapshot(holder).buffers[0].corner) == values.tolist()


def test_the_first_and_last_two_values_are_kept_once_each(subtests):
    for shape in [(), (0,), (4,), (5,), (2, 2, 3), (9, 1)]:
        with subtests.test(str(shape)):
            holder = nn.Module()
            values = torch.arange(math.prod(shape), dtype=torch.float32).reshape(shape)
            holder.register_buffer("some", values)
            holder.register_buffer("across", values.movedim(0, -1) if values.dim() else values)
            flat = values.flatten().tolist()
            expected = flat if len(flat) <= 4 else flat[:2] + flat[-2:]
            seen = snapshot(holder).buffers
            assert list(seen[0].corner) == expected
            across = holder.across.flatten().tolist()
            assert list(seen[1].corner) == (across if len(flat) <= 4 else across[:2] + across[-2:])


def test_meta_tensors_have_no_values_and_complex_ones_are_not_read(tiny):
    assert {one.corner for one in snapshot(tiny("BertModel", device="meta")).tensors} == {()}
    holder = nn.Module()
    holder.register_buffer("some", torch.zeros(3, dtype=torch.complex64))
    assert snapshot(holder).buffers[0].corner == ()


def test_absent_and_lazy_parameters_are_left_out():
    model = nn.Sequential(nn.LazyLinear(2), nn.Linear(2, 2, bias=False))
    assert [one.name for one in snapshot(model).parameters] == ["1.weight"]


def test_a_module_is_found_with_and_without_prefix_or_refused(tiny):
    seen = snapshot(tiny("BertForMaskedLM"))
    assert seen.module(KEY) == seen.module(f"bert.{KEY}")
    assert seen.module("encoder.layer.0").tensors == ()
    assert "parameters: none" in seen.module("encoder.layer.0").render()
    with pytest.raises(SelectionError, match=r"'encoder\.layer\.0\.attention\.self\.kee'; the nearest are "):
        seen.module("encoder.layer.0.attention.self.kee")


def test_nothing_is_changed(tiny):
    model = tiny("BertModel")
    prune.l1_unstructured(model.pooler.dense, "weight", amount=0.2)
    before = {name: (id(one), one._version) for name, one in model.state_dict(keep_vars=True).items()}
    derived = model.pooler.dense.weight
    snapshot(model)
    assert {name: (id(one), one._version) for name, one in model.state_dict(keep_vars=True).items()} == before
    assert model.pooler.dense.weight is derived


def test_a_difference_lists_what_was_added_removed_and_changed(tiny):
    model = tiny("BertModel")
    before = snapshot(model)
    key = model.get_submodule(KEY)
    prune.random_unstructured(key, "weight", amount=0.3)
    after = snapshot(model)
    found = diff(before, after)
    assert [one.name for one in found.added] == [f"{KEY}.weight_orig", f"{KEY}.weight_mask"]
    assert found.removed == ()
    assert [one.name for one in found.changed] == [f"{KEY}.weight"]
    assert {"kind", "grad_fn", "persistent"} <= set(found.changed[0].fields)
    assert (found.changed[0].before.kind, found.changed[0].after.kind) == ("parameter", "derived")
    assert [hook.name for hook in found.hooks_added] == ["RandomUnstructured"]
    assert found.hooks_removed == ()
    assert found.modules == (KEY,)
    assert found

    back = diff(after, before)
    assert back.removed == found.added
    assert back.hooks_removed == found.hooks_added


def test_a_stacked_step_replaces_the_hook(tiny):
    layer = nn.Linear(4, 4)
    prune.l1_unstructured(layer, "weight", amount=2)
    before = snapshot(layer)
    prune.l1_unstructured(layer, "weight", amount=2)
    found = diff(before, snapshot(layer))
    assert [hook.name for hook in found.hooks_removed] == ["L1Unstructured"]
    assert [hook.history for hook in found.hooks_added] == [("L1Unstructured", "L1Unstructured")]


def test_the_same_hook_twice_is_counted_twice():
    layer = nn.Linear(2, 2)
    layer.register_forward_pre_hook(print)
    once = snapshot(layer)
    layer.register_forward_pre_hook(print)
    assert [hook.name for hook in diff(once, snapshot(layer)).hooks_added] == ["print"]


def test_nothing_differs_from_itself(tiny, subtests):
    for name in ["BertModel", "RobertaForMaskedLM"]:
        with subtests.test(name):
            model = tiny(name)
            next(model.parameters()).data.view(-1)[0] = math.nan
            found = diff(snapshot(model), snapshot(model))
            assert not found
            assert (found.added, found.removed, found.changed, found.hooks_added, found.hooks_removed) == (
                (),
                (),
                (),
                (),
                (),
            )
            assert found.render() == "no difference"


def test_both_are_json_and_deterministic(tiny):
    model = tiny("BertModel")
    before = snapshot(model)
    model.pooler.dense.bias.data[:] = torch.tensor([math.inf, math.nan] * 16)
    prune.l1_unstructured(model.encoder.layer[0].output.dense, "weight", amount=0.1)
    after = snapshot(model)
    found = diff(before, after)
    for one, again in ((after, snapshot(model)), (found, diff(before, snapshot(model)))):
        text = json.dumps(one.to_dict(), allow_nan=False)
        assert text == json.dumps(again.to_dict(), allow_nan=False)
        assert '"inf", "nan"' in text


def test_they_print_as_in_the_golden_files(golden):
    layer = nn.Linear(3, 3)
    layer.weight.data = torch.arange(9.0).reshape(3, 3) / 8
    layer.bias.data = torch.tensor([0.5, -1.0, 0.25])
    model = nn.Sequential(layer, nn.BatchNorm1d(3))
    before = snapshot(model)
    prune.l1_unstructured(layer, "weight", amount=3)
    prune.ln_structured(layer, "weight", amount=1, n=2, dim=1)
    prune.l1_unstructured(layer, "bias", amount=1)
    after = snapshot(model)
    golden("snapshot.txt", after.render())
    golden("diff.txt", diff(before, after).render())
    assert snapshot(nn.Tanh()).render().startswith("(root)\n  parameters: none")

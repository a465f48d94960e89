"""The tutorial's lesson on a model of KoBERT's shape: every count, name and hook that it prints."""

import pytest
import torch
from torch.nn.utils import prune

import bertprune as bp

KEY = "encoder.layer.0.attention.self.key"
QKV = bp.Selection(roles=["attention.query", "attention.key", "attention.value"])
RANDOM = bp.Step(method="random_unstructured", fraction=0.3, select=KEY)
BIAS = bp.Step(method="l1_unstructured", count=50, select=bp.Selection(include=KEY, tensor="bias"))
COLUMNS = bp.Step(method="ln_structured", fraction=0.3, options={"n": 2, "dim": 1}, select=KEY)


@pytest.fixture(scope="module")
def kobert():
    yield (opened := bp.Checkpoint.open("kobert-shape"))
    opened.release()


def locals_of(records):
    return [record.local for record in records]


def test_the_shape(kobert):
    assert kobert.facts.architecture == "BertModel" and kobert.facts.parameters == 92_186_880
    root = bp.tree(kobert.skeleton())
    assert root.parameters == 92_186_880
    assert "(0-11): 12 x BertLayer" in root.render()
    layers = bp.tree(kobert.skeleton(), "encoder.layer")
    assert layers.parameters == 85_054_464 and len(layers.children) == 12
    assert bp.tree(kobert.skeleton(), "encoder.layer.0").parameters == 7_087_872
    attention = bp.tree(kobert.skeleton(), "encoder.layer.0.attention.self")
    assert {child.name: child.parameters for child in attention.children if child.parameters} == dict.fromkeys(
        ("query", "key", "value"), 590_592
    )


def test_one_module_before_and_after_three_steps(kobert):
    run = bp.prune(kobert, bp.Recipe(steps=[RANDOM, BIAS, COLUMNS]))
    before, after = run.before.module(KEY), run.after.module(KEY)
    assert [(record.local, record.shape) for record in before.parameters] == [("weight", (768, 768)), ("bias", (768,))]
    assert not before.buffers and not before.hooks
    random, bias, columns = run.steps
    assert random.removed == 176_947 and random.alive_before == 589_824
    assert bias.removed == 50 and bias.alive_before == 768
    assert (columns.tensors[0].slices_before, columns.tensors[0].slices_removed) == (768, 230)
    assert set(locals_of(after.parameters)) == {"weight_orig", "bias_orig"}
    assert set(locals_of(after.buffers)) == {"weight_mask", "bias_mask"}
    assert all(record.grad_fn for record in after.derived) and set(locals_of(after.derived)) == {"weight", "bias"}
    histories = {hook.tensor: (hook.name, hook.history) for hook in after.hooks}
    assert histories["weight"] == ("PruningContainer", ("RandomUnstructured", "LnStructured"))
    assert histories["bias"] == ("L1Unstructured", ("L1Unstructured",))
    assert set(after.state_dict_keys) == {
        f"{KEY}.{name}" for name in ("weight_orig", "bias_orig", "weight_mask", "bias_mask")
    }


def test_in_place_step_by_step_and_baked(kobert):
    layer = kobert.load().encoder.layer[0]
    key = layer.attention.self.key
    here = "attention.self.key"
    bp.apply(layer, RANDOM.model_copy(update={"select": bp.Selection(include=here)}))
    assert [n for n, _ in key.named_parameters()] == ["bias", "weight_orig"]
    assert int((~key.weight_mask).sum()) == 176_947 and key.weight.grad_fn is not None
    assert [type(hook) for hook in key._forward_pre_hooks.values()] == [prune.RandomUnstructured]
    bp.apply(layer, BIAS.model_copy(update={"select": bp.Selection(include=here, tensor="bias")}))
    assert [n for n, _ in key.named_parameters()] == ["weight_orig", "bias_orig"]
    assert len(key._forward_pre_hooks) == 2
    bp.bake(layer, here)
    assert [n for n, _ in key.named_parameters()] == ["bias_orig", "weight"]
    assert [n for n, _ in key.named_buffers()] == ["bias_mask"]
    assert [type(hook) for hook in key._forward_pre_hooks.values()] == [prune.L1Unstructured]


def test_by_type(kobert):
    recipe = bp.Recipe(
        steps=[
            bp.Step(method="l1_unstructured", fraction=0.2, select=bp.Selection(types="Embedding")),
            bp.Step(method="l1_unstructured", fraction=0.4, select=bp.Selection(types="Linear")),
        ]
    )
    run = bp.prune(kobert, recipe)
    assert sum(record.local.endswith("_mask") for record in run.after.buffers) == 76
    for outcome, fraction in zip(run.steps, (0.2, 0.4), strict=True):
        assert all(tensor.removed == round(fraction * tensor.size) for tensor in outcome.tensors)
    assert sum(tensor.size for outcome in run.steps for tensor in outcome.tensors) == 92_064_768


def test_globally_over_query_key_value(kobert):
    step = bp.Step(method="l1_unstructured", fraction=0.2, scope="global", select=QKV)
    assert bp.preview(kobert, step).steps[0].removed == (4_246_733, 4_246_733)
    run = bp.prune(kobert, step)
    assert (run.report.total.masked, run.report.total.size) == (4_246_733, 21_233_664)
    assert f"{run.report.total.sparsity:.2%}" == "20.00%"
    shares = {tensor.count.sparsity for tensor in run.report.targets}
    assert len(run.report.targets) == 36 and len(shares) > 30
    assert set(run.report.by("layer")) == set(range(12)) and set(run.report.by("role")) == set(QKV.roles)
    assert "20.00" in run.report.to_text()
    kept = torch.cat([tensor.abs().flatten() for tensor in _values(run, True)]).min()
    gone = torch.cat([tensor.abs().flatten() for tensor in _values(run, False)]).max()
    assert gone <= kept


def _values(run, alive):
    parameters = dict(run.checkpoint.model().named_parameters())
    return [parameters[name].detach()[mask == alive] for name, mask in run.masks.items()]

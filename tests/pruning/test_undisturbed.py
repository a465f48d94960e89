"""What a recipe chooses does not depend on the context that it is called from."""

import torch

import bertprune as bp
from tests.model.tiny_families import KNOWN, build
from tests.pruning.test_calibrated import texts

PARTS = bp.Selection(roles=["attention.query", "ffn.output"])
STEPS = [
    bp.Step(method="wanda", fraction=0.5, scope="row", select=PARTS),
    bp.Step(method="obs", fraction=0.5, select=PARTS, reconstruct=True),
    bp.Step(method="fisher", granularity="neuron", fraction=0.5, scope="global"),
    bp.Step(method="layer_change", granularity="layer", count=1),
]


def pruned(step, model=None):
    model = model or build(*KNOWN["bert"])
    bp.apply(model, step, calibration=texts())
    return model.state_dict()


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_autocast_changes_no_choice_and_no_value(subtests):
    for step in STEPS:
        with subtests.test(str(step)):
            expected = pruned(step)
            with torch.autocast("cpu", dtype=torch.bfloat16):
                found = pruned(step)
            assert same(found, expected)


def test_inference_mode_changes_nothing_either(subtests):
    for step in STEPS:
        with subtests.test(str(step)):
            expected = pruned(step)
            with torch.inference_mode():
                assert same(pruned(step), expected)
                batches = [{name: value.clone() for name, value in batch.items()} for batch in texts()]
                model = build(*KNOWN["bert"])
                assert batches[0]["input_ids"].is_inference() and next(model.parameters()).is_inference()
                bp.apply(model, step, calibration=batches)
            assert same(model.state_dict(), expected)


def test_autocast_does_not_round_the_scores_of_a_method_of_ones_own(temporary_methods):
    @bp.method("by_product")
    def by_product(weight):
        return (weight @ weight.T @ weight).abs()

    step = bp.Step(method="by_product", fraction=0.5, select=bp.Selection(roles="attention.query"))
    expected = pruned(step)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert same(pruned(step), expected)

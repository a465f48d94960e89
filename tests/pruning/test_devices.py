"""Models that are not on the CPU: whatever a step makes is on the device of what it is made from."""

from itertools import product

import pytest
import torch

import bertprune as bp
from tests.model.tiny_families import KNOWN, build
from tests.pruning.test_calibrated import texts

PARTS = bp.Selection(roles=["attention.query", "ffn.output"])
STEPS = [
    bp.Step(method="l1_unstructured", fraction=0.5, scope="global"),
    bp.Step(method="random_structured", fraction=0.5, options={"dim": 0}),
    bp.Step(method="magnitude", granularity="2:4", select=PARTS),
    bp.Step(method="magnitude", granularity="block:2x2", fraction=0.5, select=PARTS),
    bp.Step(method="wanda", fraction=0.5, scope="row", select=PARTS),
    bp.Step(method="obs", fraction=0.5, select=PARTS, reconstruct=True),
    bp.Step(method="obs", fraction=0.5, select=PARTS, scope="row", reconstruct=True),
    bp.Step(method="obs", granularity="2:4", select=PARTS, reconstruct=True),
    bp.Step(method="obs", granularity="column", fraction=0.5, select=PARTS),
    bp.Step(method="obs", granularity="neuron", fraction=0.5, reconstruct=True),
    bp.Step(method="obs", granularity="head", count=1, reconstruct=True),
    bp.Step(method="fisher", fraction=0.5, select=PARTS),
    bp.Step(method="fisher", granularity="neuron", fraction=0.5, scope="global"),
]


def masks(model):
    return {name: buffer for name, buffer in model.named_buffers() if name.endswith("_mask")}


def test_nothing_is_made_on_a_default_device(subtests):
    """A default device that holds no values stands for a GPU: what is made there cannot be computed with."""
    for name, step in product(["bert", "roberta", "camembert", "modernbert"], STEPS):
        model, batches = build(*KNOWN[name]), texts()
        with subtests.test(f"{name}, {step}"), torch.device("meta"):
            bp.apply(model, step, calibration=batches)
        assert masks(model) and all(mask.device.type == "cpu" for mask in masks(model).values())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_the_same_is_chosen(subtests):
    for texts_on, step in product(["cpu", "cuda"], STEPS):
        batches = [{name: value.to(texts_on) for name, value in batch.items()} for batch in texts()]
        on_cpu, on_gpu = build(*KNOWN["bert"]), build(*KNOWN["bert"]).cuda()
        with subtests.test(f"{texts_on}, {step}"):
            bp.apply(on_cpu, step, calibration=texts())
            bp.apply(on_gpu, step, calibration=batches)
            expected, found = masks(on_cpu), masks(on_gpu)
            same = sum(int((expected[name] == found[name].cpu()).sum()) for name in expected)
            assert same >= 0.99 * sum(mask.numel() for mask in expected.values())
            assert all(value.is_cuda for value in on_gpu.state_dict().values())

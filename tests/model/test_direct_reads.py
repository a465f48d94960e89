"""A weight that is read without its module being called is derived again all the same, before each forward pass."""

import copy

import pytest
import torch
from torch import nn

import bertprune as bp

from .tiny_families import SMALL, build

STEP = bp.Step(method="l1_unstructured", fraction=0.5)


class Reads(nn.Module):
    """Reads the weight of one child, asks another for a dtype, and calls it."""

    def __init__(self) -> None:
        super().__init__()
        self.read, self.called, self.both = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        inputs = self.called(inputs.to(self.called.weight.dtype))
        return self.both(inputs) @ self.read.weight.t() + self.both.weight.sum()


class Attends(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, dropout=0.0)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.layer(inputs)


def mobilebert() -> nn.Module:
    values = SMALL | {"true_hidden_size": 32, "intra_bottleneck_size": 32, "embedding_size": 16}
    return build("MobileBertForMaskedLM", "MobileBertConfig", values)


MODELS = {
    "own": (Reads, torch.ones(2, 4)),
    "attention": (Attends, torch.ones(2, 3, 8)),
    "mobilebert": (mobilebert, torch.tensor([[2, 7, 11, 13]])),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_pruned_model_trains(name: str) -> None:
    """Twice forward and back, then other values: the outputs are those of the masked values, as baking shows."""
    make, inputs = MODELS[name]
    model = make().eval()
    bp.apply(model, STEP)
    for _ in range(2):
        found = model(inputs)
        (found if isinstance(found, torch.Tensor) else found[0]).sum().backward()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.linspace(0, 0.1, parameter.numel()).view(parameter.shape))
        trained = model(inputs)
        baked = bp.bake(model)(inputs)
    if not isinstance(trained, torch.Tensor):
        trained, baked = trained[0], baked[0]
    assert torch.equal(trained, baked)


def test_the_parent_has_one_hook_for_it_until_the_last_such_weight_is_baked() -> None:
    model = MODELS["own"][0]()
    bp.apply(model, STEP)
    bp.apply(model, STEP)
    assert [hook.name for hook in bp.snapshot(model).module("").hooks] == ["DeriveChildren"]
    bp.bake(model, "called")
    assert bp.snapshot(model).module("").hooks
    bp.bake(model, "read")
    assert bp.snapshot(model).module("").hooks == ()


def test_a_copy_derives_its_own() -> None:
    model = MODELS["own"][0]()
    bp.apply(model, STEP)
    with torch.no_grad():
        model(torch.ones(1, 4))
        mine = copy.deepcopy(model)
        mine.read.weight_orig.zero_()
        mine(torch.ones(1, 4))
    assert not mine.read.weight.any()
    assert model.read.weight.any()

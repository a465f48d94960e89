"""A weight that is read without its module being called is derived again all the same, before each forward pass."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import prune

import bertprune as bp

from .tiny_families import KNOWN, SMALL, build

HALF = bp.Step(method="l1_unstructured", fraction=0.5)
INPUTS = torch.linspace(-1, 1, 12).view(3, 4)
IDS = torch.tensor([[2, 7, 11, 13]])


def linear() -> nn.Linear:
    return nn.Linear(4, 4)


def applied(layer: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    return F.linear(inputs, layer.weight)


class Scaled(nn.Linear):
    def scaled(self, inputs: torch.Tensor) -> torch.Tensor:
        return super().forward(2 * inputs)


class Applies(nn.Module):
    def forward(self, inputs: torch.Tensor, layer: nn.Module) -> torch.Tensor:
        return F.linear(inputs, layer.weight)


class Inner(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.leaf = linear()

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.leaf(inputs)

    def backwards(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs @ self.leaf.weight


class Whole(nn.Module):
    """A module whose children are used in one of many ways."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        self.child, self.scaled, self.inner, self.applies = linear(), Scaled(4, 4), Inner(), Applies()
        self.many = nn.ModuleList([linear(), Inner()])
        self.hidden = [self.child]

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return getattr(self, self.way)(inputs)

    def called(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.child(inputs.to(self.child.weight.dtype))

    def read(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs @ self.child.weight

    def read_before_it_is_called(self, inputs: torch.Tensor) -> torch.Tensor:
        before = self.child.weight.sum()
        return self.child(inputs) + before

    def read_two_levels_down(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs @ self.inner.leaf.weight

    def read_from_a_list(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs @ self.many[0].weight @ self.many[1].leaf.weight

    def read_in_a_loop(self, inputs: torch.Tensor) -> torch.Tensor:
        return sum(inputs @ one.weight for one in (self.child, self.inner.leaf))

    def read_by_another_name(self, inputs: torch.Tensor) -> torch.Tensor:
        layer = self.inner.leaf
        return inputs @ layer.weight

    def read_of_what_is_hidden(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs @ self.hidden[0].weight

    def read_by_getattr(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs @ getattr(self.child, "weight")  # noqa: B009

    def read_by_a_property(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs @ self.own

    @property
    def own(self) -> torch.Tensor:
        return self.child.weight

    def read_by_a_function(self, inputs: torch.Tensor) -> torch.Tensor:
        return applied(self.inner.leaf, inputs)

    def read_by_another_module(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.applies(inputs, self.inner.leaf)

    def used_by_its_method(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.scaled.scaled(inputs)

    def used_by_its_forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.child.forward(inputs)

    def used_by_its_class(self, inputs: torch.Tensor) -> torch.Tensor:
        return nn.Linear.forward(self.child, inputs)

    def used_by_a_method_of_what_holds_it(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.inner.backwards(inputs) + self.many[1].backwards(inputs)


WAYS = [name for name in vars(Whole) if name.startswith(("called", "read", "used"))]


def mobilebert() -> nn.Module:
    values = SMALL | {"true_hidden_size": 32, "intra_bottleneck_size": 32, "embedding_size": 16}
    return build("MobileBertForMaskedLM", "MobileBertConfig", values)


def prophetnet() -> nn.Module:
    sizes = {"hidden_size": 32, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "vocab_size": 97}
    layers = {f"num_{part}_{what}": 2 for part in ("encoder", "decoder") for what in ("layers", "attention_heads")}
    return build("ProphetNetForCausalLM", "ProphetNetConfig", sizes | layers | {"is_decoder": True})


MODELS: dict[str, tuple[Callable[[], nn.Module], torch.Tensor]] = {
    **{way: (lambda way=way: Whole(way), INPUTS) for way in WAYS},  # type: ignore[misc]
    "attention": (lambda: nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True), torch.ones(2, 3, 8)),
    "mobilebert": (mobilebert, IDS),
    "prophetnet": (prophetnet, IDS),
    **{name: (lambda name=name: build(*KNOWN[name]), IDS) for name in KNOWN},  # type: ignore[misc]
}


def trained(name: str) -> tuple[Any, torch.Tensor]:
    """Make a model that is pruned everywhere and trained for two steps, and its inputs."""
    make, inputs = MODELS[name]
    model = make().eval()
    bp.apply(model, HALF)
    for number in range(2):
        output(model, inputs).square().sum().backward()
        change(model, number)
    return model, inputs


def output(model: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    found: Any = model(inputs)
    return found if isinstance(found, torch.Tensor) else found[0]


def change(model: nn.Module, number: int) -> None:
    """Stand for a step of training."""
    model.zero_grad()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.linspace(0, 0.05 + 0.01 * number, parameter.numel()).view(parameter.shape))


def gradients(model: nn.Module) -> dict[str, torch.Tensor]:
    """Return the gradients by the names that the tensors have without masks."""
    found = {name.removesuffix("_orig"): one.grad for name, one in model.named_parameters()}
    return {name: grad.clone() for name, grad in found.items() if grad is not None}


def test_outputs_and_gradients_are_those_of_the_masked_values_as_they_are_now(subtests: pytest.Subtests) -> None:
    for name in MODELS:
        with subtests.test(name):
            model, inputs = trained(name)
            found = output(model, inputs)
            found.square().sum().backward()
            ours, masks = gradients(model), {name.removesuffix("_mask"): mask for name, mask in model.named_buffers()}
            bp.bake(model).zero_grad()
            expected = output(model, inputs)
            expected.square().sum().backward()
            assert torch.equal(found, expected)
            plain = gradients(model)
            assert ours.keys() == plain.keys()
            for path, gradient in plain.items():
                torch.testing.assert_close(ours[path], gradient * masks.get(path, 1))
            model, _ = trained(name)
            with torch.no_grad():  # where torch may take a shorter way, as in its own encoder layers
                assert torch.equal(output(model, inputs), output(bp.bake(model), inputs))


def hooked(model: nn.Module) -> set[str]:
    return {hook.module for hook in bp.snapshot(model).hooks if not hook.tensor}


def test_only_the_module_around_has_a_hook_for_it_until_the_last_such_weight_is_baked() -> None:
    model = Whole("called")
    bp.apply(model, HALF)
    bp.apply(model, HALF)
    assert [hook.name for hook in bp.snapshot(model).module("").hooks] == ["DeriveInside"]
    bp.bake(model, "scaled")
    assert hooked(model) == {""}
    bp.bake(model)
    assert hooked(model) == set()


def test_nothing_is_derived_twice_where_modules_are_called(subtests: pytest.Subtests) -> None:
    for name in sorted(KNOWN):
        with subtests.test(name):
            model = build(*KNOWN[name])
            bp.apply(model, HALF)
            assert bool(hooked(model)) == name.startswith(("deberta", "t5"))


def test_a_copy_derives_its_own() -> None:
    model = Whole("read")
    bp.apply(model, HALF)
    with torch.no_grad():
        model(INPUTS)
        mine = copy.deepcopy(model)
        mine.child.weight_orig.zero_()
        mine(INPUTS)
    assert not mine.child.weight.any()
    assert model.child.weight.any()


def test_a_part_that_is_gone_is_no_longer_derived() -> None:
    model = Whole("called")
    bp.apply(model, HALF)
    del model.inner
    assert model(INPUTS).shape == (3, 4)


def test_a_model_that_torch_has_pruned_is_derived_too_once_it_is_pruned_further() -> None:
    model = Whole("read")
    prune.l1_unstructured(model.child, "weight", 0.5)
    bp.apply(model, HALF.model_copy(update={"select": bp.Selection(include="scaled")}))
    with torch.no_grad():
        model.child.weight_orig.zero_()
        assert not model(INPUTS).any()

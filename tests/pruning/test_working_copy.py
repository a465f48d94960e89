"""A copy computes without the neurons that give nothing, answers the same, and is whole again afterwards."""

import torch

from bertprune.model.coupled import find_coupled
from bertprune.pruning.working_copy import narrowed, plain_copy
from bertprune.selection import Selection
from tests.model.tiny_families import KNOWN, OWN_LAYERS, build, outputs


def test_a_narrowed_copy_answers_the_same_and_is_whole_again(subtests):
    for family in OWN_LAYERS:
        with subtests.test(family):
            model = plain_copy(build(*KNOWN[family]))
            neurons = find_coupled(model, "neuron", Selection())
            for one in neurons:
                one.output.parameter[:, ::2] = 0.0
            before, shapes = outputs(model), shapes_of(model)
            with narrowed(model, {neurons[-1].inputs[0][0].name}):
                inside = shapes_of(model)
                assert torch.allclose(outputs(model), before, atol=1e-6)
            changed = {name for name in shapes if inside[name] != shapes[name]}
            assert changed == {target.name for one in neurons[:-1] for target in one.targets}
            assert shapes_of(model) == shapes and torch.equal(outputs(model), before)


def shapes_of(model):
    return {name: one.shape for name, one in model.named_parameters()}

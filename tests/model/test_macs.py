"""MACs of the encoder's layers, worked out by hand, and what masks save of them."""

import torch

import bertprune as bp
from bertprune.model.macs import encoder_macs
from tests.model.tiny_families import KNOWN, SMALL, build

PROJECTION = 32 * 32
NEURON = 2 * 32
"""What a neuron of a plain layer takes for a token: its row, and its column."""


def attention(length):
    """Query, key, value, output; then every token with every other, for the weights and for the sum."""
    return 4 * PROJECTION + 2 * length * 32


BY_HAND = [
    ("bert", lambda length: attention(length) + 48 * NEURON, 2),
    ("distilbert", lambda length: attention(length) + 48 * NEURON, 2),
    ("albert", lambda length: attention(length) + 48 * NEURON, 3),  # one layer, used three times
    ("albert-groups", lambda length: attention(length) + 48 * NEURON, 5),
    ("modernbert", lambda length: attention(length) + 48 * 3 * 32, 2),  # two inputs of a gate
    ("nomicbert", lambda length: attention(length) + 48 * 3 * 32, 2),
    ("eurobert", lambda length: attention(length) - PROJECTION + 48 * 3 * 32, 2),  # half as many keys and values
    ("t5", lambda length: attention(length) + 48 * NEURON, 2),
]


def test_macs_are_those_worked_out_by_hand(subtests):
    for name, of_a_layer, layers in BY_HAND:
        with subtests.test(name):
            model = build(*KNOWN[name])
            for length in (1, 10):
                assert encoder_macs(model, length) == length * layers * of_a_layer(length)


def test_macs_are_those_that_a_pass_multiplies():
    from torch.utils.flop_counter import FlopCounterMode

    model = build("BertModel", "BertConfig", SMALL | {"attn_implementation": "eager"})
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.encoder(torch.zeros(1, 7, 32))
    assert encoder_macs(model, 7) == counter.get_total_flops() / 2


def test_heads_and_neurons_that_are_gone_take_none():
    model = build(*KNOWN["bert"])
    dense = encoder_macs(model, 10)
    bp.apply(model, bp.Step(method="magnitude", granularity="neuron", count=8))
    assert encoder_macs(model, 10) == dense - 10 * 2 * 8 * NEURON
    bp.apply(model, bp.Step(method="magnitude", granularity="head", count=1, select=bp.Selection(layers=[0])))
    less = dense - 10 * (2 * 8 * NEURON + attention(10) / 4)
    assert encoder_macs(model, 10) == less
    assert encoder_macs(bp.bake(model), 10) == less


def test_single_weights_that_are_gone_save_nothing():
    model = build(*KNOWN["bert"])
    dense = encoder_macs(model, 10)
    bp.apply(model, bp.Step(method="magnitude", fraction=0.5, select=bp.Selection(roles="ffn.output")))
    assert encoder_macs(model, 10) == dense


def test_global_scope_ranks_neurons_by_score_per_mac():
    model = build(*KNOWN["albert-groups"])  # groups of layers that are used three times and twice
    bp.apply(model, bp.Step(method="magnitude", granularity="neuron", fraction=0.5, scope="global"))
    costs, gone, scores = [], [], []
    for group, uses in enumerate((3, 2)):
        layer = model.encoder.albert_layer_groups[group].albert_layers[0]
        inside, out = layer.ffn, layer.ffn_output
        members = torch.cat([inside.weight_orig, inside.bias_orig[:, None], out.weight_orig.T], dim=1)
        scores.append(members.detach().double().norm(dim=1) ** 2 / uses)
        gone.append(~out.weight_mask.any(0))
        costs.append(uses)
    together = torch.cat(scores)
    assert torch.equal(torch.cat(gone), together <= together.sort().values[47])
    assert gone[0].sum() > gone[1].sum()

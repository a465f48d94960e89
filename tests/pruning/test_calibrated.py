"""Steps that read calibration texts, on tiny models of every family: they choose, adjust, and leave the model alone."""

from itertools import product

import numpy as np
import pytest
import torch

import bertprune as bp
from bertprune.data.held_back import given_batches
from bertprune.data.outputs import output_of
from bertprune.errors import BertpruneError
from bertprune.model.families import layers
from bertprune.pruning.calibrated import Calibrator
from bertprune.pruning.decide import decide
from bertprune.pruning.walk import Walk
from tests.model.tiny_families import KNOWN, OWN_LAYERS, SMALL, build

ENCODER = bp.Selection(roles=["attention.query", "attention.output", "ffn.intermediate", "ffn.output"])


def texts(seed=0, count=10, longest=9):
    """Make padded batches of made-up texts."""
    generator = torch.Generator().manual_seed(seed)
    batches = []
    for _ in range(2):
        lengths = torch.randint(4, longest + 1, (count,), generator=generator)
        ids = torch.randint(3, 97, (count, longest), generator=generator)
        mask = (torch.arange(longest) < lengths[:, None]).long()
        batches.append({"input_ids": ids * mask, "attention_mask": mask})
    return batches


def of_length(length):
    """Make a batch of 20 texts without padding."""
    ids = torch.randint(3, 97, (20, length), generator=torch.Generator().manual_seed(length))
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def decided(model, *steps, seed=0):
    return decide(model, bp.Recipe(steps=steps), seed, batches=given_batches(texts()))


def test_the_walk_gives_what_a_pass_of_the_model_gives(subtests):
    for name in KNOWN:
        with subtests.test(name):
            model = build(*KNOWN[name])
            batches = given_batches(texts())
            walk = Walk(model, batches, output_of(model))
            assert walk.drift() == pytest.approx(0, abs=1e-6)
            seen, first = {}, list(layers(model).values())[-1][1]
            linear = next(module for module in first.modules() if isinstance(module, torch.nn.Linear))
            found = walk.inputs(len(layers(model)) - 1, [linear], True)

            def keep(module, args, batch, back):
                mask = batch["attention_mask"] != 0
                given = args[0]
                rows = given[mask] if given.shape[:2] == mask.shape else given.reshape(-1, given.shape[-1])
                seen.setdefault(back, []).append(rows.double())

            for batch, back in zip(batches.used, batches.held_back, strict=True):
                handle = linear.register_forward_pre_hook(
                    lambda module, args, now=(batch, back): keep(module, args, *now)
                )
                with torch.no_grad():
                    model(**batch)
                handle.remove()
            for one, rows in zip(found, (torch.cat(seen[False] + seen[True]), torch.cat(seen[False])), strict=True):
                inputs = one.of(linear)
                assert inputs.tokens == len(rows)
                assert torch.allclose(inputs.gram, rows.T @ rows, rtol=1e-4, atol=1e-4)
                assert torch.allclose(inputs.norms.double(), rows.norm(dim=0), rtol=1e-4)


def test_a_layer_that_is_called_in_pieces_is_read_to_the_end():
    """A feed-forward part that takes four tokens at a time is called once for the first batch, and then three times."""
    lengths = [4, 12, 12]
    batches = given_batches([of_length(length) for length in lengths])
    found = []
    for size in (0, 4):
        model = build(*KNOWN["bert"])
        for _, layer in layers(model).values():
            layer.chunk_size_feed_forward = size
        linear = layers(model)[0][1].intermediate.dense
        every, _ = Walk(model, batches, output_of(model)).inputs(0, [linear], False)
        found.append(every.of(linear))
    assert [one.tokens for one in found] == [20 * sum(lengths)] * 2
    assert torch.allclose(found[0].norms, found[1].norms)


def test_groups_go_with_all_their_parts_and_what_stays_is_adjusted(subtests):
    for name, granularity in product(OWN_LAYERS, ["neuron", "head"]):
        with subtests.test(f"{name}, {granularity}"):
            model = build(*KNOWN[name])
            before = {key: value.clone() for key, value in model.state_dict().items()}
            state = torch.get_rng_state(), np.random.get_state()[1].tolist()
            step = bp.Step(method="obs", granularity=granularity, count=1, reconstruct=True)
            decision = decided(model, step)
            assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
            assert torch.equal(torch.get_rng_state(), state[0]) and np.random.get_state()[1].tolist() == state[1]
            (outcome,) = decision.outcomes
            assert {(tensor.slices_before or 0) - (tensor.slices_removed or 0) for tensor in outcome.tensors} == {
                (outcome.tensors[0].slices_before or 0) - 1
            }
            assert len(outcome.reconstructions) == len(layers(model))
            for one in outcome.reconstructions:
                assert one.kept == (one.drift_with < one.drift_without)
            changed = [name for name, value in decision.values.items() if not torch.equal(value, before[name])]
            assert bool(changed) == any(one.kept for one in outcome.reconstructions)


def test_the_rows_of_a_group_say_nothing_once_its_columns_are_gone(subtests):
    for name, granularity in product(OWN_LAYERS, ["neuron", "head"]):
        with subtests.test(f"{name}, {granularity}"):
            pruned, columns_only = build(*KNOWN[name]), build(*KNOWN[name])
            step = bp.Step(method="magnitude", granularity=granularity, count=1)
            bp.apply(pruned, step)
            outputs = {
                path: module.weight_mask
                for path, module in pruned.named_modules()
                if hasattr(module, "weight_mask")
                and not module.weight_mask.all(0).all()
                and module.weight_mask.all(1).sum() == 0
            }
            assert outputs
            for path, mask in outputs.items():
                columns_only.get_submodule(path).weight.data *= mask
            ids = texts()[0]
            with torch.no_grad():
                assert torch.allclose(pruned(**ids)[0], columns_only(**ids)[0], atol=1e-5)


SCORED = [
    bp.Step(method="wanda", fraction=0.5, scope="row", select=ENCODER),
    bp.Step(method="wanda", fraction=0.5, scope="global", granularity="column", select=ENCODER),
    bp.Step(method="obs", fraction=0.5, reconstruct=True, select=ENCODER),
    bp.Step(method="obs", granularity="2:4", reconstruct=True, select=ENCODER),
    bp.Step(method="obs", fraction=0.25, scope="global", granularity="block:4x4", reconstruct=True, select=ENCODER),
    bp.Step(method="fisher", fraction=0.5, scope="global", select=ENCODER),
    bp.Step(method="fisher", fraction=0.5, granularity="neuron", scope="global"),
    bp.Step(method="l1_unstructured", fraction=0.5, reconstruct=True, select=ENCODER),
]


def test_the_same_texts_and_seed_choose_the_same_and_exactly_as_much(subtests):
    for name, step in product(["bert", "albert", "modernbert"], SCORED):
        with subtests.test(f"{name}, {step}"):
            one, other = (decided(build(*KNOWN[name]), step, seed=3) for _ in range(2))
            assert all(torch.equal(mask, other.masks[key]) for key, mask in one.masks.items())
            assert all(torch.equal(value, other.values[key]) for key, value in one.values.items())
            outcome = one.outcomes[0]
            if step.fraction and step.granularity is None and step.scope == "global":
                assert outcome.removed == round(step.fraction * outcome.alive_before)
            assert outcome.removed == sum(int((~mask).sum()) for mask in one.masks.values())


def test_steps_in_the_order_of_the_layers_cost_one_walk():
    model = build("BertModel", "BertConfig", KNOWN["bert"][2] | {"num_hidden_layers": 4})
    calls = []
    for number, (_, layer) in layers(model).items():
        layer.register_forward_pre_hook(lambda module, args, number=number: calls.append(number))
    steps = [bp.Step(method="wanda", fraction=0.5, select=bp.Selection(layers=[number])) for number in range(4)]
    calibrator_batches = given_batches(texts())
    decide(model, bp.Recipe(steps=steps), batches=calibrator_batches)
    batches = len(calibrator_batches.used)
    assert calls == [0, 1, 2, 3] * batches or len(calls) <= 3 * 4 * batches


def test_a_pattern_that_does_not_divide_the_columns_chosen_together_is_exact():
    model = build("BertModel", "BertConfig", SMALL | {"intermediate_size": 144})
    step = bp.Step(method="obs", granularity="3:6", reconstruct=True, select=bp.Selection(roles="ffn.output"))
    for mask in decided(model, step).masks.values():
        assert (mask.view(-1, 6).sum(1) == 3).all()


def test_without_texts_it_says_what_it_needs(tiny_folder, subtests):
    for method in ["wanda", "obs", "fisher"]:
        with subtests.test(method):
            with pytest.raises(BertpruneError, match="needs calibration texts: a few hundred") as caught:
                bp.prune(tiny_folder(), bp.Step(method=method, fraction=0.5, select="encoder.*"))
            assert caught.value.code == "calibration.needed"


def test_too_few_texts_to_hold_one_back():
    model = build(*KNOWN["bert"])
    batches = given_batches([{key: value[:3] for key, value in texts()[0].items()}])
    step = bp.Step(method="obs", granularity="neuron", count=1, reconstruct=True)
    with pytest.raises(BertpruneError) as caught:
        decide(model, bp.Recipe(steps=[step]), batches=batches)
    assert caught.value.code == "calibration.too_few"


def test_a_model_whose_layers_are_not_known_is_refused():
    model = torch.nn.Sequential(torch.nn.Linear(4, 4))
    with pytest.raises(BertpruneError) as caught:
        Calibrator(model, given_batches([{"input": torch.ones(5, 4)}]), output_of(model))
    assert caught.value.code == "calibration.no_layers"

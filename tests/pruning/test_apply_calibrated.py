"""`bp.apply` with batches: the model's own parameters get the new values, and nothing is changed where it fails."""

import pytest
import torch

import bertprune as bp
from bertprune.errors import BertpruneError
from tests.tiny_models import make_model

IDS = torch.arange(80).view(10, 8) + 5
MASK = torch.ones_like(IDS).index_fill(1, torch.tensor([6, 7]), 0)
NEURONS = bp.Step(method="obs", granularity="neuron", fraction=0.5, reconstruct=True)


def batches():
    return [{"input_ids": IDS[:6], "attention_mask": MASK[:6]}, {"input_ids": IDS[6:], "attention_mask": MASK[6:]}]


def test_parameters_that_an_optimizer_knows_get_the_new_values(subtests):
    for model_cls in ["BertModel", "BertForSequenceClassification", "BertForMaskedLM"]:
        with subtests.test(model_cls):
            model = make_model(model_cls).train()
            before = {name: value.clone() for name, value in model.state_dict().items()}
            known = {id(parameter) for parameter in model.parameters()}
            (outcome,) = bp.apply(model, NEURONS, calibration=batches())
            assert model.training and {id(parameter) for parameter in model.parameters()} == known
            changed = [
                name
                for name, value in model.state_dict().items()
                if name.endswith("_orig") and not torch.equal(value, before[name.removesuffix("_orig")])
            ]
            assert len(changed) == sum(one.kept for one in outcome.reconstructions)
            assert changed or model_cls == "BertForSequenceClassification"  # where it does not help
            assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())
            model(input_ids=IDS)[0].sum().backward()


def test_it_is_what_a_run_does(tiny_folder):
    """On texts of one length, so that both see the same batches."""
    folder = tiny_folder("BertModel")
    texts = [f"the film was {word} and {other}" for word in ("good", "bad", "fine") for other in ("great", "awful")]
    run = bp.prune(folder, NEURONS, calibration=texts)
    drawn = [texts[row] for row in bp.Calibration(texts).draw(0)]
    encoded = dict(run.checkpoint.tokenizer()(drawn, return_tensors="pt"))
    model = run.checkpoint.load(0)
    bp.apply(model, NEURONS, calibration=[encoded])
    assert all(torch.equal(mask, model.state_dict()[f"{name}_mask"]) for name, mask in run.masks.items())
    for name, value in run.values.items():
        assert torch.allclose(model.state_dict()[f"{name}_orig"], value, atol=1e-5)


WRONG = {
    "nothing": (None, "calibration.needed"),
    "a number": (3, "calibration.batches"),
    "one batch": ({"input_ids": IDS}, "calibration.batches"),
    "texts": (["good film"], "calibration.batch"),
    "no batches": ([], "calibration.no_batches"),
    "other lengths": ([{"input_ids": IDS, "attention_mask": MASK[:3]}], "calibration.batch_shapes"),
    "a number in a batch": ([{"input_ids": torch.tensor(1)}], "calibration.batch_shapes"),
    "no text in a batch": ([{"input_ids": IDS[:0]}], "calibration.batch_shapes"),
    "an unknown token": ([{"input_ids": IDS + 1000}], "calibration.model_failed"),
    "too few": ([{"input_ids": IDS[:4]}], "calibration.too_few"),
}


def test_what_is_no_batch_is_refused_and_the_model_stays(tiny_bert, subtests):
    for given in WRONG:
        with subtests.test(given):
            calibration, code = WRONG[given]
            before = {name: value.clone() for name, value in tiny_bert.state_dict().items()}
            with pytest.raises(BertpruneError) as caught:
                bp.apply(tiny_bert, NEURONS, calibration=calibration)
            assert caught.value.code == code and "\n" not in str(caught.value)
            assert list(before) == list(tiny_bert.state_dict())
            assert all(torch.equal(value, before[name]) for name, value in tiny_bert.state_dict().items())


def test_a_bp_calibration_is_for_checkpoints(tiny_bert):
    with pytest.raises(BertpruneError, match="calibration is Calibration: expected a list of batches"):
        bp.apply(tiny_bert, NEURONS, calibration=bp.Calibration(["good film"] * 9))

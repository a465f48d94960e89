"""What a method of one's own is given is read-only: the weight, its mask, and the statistics of calibration texts."""

from itertools import product

import pytest
import torch
from torch.nn.utils import prune

import bertprune as bp
from tests.scores.own_methods import matrix, refusal
from tests.tiny_models import make_model

pytestmark = pytest.mark.usefixtures("temporary_methods")


def write_weight(weight):
    """Centre in place, by mistake."""
    return weight.sub_(weight.mean()).abs_()


def write_data(weight):
    """Write past autograd's eyes."""
    weight.data.mul_(2)
    return weight.abs()


def write_array(weight):
    """Write through NumPy."""
    weight.numpy()[0] += 1
    return weight.abs()


def write_mask(weight, *, mask=None):
    """Revive everything."""
    if mask is not None:
        mask.fill_(True)
    return weight.abs()


def write_rows(weight, *, dim: int = 0):
    """Write where slices are scored."""
    return weight.abs_().sum(1 - dim)


def write_piece(weight):
    """Write into the NumPy piece."""
    weight *= -1
    return weight


class WriteDefault(prune.BasePruningMethod):
    """Write into the default mask."""

    PRUNING_TYPE = "unstructured"

    def __init__(self, amount):
        self.amount = amount

    def compute_mask(self, t, default_mask):
        default_mask[:2] = False
        return default_mask


class WriteValues(WriteDefault):
    """Write into the values."""

    PRUNING_TYPE = "global"

    def compute_mask(self, t, default_mask):
        t.zero_()
        return default_mask.clone()


WRITERS = {
    "weight": (write_weight, {}),
    "data": (write_data, {}),
    "array": (write_array, {}),
    "mask": (write_mask, {}),
    "rows": (write_rows, {"removes": "slice"}),
    "piece": (write_piece, {"elementwise": True}),
    "default mask": (WriteDefault, {}),
    "values": (WriteValues, {}),
}


def test_a_rule_that_writes_is_refused_and_nothing_is_damaged(subtests):
    for writer, (rule, settings) in WRITERS.items():
        bp.method("writer", **settings)(rule)
        for pruned, inference in product([True] if writer == "mask" else [False, True], [False, True]):
            model = matrix()
            with subtests.test(f"{writer}, {pruned}, {inference}"), torch.inference_mode(inference):
                if pruned:
                    bp.apply(model, bp.Step(method="l1_unstructured", fraction=0.5))
                refused = refusal(model, bp.Step(method="writer", count=1))
                assert refused.code == "method.writes"
                assert "0.weight" in str(refused) and "read-only" in str(refused)


def test_the_checkpoint_is_not_damaged_by_a_rule_that_writes(tiny_folder):
    bp.method("writer")(write_weight)
    checkpoint = bp.Checkpoint.open(tiny_folder("BertModel"))
    before = {name: value.clone() for name, value in checkpoint.model().state_dict().items()}
    with pytest.raises(bp.BertpruneError, match="writer writes into"):
        bp.prune(checkpoint, bp.Step(method="writer", fraction=0.5, select="pooler.dense"))
    assert all(torch.equal(value, before[name]) for name, value in checkpoint.model().state_dict().items())


def test_a_write_past_read_only_pieces_reaches_no_weight(recwarn):
    @bp.method("sly", elementwise=True)
    def sly(weight):
        """Write through torch, which ignores NumPy's flag."""
        return torch.from_numpy(weight).mul_(-1).numpy()

    model = matrix()
    before = model[0].weight.detach().clone()
    bp.apply(model, bp.Step(method="sly", count=3))
    assert torch.equal(model[0].weight_orig, before)


WRITES = {
    "inputs, norms": lambda weight, inputs, gradients: inputs.norms.zero_(),
    "inputs, gram": lambda weight, inputs, gradients: inputs.gram.numpy().fill(0),
    "gradients, squared": lambda weight, inputs, gradients: gradients.squared.data.add_(1),
    "gradients, columns": lambda weight, inputs, gradients: gradients.columns.mul_(2),
}


def with_inputs(write):
    @bp.method("writes")
    def writes(weight, *, inputs):
        write(weight, inputs, None)
        return weight.abs()


def with_gradients(write):
    @bp.method("writes")
    def writes(weight, *, gradients):
        write(weight, None, gradients)
        return weight.abs()


def test_statistics_are_read_only(subtests):
    step = bp.Step(method="writes", fraction=0.5, select="encoder.layer.0.*.query")
    batches = [{"input_ids": torch.arange(60).view(10, 6) + 5}]
    for what, write in WRITES.items():
        (with_inputs if what.startswith("inputs") else with_gradients)(write)
        with subtests.test(what):
            with pytest.raises(bp.BertpruneError) as caught:
                bp.apply(make_model("BertModel"), step, calibration=batches)
            assert caught.value.code == "method.writes"

"""What a user's method is given is read-only; what it raises is one line; what it returns is checked."""

from itertools import product

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import prune

import bertprune as bp
from tests.tiny_models import make_model

pytestmark = pytest.mark.usefixtures("temporary_methods")


def matrix(rows=4, columns=6):
    """Make a model of one weight; the global random state stays."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(columns, rows, bias=False))


def refusal(model, *steps):
    """Apply steps that must be refused, check that the model is as it was, and return the error."""
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(bp.BertpruneError) as caught:
        bp.apply(model, list(steps))
    after = model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert "\n" not in str(caught.value)
    return caught.value


class Awkward(Exception):
    """An exception of a user's own."""


RAISED = [
    AttributeError("typo"),
    NameError("name 'x' is not defined"),
    AssertionError("shape"),
    ImportError("scipy"),
    OSError(2, "no such file"),
    KeyError("layer"),
    RuntimeError(),
    Awkward("first line\nsecond line"),
    StopIteration(),
    MemoryError(),
    bp.BertpruneError("an error of ours"),
]


def raising(error):
    def rule(weight):
        """Fail."""
        raise error

    return rule


def raising_class(error, where):
    class Failing(prune.BasePruningMethod):
        """Fail."""

        PRUNING_TYPE = "unstructured"

        def __init__(self, amount):
            if where == "init":
                raise error

        def compute_mask(self, t, default_mask):
            raise error

    return Failing


WAYS = {
    "whole": lambda error: bp.method("bad")(raising(error)),
    "pieces": lambda error: bp.method("bad", elementwise=True)(raising(error)),
    "init": lambda error: bp.method("bad")(raising_class(error, "init")),
    "compute_mask": lambda error: bp.method("bad")(raising_class(error, "compute_mask")),
}


@pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)
def test_whatever_a_rule_raises_is_one_line_with_method_tensor_and_error(error):
    for way in WAYS.values():
        way(error)
        refused = refusal(matrix(), bp.Step(method="bad", fraction=0.5))
        assert isinstance(refused, bp.BertpruneError) and refused.code == "method.failed_on"
        assert str(refused).startswith("bad: 0.weight: " + type(error).__name__)
        assert refused.__cause__ is error  # so that the author sees where


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_ends_the_process_passes(error):
    for way in WAYS.values():
        way(error())
        with pytest.raises(error):
            bp.apply(matrix(), bp.Step(method="bad", fraction=0.5))


def test_a_rule_that_fails_in_a_thread_or_on_a_sample_only_is_named_too():
    @bp.method("bad", elementwise=True)
    def bad(weight):
        """Fail on what is not small."""
        if len(weight) > 1000:
            raise OSError("too much")
        return np.abs(weight)

    wide = nn.Sequential(*(nn.Linear(600, 600, bias=False) for _ in range(2)))
    for scope in ("local", "global"):
        refused = refusal(wide, bp.Step(method="bad", fraction=0.5, scope=scope))
        assert str(refused) in ("bad: 0.weight: OSError: too much", "bad: 1.weight: OSError: too much")


def test_the_step_and_the_cause_are_named_where_there_are_several():
    cause = AttributeError("typo")
    bp.method("bad")(raising(cause))
    good = bp.Step(method="l1_unstructured", fraction=0.2)
    refused = refusal(matrix(), good, bp.Step(method="bad", fraction=0.5))
    assert str(refused) == "step 2: bad: 0.weight: AttributeError: typo"
    assert refused.__cause__ is cause


BAD_SCORES = {
    "None": lambda weight: None,
    "a list": lambda weight: list(weight),
    "a number": lambda weight: 3.0,
    "too few": lambda weight: weight[:-2],
    "another shape": lambda weight: weight.reshape(2, -1),
    "bool": lambda weight: weight > 0,
    "complex": lambda weight: weight + 1j * weight,
    "NaN": lambda weight: weight * float("nan"),
}
BAD_TENSORS = {
    **BAD_SCORES,
    "an array": lambda weight: weight.numpy(),
    "sparse": lambda weight: weight.to_sparse(),
    "without values": lambda weight: weight.to("meta"),
}
BAD_ARRAYS = {
    **BAD_SCORES,
    "a tensor": lambda weight: torch.from_numpy(weight.copy()),
    "objects": lambda weight: weight.astype(object),
    "text": lambda weight: weight.astype(str),
    "masked": lambda weight: np.ma.masked_less(weight, 0),
}


@pytest.mark.parametrize(
    ("rule", "elementwise"),
    [(rule, False) for rule in BAD_TENSORS.values()] + [(rule, True) for rule in BAD_ARRAYS.values()],
    ids=[*BAD_TENSORS, *(f"{name} in pieces" for name in BAD_ARRAYS)],
)
def test_what_are_no_scores_is_refused_by_name(rule, elementwise):
    bp.method("bad", elementwise=elementwise)(lambda weight: rule(weight))
    for scope in ("local", "global"):
        refused = refusal(matrix(), bp.Step(method="bad", fraction=0.5, scope=scope))
        assert refused.code in ("method.scores", "method.array", "method.shape", "prune.nan_score")
        assert str(refused).startswith("bad: ") and "0.weight" in str(refused)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "longdouble", "int8", "int64", "uint16", ">f4"])
def test_real_scores_of_any_dtype_are_ranked(dtype):
    bp.method("ranks", elementwise=True)(lambda weight: (np.abs(weight) * 64).astype(dtype))
    model = matrix()
    (outcome,) = bp.apply(model, bp.Step(method="ranks", count=7))
    scores = (model[0].weight_orig.detach().abs() * 64).numpy().astype(dtype)
    kept = model[0].weight_mask.numpy()
    assert outcome.removed == 7 and scores[~kept].max() <= scores[kept].min()


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


@pytest.mark.parametrize("writer", WRITERS)
def test_a_rule_that_writes_is_refused_and_nothing_is_damaged(writer):
    rule, settings = WRITERS[writer]
    bp.method("writer", **settings)(rule)
    for pruned, inference in product([True] if writer == "mask" else [False, True], [False, True]):
        model = matrix()
        with torch.inference_mode(inference):
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


@pytest.mark.parametrize("size", [30, 600])
def test_scores_that_change_from_call_to_call_end_in_an_error(size):
    calls = np.random.default_rng(0)
    bp.method("restless", elementwise=True)(lambda weight: calls.permutation(len(weight)).astype("float32") % 3)
    model = matrix(size, size)
    refused_or_exact = None
    try:
        (outcome,) = bp.apply(model, bp.Step(method="restless", fraction=0.5))
        refused_or_exact = outcome.removed == size * size // 2
    except bp.BertpruneError as error:
        refused_or_exact = error.code == "prune.unsteady_scores"
    assert refused_or_exact


def masking(result, kind="unstructured"):
    class Masking(prune.BasePruningMethod):
        """Return whatever a test wants."""

        PRUNING_TYPE = kind

        def __init__(self, amount):
            self.amount = amount

        def compute_mask(self, t, default_mask):
            return result(default_mask.clone())

    return Masking


BAD_MASKS = {
    "None": (lambda mask: None, "method.mask"),
    "a list": (lambda mask: mask.tolist(), "method.mask"),
    "too few": (lambda mask: mask[:-1], "method.shape"),
    "one number": (lambda mask: torch.tensor(1.0), "method.shape"),
    "halves": (lambda mask: mask * 0.5, "method.mask"),
    "NaN": (lambda mask: mask * float("nan"), "method.mask"),
    "minus one": (lambda mask: -mask.int(), "method.mask"),
    "complex": (lambda mask: mask * 1j, "method.mask"),
    "without values": (lambda mask: mask.to("meta"), "method.mask"),
}


@pytest.mark.parametrize("case", BAD_MASKS)
def test_what_is_no_mask_is_refused_by_name(case):
    result, code = BAD_MASKS[case]
    for kind in ("unstructured", "global"):
        bp.method("bad")(masking(result, kind))
        refused = refusal(matrix(), bp.Step(method="bad", fraction=0.5))
        assert refused.code == code and str(refused).startswith("bad: ") and "0.weight" in str(refused)


def test_a_class_may_not_revive_what_is_pruned():
    bp.method("revive")(masking(torch.ones_like, "global"))
    l1 = bp.Step(method="l1_unstructured", count=5)
    refused = refusal(matrix(), l1, bp.Step(method="revive", fraction=0.5))
    assert refused.code == "method.revives" and refused.values["count"] == 5


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64, torch.float32, torch.float64])
def test_masks_of_any_dtype_are_taken(dtype):
    bp.method("third")(masking(lambda mask: mask.index_fill(0, torch.arange(0, 24, 3), False).to(dtype)))
    (outcome,) = bp.apply(matrix(), bp.Step(method="third", fraction=0.5))
    assert outcome.removed == 8


def test_an_unknown_pruning_type_is_refused_before_weights_are_read():
    bp.method("typed")(masking(lambda mask: mask, "striped"))
    with torch.device("meta"):
        shapes = matrix()
    with pytest.raises(bp.BertpruneError, match=r"PRUNING_TYPE must be one of .*, not 'striped'"):
        bp.apply(shapes, bp.Step(method="typed", fraction=0.5))


WRITES = {
    "inputs, norms": lambda weight, inputs, gradients: inputs.norms.zero_(),
    "inputs, gram": lambda weight, inputs, gradients: inputs.gram.numpy().fill(0),
    "gradients, squared": lambda weight, inputs, gradients: gradients.squared.data.add_(1),
    "gradients, columns": lambda weight, inputs, gradients: gradients.columns.mul_(2),
}


@pytest.mark.parametrize("what", WRITES)
def test_statistics_are_read_only(what):
    if what.startswith("inputs"):

        @bp.method("writes")
        def writes(weight, *, inputs):
            WRITES[what](weight, inputs, None)
            return weight.abs()
    else:

        @bp.method("writes")
        def writes(weight, *, gradients):
            WRITES[what](weight, None, gradients)
            return weight.abs()

    model = make_model("BertModel")
    with pytest.raises(bp.BertpruneError) as caught:
        bp.apply(
            model,
            bp.Step(method="writes", fraction=0.5, select="encoder.layer.0.*.query"),
            calibration=[{"input_ids": torch.arange(60).view(10, 6) + 5}],
        )
    assert caught.value.code == "method.writes"

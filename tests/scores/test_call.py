"""What a method of one's own raises is one line; what it returns is checked."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import prune

import bertprune as bp
from tests.scores.own_methods import matrix, refusal

pytestmark = pytest.mark.usefixtures("temporary_methods")


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


def test_whatever_a_rule_raises_is_one_line_with_method_tensor_and_error(subtests):
    for error in RAISED:
        for way, register in WAYS.items():
            with subtests.test(f"{type(error).__name__}, {way}"):
                register(error)
                refused = refusal(matrix(), bp.Step(method="bad", fraction=0.5))
                assert refused.code == "method.failed_on"
                assert str(refused).startswith("bad: 0.weight: " + type(error).__name__)
                assert refused.__cause__ is error  # so that the author sees where


def test_what_ends_the_process_passes(subtests):
    for error in (KeyboardInterrupt, SystemExit):
        for way, register in WAYS.items():
            with subtests.test(f"{error.__name__}, {way}"):
                register(error())
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


def check_scores(rule, elementwise):
    """See what a rule returns refused by name, in either scope."""
    bp.method("bad", elementwise=elementwise)(lambda weight: rule(weight))
    for scope in ("local", "global"):
        refused = refusal(matrix(), bp.Step(method="bad", fraction=0.5, scope=scope))
        assert refused.code in ("method.scores", "method.array", "method.shape", "prune.nan_score")
        assert str(refused).startswith("bad: ") and "0.weight" in str(refused)


def test_what_are_no_scores_is_refused_by_name(subtests):
    for name, rule in BAD_TENSORS.items():
        with subtests.test(name):
            check_scores(rule, elementwise=False)


def test_what_are_no_scores_of_a_piece_is_refused_by_name(subtests):
    for name, rule in BAD_ARRAYS.items():
        with subtests.test(name):
            check_scores(rule, elementwise=True)


def test_real_scores_of_any_dtype_are_ranked(subtests):
    for dtype in ["float16", "float32", "float64", "longdouble", "int8", "int64", "uint16", ">f4"]:
        with subtests.test(dtype):
            bp.method("ranks", elementwise=True)(lambda weight: (np.abs(weight) * 64).astype(dtype))
            model = matrix()
            (outcome,) = bp.apply(model, bp.Step(method="ranks", count=7))
            scores = (model[0].weight_orig.detach().abs() * 64).numpy().astype(dtype)
            kept = model[0].weight_mask.numpy()
            assert outcome.removed == 7 and scores[~kept].max() <= scores[kept].min()


def test_scores_that_change_from_call_to_call_end_in_an_error(subtests):
    for size in [30, 600]:
        with subtests.test(str(size)):
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

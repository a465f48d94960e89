"""Methods of one's own that are classes of torch: the masks that they return are checked."""

import pytest
import torch
from torch.nn.utils import prune

import bertprune as bp
from tests.scores.own_methods import matrix, refusal

pytestmark = pytest.mark.usefixtures("temporary_methods")


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


def test_what_is_no_mask_is_refused_by_name(subtests):
    for case, (result, code) in BAD_MASKS.items():
        for kind in ("unstructured", "global"):
            with subtests.test(f"{case}, {kind}"):
                bp.method("bad")(masking(result, kind))
                refused = refusal(matrix(), bp.Step(method="bad", fraction=0.5))
                assert refused.code == code and str(refused).startswith("bad: ") and "0.weight" in str(refused)


def test_a_class_may_not_revive_what_is_pruned():
    bp.method("revive")(masking(torch.ones_like, "global"))
    l1 = bp.Step(method="l1_unstructured", count=5)
    refused = refusal(matrix(), l1, bp.Step(method="revive", fraction=0.5))
    assert refused.code == "method.revives" and refused.values["count"] == 5


def test_masks_of_any_dtype_are_taken(subtests):
    for dtype in [torch.bool, torch.uint8, torch.int64, torch.float32, torch.float64]:
        with subtests.test(str(dtype)):
            bp.method("third")(masking(lambda mask: mask.index_fill(0, torch.arange(0, 24, 3), False).to(dtype)))
            (outcome,) = bp.apply(matrix(), bp.Step(method="third", fraction=0.5))
            assert outcome.removed == 8


def test_an_unknown_pruning_type_is_refused_before_weights_are_read():
    bp.method("typed")(masking(lambda mask: mask, "striped"))
    with torch.device("meta"):
        shapes = matrix()
    with pytest.raises(bp.BertpruneError, match=r"PRUNING_TYPE must be one of .*, not 'striped'"):
        bp.apply(shapes, bp.Step(method="typed", fraction=0.5))

"""A model of one weight, and methods of one's own that must be refused on it."""

from typing import Any

import pytest
import torch
from torch import nn

import bertprune as bp


def matrix(rows: int = 4, columns: int = 6) -> nn.Sequential:
    """Make a model of one weight; the global random state stays."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(columns, rows, bias=False))


def refusal(model: Any, *steps: bp.Step) -> bp.BertpruneError:
    """Apply steps that must be refused, check that the model is as it was, and return the error."""
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(bp.BertpruneError) as caught:
        bp.apply(model, list(steps))
    after = model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert "\n" not in str(caught.value)
    return caught.value

"""Fixtures of the checkpoint tests."""

import random
from collections.abc import Iterator

import numpy
import pytest
import torch


@pytest.fixture(autouse=True)
def global_randomness_untouched() -> Iterator[None]:
    """Fail any test here after which torch's, numpy's or Python's random state is another one."""
    before = torch.get_rng_state(), numpy.random.get_state()[1].tobytes(), random.getstate()
    yield
    after = torch.get_rng_state(), numpy.random.get_state()[1].tobytes(), random.getstate()
    assert torch.equal(before[0], after[0]), "torch's global random state was touched"
    assert before[1:] == after[1:], "numpy's or Python's global random state was touched"

"""Fixtures of the checkpoint tests."""

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from checkpoint_files import CONFIG
from fake_hub import FakeHub, reach
from huggingface_hub import constants

import bertprune as bp
from bertprune.errors import CheckpointError


@pytest.fixture(autouse=True)
def global_randomness_untouched() -> Iterator[None]:
    """Fail any test here after which torch's, numpy's or Python's random state is another one."""
    before = torch.get_rng_state(), numpy.random.get_state()[1].tobytes(), random.getstate()
    yield
    after = torch.get_rng_state(), numpy.random.get_state()[1].tobytes(), random.getstate()
    assert torch.equal(before[0], after[0]), "torch's global random state was touched"
    assert before[1:] == after[1:], "numpy's or Python's global random state was touched"


@pytest.fixture
def refused(tmp_path) -> Callable[..., CheckpointError]:
    """Give a function that returns the error with which a call, or the opening of a source, is refused.

    Every such error has one short line, without a path of this machine.
    """

    def error_of(source: Any, **options: Any) -> CheckpointError:
        with pytest.raises(CheckpointError) as caught:
            source() if callable(source) else bp.Checkpoint.open(source, **options)
        text = str(caught.value)
        assert "\n" not in text
        assert len(text) < 500
        assert str(tmp_path) not in text
        assert str(Path.cwd()) not in text
        return caught.value

    return error_of


@pytest.fixture
def folder(tmp_path) -> Path:
    """Give a folder that holds a good config and no weights."""
    made = tmp_path / "suspect"
    made.mkdir()
    (made / "config.json").write_text(json.dumps(CONFIG))
    return made


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    """Give the tests a cache of their own."""
    folder = tmp_path / "cache"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    return folder


@pytest.fixture
def hub(monkeypatch) -> Iterator[FakeHub]:
    """Give a Hub that works."""
    fake = FakeHub()
    reach(monkeypatch, fake.url)
    yield fake
    fake.close()

"""One thread of this process that does the tasks of a sweep, a checkpoint, and labelled texts for it."""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.calibration_texts import TEXTS

REVIEWS = [(text, number % 2) for number, text in enumerate(TEXTS[:24])]


@pytest.fixture(scope="session")
def executor() -> Iterator[Executor]:
    with ThreadPoolExecutor(1) as one:
        yield one


@pytest.fixture
def folder(tiny_folder: Callable[..., Path]) -> Path:
    return tiny_folder()

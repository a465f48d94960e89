"""One thread of this process that does the tasks of a sweep, and labelled texts for the tiny models."""

from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor

import pytest

from tests.calibration_texts import TEXTS

REVIEWS = [(text, number % 2) for number, text in enumerate(TEXTS[:24])]


@pytest.fixture
def executor() -> Iterator[Executor]:
    with ThreadPoolExecutor(1) as one:
        yield one

"""Runs to export."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import bertprune as bp

KEY = "bert.encoder.layer.0.attention.self.key"
RECIPE = bp.Recipe(
    steps=[
        bp.Step(method="random_unstructured", fraction=0.3, select="*attention.self.key"),
        bp.Step(method="l1_unstructured", count=5, select=bp.Selection(include="*attention.self.key", tensor="bias")),
        bp.Step(method="ln_structured", fraction=0.3, options={"n": 2, "dim": 1}, select="*attention.self.key"),
        bp.Step(method="l1_unstructured", fraction=0.2, scope="global", select="*attention.self.{query,key}"),
    ]
)
"""Every kind of hook: torch's own, a stacked container, one on a bias, and one of a global step."""

WORDS = bp.Step(method="l1_unstructured", fraction=0.25, select=bp.Selection(roles=["embeddings.word"]))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the recipe prune the biases of new models, which are zero, without a warning."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.filterwarnings("ignore:.*zero already"))


@pytest.fixture
def pruned(tiny_folder: Callable[..., Path]) -> Callable[..., Any]:
    """Return a function that prunes a tiny folder: (recipe, seed, arguments of tiny_folder) -> run."""

    def make(recipe: Any = RECIPE, seed: int = 0, **folder: Any) -> Any:
        return bp.prune(tiny_folder(**folder), recipe, seed)

    return make


@pytest.fixture
def unchanged_randomness() -> Iterator[None]:
    """Fail if torch's global random state has changed afterwards."""
    import torch

    before = torch.get_rng_state()
    yield
    assert torch.equal(before, torch.get_rng_state())

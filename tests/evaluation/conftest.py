"""Models whose outputs depend on the text, pruned by plain torch, and texts for them."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

WORDS = "the film was is good bad very not and it plot acting music boring great awful fine".split()


@pytest.fixture(scope="session")
def texts() -> list[str]:
    """Give 120 short texts of 1 to 14 known words."""
    generator = np.random.default_rng(0)
    return [" ".join(generator.choice(WORDS, size=generator.integers(1, 15))) for _ in range(120)]


@pytest.fixture
def make_tiny(tiny_folder: Callable[..., Any]) -> Callable[..., Any]:
    """Give a function that builds a tiny model of a class, with changes to its configuration."""

    def make(model_cls: str, **changes: Any) -> Any:
        import transformers

        return getattr(transformers, model_cls).from_pretrained(tiny_folder(model_cls, **changes)).eval()

    return make


@pytest.fixture
def prune_half() -> Callable[[Any], Any]:
    """Give a function that copies a model and prunes the copy's Linear weights by torch's own hooks."""

    def pruned(model: Any, fraction: float = 0.6) -> Any:
        import torch
        from torch.nn.utils import prune

        copied = copy.deepcopy(model)
        for module in copied.base_model.modules():
            if isinstance(module, torch.nn.Linear):
                prune.l1_unstructured(module, "weight", fraction)
        return copied

    return pruned


@pytest.fixture
def classifier(tiny_classifier: Any, tiny_tokenizer: Any, texts: list[str]) -> Any:
    """Give a classifier that puts half of the texts into each class, some with high probability."""
    import torch

    with torch.no_grad():
        tiny_classifier.classifier.weight.mul_(30)
        batch = tiny_tokenizer(texts, padding=True, return_tensors="pt")
        first, second = tiny_classifier(**batch).logits.T
        middle = (second - first).sort().values[59:61]  # between two texts, as the median itself would be a tie
        tiny_classifier.classifier.bias[0] += middle.mean()
    return tiny_classifier


@pytest.fixture
def pruned(classifier: Any, prune_half: Callable[[Any], Any]) -> Any:
    """Give the same classifier, pruned so much that some predictions change."""
    return prune_half(classifier)

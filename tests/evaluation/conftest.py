"""Models whose outputs depend on the text, pruned by plain torch, and texts for them."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.tiny_models import make_model, make_tokenizer

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


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session")
def classifier(texts: list[str]) -> Any:
    """Give a classifier that puts half of the texts into each class, some with high probability; do not change it."""
    import torch

    model = make_model("BertForSequenceClassification")
    with torch.no_grad():
        model.classifier.weight.mul_(30)
        batch = make_tokenizer()(texts, padding=True, return_tensors="pt")
        first, second = model(**batch).logits.T
        middle = (second - first).sort().values[59:61]  # between two texts, as the median itself would be a tie
        model.classifier.bias[0] += middle.mean()
    return model


@pytest.fixture(scope="session")
def pruned(classifier: Any, prune_half: Callable[[Any], Any]) -> Any:
    """Give the same classifier, pruned so much that some predictions change; do not change it."""
    return prune_half(classifier)

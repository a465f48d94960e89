"""How far answers are from those before, and what they lose."""

from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import normalize

from bertprune.data.outputs import NEIGHBOURS, Output, output_of
from tests.tiny_models import make_model

SEEDS = st.integers(0, 1000)


@cache
def encoder() -> Output:
    return output_of(make_model("BertModel"))


def embeddings(seed: int, texts: int = 40, width: int = 16) -> torch.Tensor:
    """Draw embeddings."""
    return torch.randn(texts, width, generator=torch.Generator().manual_seed(seed))


@given(SEEDS)
def test_embeddings_that_all_turn_alike_drift_but_lose_nothing(seed: int) -> None:
    before = embeddings(seed)
    turn = torch.linalg.qr(embeddings(seed + 1, 16)).Q
    after = before @ turn
    assert encoder().drift(before, after) > 0.1
    assert float(encoder().losses(before, after).max()) < 1e-10


@settings(max_examples=10)
@given(SEEDS, st.integers(3, 60))
def test_what_embeddings_lose_is_how_far_similarities_to_the_nearest_move(seed: int, texts: int) -> None:
    before, after = embeddings(seed, texts), embeddings(seed + 1, texts)
    first, second = (normalize(one.double(), dim=-1) for one in (before, after))
    moved = []
    for number in range(texts):
        others = [other for other in range(texts) if other != number]
        near = sorted(others, key=lambda other: -float(first[number] @ first[other]))[:NEIGHBOURS]
        moved.append([float(second[number] @ second[other] - first[number] @ first[other]) for other in near])
    mean = sum(map(sum, moved)) / sum(map(len, moved))
    expected = [sum((one - mean) ** 2 for one in row) / len(row) for row in moved]
    assert encoder().losses(before, after).tolist() == pytest.approx(expected)


def test_two_embeddings_and_predictions_lose_what_they_drift() -> None:
    before, after = embeddings(0, 2), embeddings(1, 2)
    for output in (encoder(), output_of(make_model("BertForSequenceClassification"))):
        assert torch.equal(output.losses(before, after), output.drifts(before, after))

"""One text in five is held back, whatever the batches look like, and none is lost on the way."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from bertprune.data.held_back import Batches, given_batches

shapes = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 3)), min_size=1, max_size=8)
"""Batches by the number of their texts and tokens."""


def numbered(sizes):
    """Make batches whose first token is the number of the text."""
    start = 0
    for texts, tokens in sizes:
        yield {"input_ids": (start + torch.arange(texts))[:, None].expand(texts, tokens)}
        start += texts


def numbers(batches):
    return [int(number) for batch in batches.used for number in batch["input_ids"][:, 0]]


@given(shapes)
def test_one_text_in_five_is_held_back_and_none_is_lost(sizes):
    batches = given_batches(numbered(sizes))
    held, others = (numbers(batches.only(held_back=back)) for back in (True, False))
    every = range(sum(texts for texts, _ in sizes))
    assert sorted(held) == list(every)[4::5]
    assert sorted(held + others) == list(every)


@given(shapes)
def test_labels_stay_with_their_texts(sizes):
    used = list(numbered(sizes))
    labels = [batch["input_ids"][:, 0] + 1000 for batch in used]
    split = Batches(used, [False] * len(used), labels=labels).split()
    assert split.labels is not None
    for batch, known in zip(split.used, split.labels, strict=True):
        assert torch.equal(batch["input_ids"][:, 0] + 1000, known)


def test_what_is_held_back_comes_in_batches_as_large_as_those_given():
    batches = given_batches(numbered([(32, 20)] * 16))
    assert [len(one) for batch in batches.only(held_back=True).used for one in batch.values()] == [32, 32, 32, 6]

"""Batches give what single texts give, and leave the model as it was."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.utils import prune

from bertprune.data import batches
from bertprune.data.batches import Encoded, encode, logits, run_in_batches
from bertprune.errors import DataError

WORDS = "the film was good and it plot not very boring acting music bad great".split()
TEXTS = [" ".join(WORDS[start : start + length]) for length in range(1, 9) for start in range(6)]


@pytest.fixture
def pruned(tiny_classifier: Any) -> Any:
    """Give a classifier that torch pruned, so that its weights are derived by hooks."""
    for module in tiny_classifier.bert.encoder.modules():
        if isinstance(module, torch.nn.Linear):
            prune.l1_unstructured(module, "weight", 0.5)
    return tiny_classifier


def tokenised(tokenizer: Any, pairs: list[str] | None = None) -> Encoded:
    return encode(tokenizer, TEXTS, pairs, 32)


def recording(shapes: list[tuple[int, int]]) -> batches.ModelOutput:
    """Give an output of logits that keeps the shape of each batch."""
    return lambda model, batch: (shapes.append(tuple(batch["input_ids"].shape)), logits(model, batch))[1]


def test_batches_give_what_single_texts_give(pruned: Any, tiny_tokenizer: Any, subtests: pytest.Subtests) -> None:
    with torch.no_grad():
        alone = torch.cat([pruned(**tiny_tokenizer(text, return_tensors="pt")).logits for text in TEXTS]).numpy()
    for size in (1, 7, 1000):
        with subtests.test(str(size)):
            together = run_in_batches(pruned, tokenised(tiny_tokenizer), logits, size)
            assert together == pytest.approx(alone, abs=1e-5)


def test_pairs_reach_the_model_as_pairs(tiny_classifier: Any, tiny_tokenizer: Any) -> None:
    encoded = tokenised(tiny_tokenizer, TEXTS[::-1])
    with torch.no_grad():
        alone = [
            tiny_classifier(**tiny_tokenizer(one, two, return_tensors="pt")).logits
            for one, two in zip(TEXTS, TEXTS[::-1], strict=True)
        ]
    together = run_in_batches(tiny_classifier, encoded, logits, 8)
    assert together == pytest.approx(torch.cat(alone).numpy(), abs=1e-5)


def test_batches_hold_texts_of_similar_length_and_their_tokens_are_reported(
    tiny_classifier: Any, tiny_tokenizer: Any
) -> None:
    shapes: list[tuple[int, int]] = []
    reported: list[int] = []
    encoded = tokenised(tiny_tokenizer)
    run_in_batches(tiny_classifier, encoded, recording(shapes), 6, on_batch=reported.append)
    tokens = sum(len(ids) for ids in encoded.features["input_ids"])
    assert sum(reported) == tokens
    assert sum(rows * length for rows, length in shapes) < 1.15 * tokens
    assert sorted(length for _, length in shapes) == [length for _, length in shapes]


def test_batches_shrink_where_their_output_would_be_too_large(
    tiny_classifier: Any, tiny_tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "MAX_NUMBERS", 1000)
    largest = {}
    for width in (1, 30, 10**6):
        shapes: list[tuple[int, int]] = []
        run_in_batches(tiny_classifier, tokenised(tiny_tokenizer), recording(shapes), 16, width)
        assert sum(rows for rows, _ in shapes) == len(TEXTS)
        assert all(rows == 1 or rows * length * width <= 1000 for rows, length in shapes)
        largest[width] = max(rows for rows, _ in shapes)
    assert largest[1] == 16 > largest[30] > largest[10**6] == 1


def test_the_model_is_left_as_it_was(pruned: Any, tiny_tokenizer: Any) -> None:
    pruned.train()
    pruned.bert.encoder.layer[0].eval()
    flags = [module.training for module in pruned.modules()]
    derived = {name: module.weight for name, module in pruned.named_modules() if hasattr(module, "weight_mask")}
    state = {name: value.clone() for name, value in pruned.state_dict().items()}
    run_in_batches(pruned, tokenised(tiny_tokenizer), logits, 16)
    assert [module.training for module in pruned.modules()] == flags
    assert all(pruned.get_submodule(name).weight is weight for name, weight in derived.items())
    assert all(torch.equal(value, state[name]) for name, value in pruned.state_dict().items())
    next(iter(derived.values())).sum().backward()  # still part of a graph, not an inference tensor


def test_an_output_that_fails_leaves_the_model_in_training(tiny_classifier: Any, tiny_tokenizer: Any) -> None:
    def fail(model: Any, batch: Any) -> torch.Tensor:
        assert not model.training
        raise KeyboardInterrupt

    tiny_classifier.train()
    with pytest.raises(KeyboardInterrupt):
        run_in_batches(tiny_classifier, tokenised(tiny_tokenizer), fail, 16)
    assert all(module.training for module in tiny_classifier.modules())


def test_dropout_is_off_for_a_model_in_training(tiny: Callable[..., Any], tiny_tokenizer: Any) -> None:
    model = tiny("BertForSequenceClassification", hidden_dropout_prob=0.5).train()
    encoded = tokenised(tiny_tokenizer)
    first, second = (run_in_batches(model, encoded, logits, 4) for _ in range(2))
    assert np.array_equal(first, second)


def test_a_tokenizer_that_panics_gives_an_error(tiny_tokenizer: Any) -> None:
    from tokenizers import Regex, normalizers

    tiny_tokenizer.backend_tokenizer.normalizer = normalizers.Replace(Regex("(a+)+$"), "")
    with pytest.raises(DataError, match="the tokenizer fails on these texts"):
        encode(tiny_tokenizer, ["a" * 60 + "!"], None, 16)


def test_tokenising_can_be_cancelled_between_texts(tiny_tokenizer: Any) -> None:
    class Cancelled(Exception):
        pass

    def cancel() -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        encode(tiny_tokenizer, ["a"] * 1000, None, 16, cancel)
    calls: list[int] = []
    assert len(encode(tiny_tokenizer, ["a"] * 130, None, 16, lambda: calls.append(1))) == 130
    assert len(calls) == 3

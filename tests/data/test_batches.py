"""Batches are fast and change nothing: no result, no flag, no hook, no random state."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import bertprune as bp
from bertprune.data import batches as inference


def encoded(tokenizer: Any, texts: list[str], most: int = 32) -> Any:
    return inference.encode(tokenizer, texts, None, most)


def collect(model: Any, coded: Any, size: int, told: Callable[[int], None] = lambda tokens: None) -> np.ndarray:
    return inference.collect(model, coded, inference.read_logits, size, 1, told)


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
def test_batches_give_what_single_texts_give(pruned: Any, tiny_tokenizer: Any, texts: list[str], size: int) -> None:
    with torch.no_grad():
        alone = torch.cat([pruned(**tiny_tokenizer(text, return_tensors="pt")).logits for text in texts]).numpy()
    together = collect(pruned, encoded(tiny_tokenizer, texts), size)
    assert together == pytest.approx(alone, abs=1e-5)
    assert np.array_equal(together.argmax(axis=1), alone.argmax(axis=1))


def test_batches_hold_texts_of_like_length_and_progress_counts_tokens(
    classifier: Any, tiny_tokenizer: Any, texts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes, told = [], []
    read = inference.read_logits
    monkeypatch.setattr(
        inference, "read_logits", lambda m, b: (shapes.append(tuple(b["input_ids"].shape)), read(m, b))[1]
    )
    coded = encoded(tiny_tokenizer, texts)
    collect(classifier, coded, 16, told.append)
    tokens = sum(len(ids) for ids in coded.features["input_ids"])
    assert sum(told) == tokens
    assert sum(rows * length for rows, length in shapes) < 1.15 * tokens
    assert sorted(length for _, length in shapes) == [length for _, length in shapes]


def test_batches_shrink_where_their_output_would_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "MAX_CELLS", 1000)
    lengths = np.array([5, 10, 10, 10, 50])
    batches = inference._batches(lengths, np.arange(5), 4, 25)
    assert [batch.tolist() for batch in batches] == [[0, 1, 2, 3], [4]]
    batches = inference._batches(lengths, np.arange(5), 4, 50)
    assert [batch.tolist() for batch in batches] == [[0, 1], [2], [3], [4]]


def test_every_text_is_in_one_batch_whatever_the_width() -> None:
    lengths = np.sort(np.random.default_rng(0).integers(1, 500, 300))
    for width in (1, 1000, 10**6, 10**9):
        batches = list(inference._batches(lengths, np.arange(300), 64, width))
        assert np.concatenate(batches).tolist() == list(range(300))
        assert all(
            len(batch) == 1 or len(batch) * lengths[batch[-1]] * width <= inference.MAX_CELLS for batch in batches
        )


def test_models_are_left_as_they_were(classifier: Any, pruned: Any, tiny_tokenizer: Any, texts: list[str]) -> None:
    pruned.train()
    pruned.bert.encoder.layer[0].eval()
    flags = [module.training for module in pruned.modules()]
    derived = {name: module.weight for name, module in pruned.named_modules() if hasattr(module, "weight_mask")}
    state = {name: value.clone() for name, value in pruned.state_dict().items()}
    bp.evaluate(pruned, texts, baseline=classifier, tokenizer=tiny_tokenizer)
    assert [module.training for module in pruned.modules()] == flags
    assert all(pruned.get_submodule(name).weight is weight for name, weight in derived.items())
    assert all(torch.equal(value, state[name]) for name, value in pruned.state_dict().items())
    next(iter(derived.values())).sum().backward()  # still part of a graph, not an inference tensor


def test_dropout_is_off_while_scoring_a_model_in_training(
    make_tiny: Callable[..., Any], tiny_tokenizer: Any, texts: list[str]
) -> None:
    model = make_tiny("BertForSequenceClassification", hidden_dropout_prob=0.5).train()
    coded = encoded(tiny_tokenizer, texts[:9])
    assert np.array_equal(collect(model, coded, 4), collect(model, coded, 4))


def test_the_global_random_state_is_neither_read_nor_touched(
    classifier: Any, pruned: Any, tiny_tokenizer: Any, texts: list[str]
) -> None:
    def state() -> tuple[bytes, bytes]:
        return torch.get_rng_state().numpy().tobytes(), np.random.get_state()[1].tobytes()

    def run() -> Any:
        figures = bp.evaluate(pruned, texts, baseline=classifier, tokenizer=tiny_tokenizer).to_dict()
        return figures | {"seconds": None}

    before, first = state(), run()
    assert state() == before
    torch.rand(3)
    assert run() == first


def test_a_cancelled_evaluation_leaves_the_model_as_it_was(
    classifier: Any, tiny_tokenizer: Any, texts: list[str]
) -> None:
    classifier.train()
    shares = []

    def cancel(share: float, words: str) -> None:
        shares.append(share)
        if share > 0.3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bp.evaluate(classifier, [(text, 0) for text in texts], tokenizer=tiny_tokenizer, batch_size=8, progress=cancel)
    assert all(module.training for module in classifier.modules())
    assert 0.3 < shares[-1] < 0.6


def test_progress_rises_to_one(tiny_mlm: Any, tiny_tokenizer: Any, texts: list[str]) -> None:
    told: list[tuple[float, str]] = []
    bp.evaluate(tiny_mlm, texts, baseline=tiny_mlm, tokenizer=tiny_tokenizer, progress=lambda *news: told.append(news))
    shares = [share for share, _ in told]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    assert told[0][1] == "tokenising 120 texts"


def test_long_texts_are_cut_to_what_the_model_reads_and_counted(
    make_tiny: Callable[..., Any], tiny_tokenizer: Any
) -> None:
    model = make_tiny("RobertaModel")  # 32 positions, of which one is the padding's
    data = [("good " * words, "bad", float(words)) for words in (1, 2, 28, 29, 30, 90)]
    report = bp.evaluate(model, data, tokenizer=tiny_tokenizer)
    assert report.max_length == 31
    assert report.notes == ("2 of 12 texts were cut to 31 tokens",)
    shorter = bp.evaluate(model, data, tokenizer=tiny_tokenizer, max_length=10)
    assert shorter.max_length == 10
    assert shorter.notes == ("4 of 12 texts were cut to 10 tokens",)


def test_two_segments_are_not_counted_for_a_model_that_knows_one(
    make_tiny: Callable[..., Any], tiny_tokenizer: Any
) -> None:
    model = make_tiny("RobertaForSequenceClassification", type_vocab_size=1)
    data = [{"premise": "good film", "hypothesis": "bad film", "label": 0}]
    assert bp.evaluate(model, data, tokenizer=tiny_tokenizer).examples == 1


def test_pairs_reach_a_classifier_as_pairs(classifier: Any, tiny_tokenizer: Any, texts: list[str]) -> None:
    data = [{"premise": one, "hypothesis": two} for one, two in zip(texts[:30], texts[30:60], strict=True)]
    coded = inference.encode(tiny_tokenizer, texts[:30], texts[30:60], 32)
    alone = [
        classifier(**tiny_tokenizer(row["premise"], row["hypothesis"], return_tensors="pt")).logits for row in data
    ]
    assert collect(classifier, coded, 8) == pytest.approx(torch.cat(alone).detach().numpy(), abs=1e-5)

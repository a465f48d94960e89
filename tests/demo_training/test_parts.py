"""The parts of the demo's training: samples, split, batches, masking, tokenizer, resuming."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer

from demo_training import wordpiece
from demo_training.data import collate, encode, plan, read_samples, split
from demo_training.loop import train
from demo_training.pretrain import MASK, SPECIALS, mask_tokens
from demo_training.smoke import synthetic, tiny
from demo_training.stages import Corpus, Settings, mlm_stage, prepare
from demo_training.wordpiece import train_tokenizer

SAMPLES = Path(__file__).resolve().parents[2] / "bertprune" / "demo" / "samples.csv"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a tiny model."""
    small = tiny(Settings(out=tmp_path))
    small.state.mkdir()
    return small


@pytest.fixture
def corpus(settings: Settings) -> Corpus:
    """Synthetic reviews and their tokenizer."""
    return prepare(settings, synthetic())


def test_samples_are_distinct_balanced_and_of_all_lengths() -> None:
    samples = read_samples(SAMPLES)
    assert len({review.text for review in samples}) == len(samples) >= 240
    assert Counter(review.label for review in samples) == {0: len(samples) // 2, 1: len(samples) // 2}
    lengths = sorted(len(review.text) for review in samples)
    assert lengths[0] < 10 and lengths[len(lengths) // 2] < 40 and lengths[-20] > 70


def test_split_is_seeded_and_keeps_every_review() -> None:
    train_part, held = split(synthetic(), 16, seed=3)
    assert (train_part, held) == split(synthetic(), 16, seed=3)
    assert len(held) == 16 and set(train_part) | set(held) == set(synthetic())


def test_an_epoch_contains_every_review_once(corpus: Corpus) -> None:
    batches = plan(corpus.train, 8, seed=1)
    assert sorted(i for batch in batches for i in batch) == list(range(48))
    assert batches == plan(corpus.train, 8, seed=1) != plan(corpus.train, 8, seed=2)


def test_only_padding_is_masked_from_attention(corpus: Corpus) -> None:
    batch = collate(corpus.train, list(range(8)))
    assert batch.mask.sum(1).tolist() == [len(ids) for ids in corpus.train.ids[:8]]
    assert not batch.ids[batch.mask == 0].any()


def test_special_tokens_are_never_masked(corpus: Corpus) -> None:
    batch = collate(corpus.train, list(range(48)))
    ids, chosen = mask_tokens(batch, 100, torch.Generator().manual_seed(0))
    assert chosen.any() and (batch.ids[chosen] >= SPECIALS).all()
    assert torch.equal(ids[~chosen], batch.ids[~chosen]) and (ids[chosen] == MASK).any()


def test_repeated_characters_are_shortened() -> None:
    tokenizer = train_tokenizer(["ㅋㅋㅋ 최고 ... 영화"] * 3, 100)
    long, short = (encode_one(tokenizer, text) for text in ("최고ㅋㅋㅋㅋㅋㅋㅋ.......", "최고ㅋㅋㅋ..."))
    assert long == short


def test_the_same_reviews_give_the_same_vocabulary() -> None:
    texts = [f"{'가나다라마바사아자차카타파하'[row:]} 영화 {row}점" for row in range(14)]
    assert len({train_tokenizer(texts, 60).to_str() for _ in range(4)}) == 1


def test_only_the_most_frequent_characters_are_in_the_vocabulary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wordpiece, "LARGEST_ALPHABET", 2)
    vocabulary = train_tokenizer(["나나 가다", "가 나"], 100).get_vocab()
    assert {piece for piece in vocabulary if piece not in wordpiece.SPECIAL} == {"가", "나", "##나", "나나"}


def encode_one(tokenizer: Tokenizer, text: str) -> list[int]:
    """Return the ids of one text."""
    return tokenizer.encode(text).ids


def test_labels_follow_their_reviews(corpus: Corpus) -> None:
    again = encode(corpus.held_reviews, corpus.tokenizer)
    assert again == corpus.held
    assert again.labels == [review.label for review in corpus.held_reviews]


def test_a_resumed_stage_ends_with_the_same_weights(settings: Settings, corpus: Corpus, tmp_path: Path) -> None:
    uninterrupted, stage = mlm_stage(settings, corpus)
    assert train(stage)
    elsewhere = replace(settings, out=tmp_path / "again")
    elsewhere.state.mkdir(parents=True)
    interrupted = replace(elsewhere, mlm=replace(settings.mlm, stop_after=5))
    assert not train(mlm_stage(interrupted, corpus)[1])
    resumed, stage = mlm_stage(elsewhere, corpus)
    assert train(stage)
    for left, right in zip(uninterrupted.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(left, right)

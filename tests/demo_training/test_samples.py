"""The labelled sentences are many, balanced and distinct."""

from collections import Counter
from pathlib import Path

from demo_training.data import read_samples

SAMPLES = Path(__file__).resolve().parents[2] / "bertprune" / "demo" / "samples.csv"


def test_samples_are_many_balanced_and_distinct() -> None:
    samples = read_samples(SAMPLES)
    assert len({review.text for review in samples}) == len(samples) >= 240
    assert Counter(review.label for review in samples) == {0: len(samples) // 2, 1: len(samples) // 2}


def test_samples_are_short_and_long() -> None:
    lengths = sorted(len(review.text) for review in read_samples(SAMPLES))
    assert lengths[0] < 10 and lengths[len(lengths) // 2] < 40 and lengths[-20] > 70

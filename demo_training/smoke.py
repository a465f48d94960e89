"""Run all stages in seconds on synthetic reviews, to test the script."""

from dataclasses import replace
from itertools import product

from demo_training.data import Review
from demo_training.stages import Settings, run

THINGS = ["영화", "드라마", "연기", "음악", "결말", "화면", "대본", "주인공"]
GOOD = ["정말 좋았어요", "최고였다", "감동이에요", "또 보고 싶다"]
BAD = ["정말 별로였어요", "최악이었다", "지루해요", "다시는 안 본다"]


def synthetic() -> list[Review]:
    """Make 64 short reviews from small lists of words."""
    good = [Review(f"{thing} {verdict}", 1) for thing, verdict in product(THINGS, GOOD)]
    bad = [Review(f"{thing} {verdict}", 0) for thing, verdict in product(THINGS, BAD)]
    return good + bad


def tiny(settings: Settings) -> Settings:
    """Shrink the model, the vocabulary and the batches."""
    small = replace(settings, held=16, vocab=200, hidden=32, layers=2, heads=2)
    return replace(small, mlm=replace(small.mlm, batch=8), sentiment=replace(small.sentiment, batch=8))


def smoke(settings: Settings) -> None:
    """Run all stages, with one interruption in each. Raises RuntimeError if one does not stop or resume."""
    whole = tiny(settings)
    in_mlm = replace(whole, mlm=replace(whole.mlm, stop_after=4))
    in_sentiment = replace(whole, sentiment=replace(whole.sentiment, stop_after=4))
    for part, finishes in ((in_mlm, False), (in_sentiment, False), (whole, True)):
        if run(part, synthetic()) is not finishes:
            raise RuntimeError("the smoke run did not stop and resume as planned")

"""What is timed: batches of texts, or of made-up token ids, for each of the compared models."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ..data.batches import (
    Batch,
    Encoded,
    accepted,
    check_vocabulary,
    encode,
    made_up,
    padded,
    position_limit,
    token_limit,
)
from ..data.calibration import Calibration
from ..errors import DataError
from .speed_sides import TimedSide

LARGE_BATCH = 16
_MADE_UP = ((1, 32), (1, 128), (LARGE_BATCH, 32))
"""Texts in a batch and tokens of each, where no texts are given."""


@dataclass(frozen=True)
class Work:
    """The batches of one model in one case, and the tokens of its texts."""

    batches: Sequence[Batch]
    """As many as there are rounds, or one for all of them."""
    lengths: list[int]
    """The tokens of each text that the MACs are counted for."""

    def batch(self, number: int) -> Batch:
        """Return the batch of a round."""
        return self.batches[number % len(self.batches)]


@dataclass(frozen=True)
class Case:
    """Texts in a batch of a size, for each model in turn."""

    size: int
    works: tuple[Work, ...]


def of_ids(sides: Sequence[TimedSide]) -> list[Case]:
    """Make token ids up; lengths are cut to the positions that all models have."""
    most = min(position_limit(side.model) for side in sides)
    shapes = dict.fromkeys((size, min(length, most)) for size, length in _MADE_UP)
    return [
        Case(size, tuple(Work([made_up(side.model, size, length)], [length]) for side in sides))
        for size, length in shapes
    ]


def of_texts(
    sides: Sequence[TimedSide], texts: Calibration, tokenizer: PreTrainedTokenizerBase | None, rounds: int
) -> list[Case]:
    """Tokenise texts for each model by its own tokenizer, and batch the same ones for all. Raises DataError."""
    encoded = [_encoded(side, texts, tokenizer or _tokenizer_of(side, sides)) for side in sides]
    order = np.argsort(_lengths(encoded[0]), kind="stable")
    return [
        Case(
            size, tuple(_work(side, one, _rows(order, size, rounds)) for side, one in zip(sides, encoded, strict=True))
        )
        for size in (1, LARGE_BATCH)
    ]


def _tokenizer_of(side: TimedSide, sides: Sequence[TimedSide]) -> PreTrainedTokenizerBase:
    """Return a model's tokenizer, or that of the other one for a model that was passed as an object."""
    known = [one.tokenizer for one in (side, *sides) if one.tokenizer is not None]
    if not known:
        raise DataError(
            "{name} has no tokenizer for texts: pass tokenizer=, or no texts to time made-up token ids",
            code="speed.no_tokenizer", name=side.sized.name,
        )  # fmt: skip
    return known[0]


def _encoded(side: TimedSide, texts: Calibration, tokenizer: PreTrainedTokenizerBase) -> Encoded:
    rows = texts.draw(0)
    first, second = texts.examples.texts, texts.examples.pairs
    chosen, pairs = [first[row] for row in rows], None if second is None else [second[row] for row in rows]
    if pairs is not None and not type(side.model).__name__.endswith("ForSequenceClassification"):
        chosen, pairs = [*chosen, *pairs], None
    most = min(texts.max_length, token_limit(tokenizer, [side.model], None))
    encoded = encode(tokenizer, chosen, pairs, most)
    check_vocabulary(encoded, side.model, side.sized.name)
    return encoded


def _lengths(encoded: Encoded) -> list[int]:
    return [len(ids) for ids in encoded.features["input_ids"]]


def _rows(order: NDArray[np.int64], size: int, rounds: int) -> list[NDArray[np.int64]]:
    """Choose texts of similar length for each round, from the shortest to the longest; few texts are repeated."""
    order = np.repeat(order, -(-size // len(order)))
    starts = np.linspace(0, len(order) - size, rounds).astype(int)
    return [order[start : start + size] for start in starts]


def _work(side: TimedSide, encoded: Encoded, rows: list[NDArray[np.int64]]) -> Work:
    return Work([_on_device(side.model, padded(encoded, chosen)) for chosen in rows], _lengths(encoded))


def _on_device(model: PreTrainedModel, batch: Batch) -> Batch:
    return {name: value.to(model.device) for name, value in accepted(model, batch).items()}

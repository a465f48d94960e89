"""Calibration: texts, drawn by a seed, on which scores and reconstructions are measured."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ..errors import DataError, Note, kind_of, shortened
from ..recipe import CalibrationRecord
from .batches import Batch, check_vocabulary, encode, padded, token_limit
from .columns import Examples, find_examples
from .embedding import Embedding
from .labels import class_numbers
from .tables import read_table

COUNT = 512
MAX_LENGTH = 128
BATCH = 32
HELD_BACK = 5
"""One text in so many is held back, to see whether what the others teach holds there."""


class Calibration:
    """Texts for the scores that read inputs or gradients, and for reconstruction.

    Args:
        texts: A list of texts or of pairs of texts, a pandas DataFrame, or a .csv, .tsv, .txt or .jsonl file; labels
            in it are ignored unless `label` names their column.
        count: An integer, how many texts are drawn by the seed; fewer are taken as they are. Default 512.
        max_length: An integer, the number of tokens after which texts are cut, at least 3; the model's own limit where
            that is lower. Default 128.
        text: A string, the column of the texts; default None, a usual name such as text or document.
        text_pair: A string, the column of second texts; default None, usual names such as sentence1 and sentence2.
        label: A string, the column of the classes for `fisher`; default None, what the model itself predicts.

    Raises:
        DataError: There are no texts, or an option is not what it should be.

    Example:
        >>> import bertprune as bp
        >>> texts = bp.Calibration(["good film", "bad film", "what a film"], count=2)
        >>> len(texts), texts.count
        (3, 2)
    """

    def __init__(
        self,
        texts: Any,
        count: int = COUNT,
        max_length: int = MAX_LENGTH,
        *,
        text: str | None = None,
        text_pair: str | None = None,
        label: str | None = None,
    ) -> None:
        """Read the texts."""
        for name, value, least in (("count", count, 1), ("max_length", max_length, 3)):
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise DataError(
                    "{option}={value}: expected an integer, {least} or more",
                    code="calibration.not_whole", option=name, value=shortened(repr(value)), least=least,
                )  # fmt: skip
        self.count, self.max_length, self._label = count, max_length, label
        self.examples: Examples = find_examples(
            read_table(_pairs(texts)), text=text, text_pair=text_pair, label=label, scores=None
        )

    @classmethod
    def of(cls, given: Any) -> "Calibration":
        """Return a calibration as it is, and make one of texts, pairs, a table or a file. Raises DataError."""
        if isinstance(given, Calibration):
            return given
        if isinstance(given, Mapping | bytes) or not isinstance(given, str | Path | Iterable):
            raise DataError(
                "calibration is of type {kind}: expected texts, a file, or bp.Calibration(texts)",
                code="calibration.kind", kind=kind_of(given),
            )  # fmt: skip
        return cls(given)

    def __len__(self) -> int:
        return len(self.examples)

    @property
    def labels(self) -> list[Any] | None:
        """The classes, where a column of them was named."""
        return self.examples.labels if self._label else None

    def draw(self, seed: int) -> list[int]:
        """Return the numbers of the texts that a seed draws, in the order in which they were drawn."""
        order = np.random.default_rng(seed).permutation(len(self))
        return [int(row) for row in order[: self.count]]


def _pairs(texts: Any) -> Any:
    """Give pairs of texts their usual names: in lists of examples, two values are a text and its label."""
    if isinstance(texts, list | tuple) and texts and all(_is_pair(one) for one in texts):
        return [{"sentence1": one, "sentence2": other} for one, other in texts]
    return texts


def _is_pair(item: Any) -> bool:
    return isinstance(item, list | tuple) and len(item) == 2 and all(isinstance(text, str) for text in item)


@dataclass(frozen=True)
class Batches:
    """Calibration texts as a model takes them."""

    used: Sequence[Batch]
    """Batches of similar length, padded; one text in five is in a batch of those held back."""
    held_back: Sequence[bool]
    """Whether each batch is held back."""
    record: CalibrationRecord | None = None
    labels: Sequence[Tensor] | None = None
    """The class numbers by batch, where the texts have labels."""
    notes: tuple[Note, ...] = ()

    @property
    def texts(self) -> int:
        """How many texts there are."""
        return sum(len(_first(batch)) for batch in self.used)

    @property
    def tokens(self) -> int:
        """How many tokens there are, without padding."""
        return sum(int(_mask(batch).sum()) for batch in self.used)


def batches_of(
    calibration: Calibration,
    seed: int,
    tokenizer: PreTrainedTokenizerBase,
    model: PreTrainedModel,
    embedding: Embedding,
    name: str,
) -> Batches:
    """Draw, tokenise and batch texts for a model, with the prompt of its folder. Raises DataError.

    Pairs are joined for a model that classifies pairs, and are two texts elsewhere.
    """
    rows = calibration.draw(seed)
    first, second = calibration.examples.texts, calibration.examples.pairs
    texts, pairs = [first[row] for row in rows], None if second is None else [second[row] for row in rows]
    joined = type(model).__name__.endswith("ForSequenceClassification")
    if pairs is not None and not joined:
        texts, pairs = [text for both in zip(texts, pairs, strict=True) for text in both], None
    record = CalibrationRecord(count=len(texts), max_length=calibration.max_length, sha256=_digest(texts, pairs))
    limit = min(calibration.max_length, token_limit(tokenizer, [model], None, embedding.max_length))
    encoded = encode(tokenizer, texts if joined else embedding.prepared(texts), pairs, limit)
    check_vocabulary(encoded, model, name)
    lengths = np.array([len(ids) for ids in encoded.features["input_ids"]])
    held = np.arange(len(lengths)) % HELD_BACK == HELD_BACK - 1
    chosen = [(part, False) for part in _by_length(lengths, ~held)] + [
        (part, True) for part in _by_length(lengths, held)
    ]
    labels = _class_numbers(calibration, rows, model) if calibration.labels and joined else None
    return Batches(
        [padded(encoded, part) for part, _ in chosen],
        [back for _, back in chosen],
        record,
        None if labels is None else [labels[part] for part, _ in chosen],
        tuple(embedding.notes()[1:]) if not joined else (),
    )


def _by_length(lengths: Any, wanted: Any) -> Iterator[Any]:
    order = np.flatnonzero(wanted)
    order = order[np.argsort(lengths[order], kind="stable")]
    for start in range(0, len(order), BATCH):
        yield order[start : start + BATCH]


def _class_numbers(calibration: Calibration, rows: Sequence[int], model: PreTrainedModel) -> Tensor:
    assert calibration.labels is not None
    numbers = class_numbers(calibration.examples, model.config.id2label)
    return torch.tensor([numbers[row] for row in rows])


def _digest(texts: Sequence[str], pairs: Sequence[str] | None) -> str:
    """Hash the texts in their order."""
    content = json.dumps([texts, pairs], ensure_ascii=False).encode("utf-8", "surrogatepass")
    return hashlib.sha256(content).hexdigest()


def given_batches(given: Iterable[Mapping[str, Any]]) -> Batches:
    """Take batches as a model takes them, mappings of tensors whose first axis is the text. Raises DataError."""
    used: list[Batch] = []
    held: list[bool] = []
    seen = 0
    for number, one in enumerate(given, start=1):
        if not (isinstance(one, Mapping) and one and all(isinstance(value, Tensor) for value in one.values())):
            raise DataError(
                "calibration batch {number} is {kind}: expected a mapping of tensors, as the model takes them",
                code="calibration.batch", number=number, kind=kind_of(one),
            )  # fmt: skip
        batch = dict(one)
        rows = torch.arange(seen, seen + len(_first(batch)))
        seen += len(rows)
        for back in (False, True):
            part = (rows % HELD_BACK == HELD_BACK - 1) == back
            if part.any():
                used.append({name: value[part.to(value.device)] for name, value in batch.items()})
                held.append(back)
    if not used:
        raise DataError("calibration has no batches: expected at least one", code="calibration.no_batches")
    return Batches(used, held)


def _first(batch: Batch) -> Tensor:
    return next(iter(batch.values()))


def _mask(batch: Batch) -> Tensor:
    return batch["attention_mask"] if "attention_mask" in batch else torch.ones(_first(batch).shape[:2])

"""Calibration: texts, drawn by a seed, on which scores and reconstructions are measured."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ..errors import DataError, kind_of, shortened
from ..files import check_regular, from_home, name_of
from ..recipe import CalibrationRecord
from ..validation import as_integer
from .batches import check_vocabulary, encode, padded, token_limit
from .columns import PAIRS, TEXT, Examples, find_examples
from .embedding import Embedding
from .held_back import HELD_BACK, Batches
from .labels import class_numbers
from .tables import draw, read_table
from .text_files import open_text

COUNT = 512
MAX_LENGTH = 128
BATCH = 32


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
        self.count, self.max_length = _whole("count", count, 1), _whole("max_length", max_length, 3)
        self._label = label
        named = text is not None or text_pair is not None or label is not None
        given = texts if named else _lines(texts)
        self.examples: Examples = find_examples(
            read_table(_pairs(given)), text=text, text_pair=text_pair, label=label, scores=None
        )

    @classmethod
    def of(cls, given: Any) -> "Calibration":
        """Return a calibration as it is, and make one of texts, pairs, a table or a file.

        Args:
            given: A `Calibration`, or what it takes as `texts`.

        Returns:
            The calibration.

        Raises:
            DataError: It is none of these, or cannot be read.

        Example:
            >>> import bertprune as bp
            >>> bp.Calibration.of(["good film", "bad film"]).count
            512
        """
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
        """The classes, where a column of them was named; None elsewhere."""
        return self.examples.labels if self._label else None

    def draw(self, seed: int) -> list[int]:
        """Draw texts.

        Args:
            seed: An integer, the seed of the run.

        Returns:
            The numbers of the texts, counted from 0, in the order in which they were drawn.

        Example:
            >>> import bertprune as bp
            >>> bp.Calibration(["good film", "bad film", "what a film"], count=2).draw(0)
            [2, 0]
        """
        return draw(len(self), self.count, seed)


def _whole(name: str, given: Any, least: int) -> int:
    value = as_integer(given)
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise DataError(
            "{option}={value}: expected an integer, {least} or more",
            code="calibration.not_whole", option=name, value=shortened(repr(given)), least=least,
        )  # fmt: skip
    return value


def _lines(texts: Any) -> Any:
    """Read a plain text file without a line of names as one text a line; leave everything else as it is."""
    if not isinstance(texts, str | Path) or Path(texts).suffix.lower() != ".txt":
        return texts
    path = from_home(texts, DataError)
    check_regular(path, DataError)
    try:
        with open_text(path, "tsv") as file:
            lines = {number: line.strip() for number, line in enumerate(file, start=1)}
    except (OSError, UnicodeError):
        lines = {}
    if not any(lines.values()):
        return texts  # which the reader of tables refuses, with the file's name and the reason
    names = {cell.strip().casefold() for cell in re.split(r"[\t,;|]", lines[1])}
    if not names.isdisjoint(TEXT) or any(names.issuperset(pair) for pair in PAIRS):
        return texts
    numbers = [number for number, line in lines.items() if line]
    read = read_table([lines[number] for number in numbers])
    return replace(read, name=name_of(path), numbers=numbers, unit="line")


def _pairs(texts: Any) -> Any:
    """Give pairs of texts their usual names: in lists of examples, two values are a text and its label."""
    if not isinstance(texts, list | tuple) or not texts:
        return texts
    pairs = (isinstance(one, list | tuple) and len(one) == 2 and all(isinstance(t, str) for t in one) for one in texts)
    return [{"sentence1": one, "sentence2": other} for one, other in texts] if all(pairs) else texts


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
    if calibration.labels and not joined:
        raise DataError(
            "calibration names the column of labels {label!r}, and {name} does not classify texts: leave label= out",
            code="calibration.labels", label=calibration.examples.label_column, name=name,
        )  # fmt: skip
    labels = _class_numbers(calibration, rows, model) if calibration.labels else None
    digest = hash_of(texts, pairs, None if labels is None else labels.tolist())
    record = CalibrationRecord(count=len(rows), max_length=calibration.max_length, sha256=digest)
    limit = min(calibration.max_length, token_limit(tokenizer, [model], None, embedding.max_length))
    encoded = encode(tokenizer, texts if joined else embedding.prepared(texts), pairs, limit)
    check_vocabulary(encoded, model, name)
    lengths = np.array([len(ids) for ids in encoded.features["input_ids"]])
    held = np.arange(len(lengths)) % HELD_BACK == HELD_BACK - 1
    chosen = [(part, False) for part in _by_length(lengths, ~held)] + [
        (part, True) for part in _by_length(lengths, held)
    ]
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


def hash_of(texts: Sequence[str], pairs: Sequence[str] | None, labels: Sequence[int] | None) -> str:
    """Hash the texts in their order, and the labels that are read with them."""
    content = json.dumps([texts, pairs, labels], ensure_ascii=False).encode("utf-8", "surrogatepass")
    return hashlib.sha256(content).hexdigest()

"""All texts given as calibration, as a tokenizer reads them: how often each token occurs, and what a cut changes."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ..checkpoint.vocabulary import Vocabulary, cut_tokenizer, read_vocabulary
from ..errors import DataError
from ..recipe import CalibrationRecord
from .batches import encode
from .calibration import Calibration, hash_of
from .held_back import Batches

_WHOLE = 10**9


@dataclass(frozen=True)
class Reading:
    """Texts, a tokenizer, and what comes of the two."""

    tokenizer: PreTrainedTokenizerBase
    texts: tuple[str, ...] = field(repr=False)
    batches: Callable[[PreTrainedTokenizerBase, PreTrainedModel], Batches] = field(repr=False)
    """Draws and tokenises the texts for a model."""
    name: str
    """What messages call the checkpoint."""

    @cached_property
    def ids(self) -> list[list[int]]:
        """The ids of each text's tokens, whatever its length. Raises DataError."""
        return encode(self.tokenizer, list(self.texts), None, _WHOLE).features["input_ids"]

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """Which tokens may go. Raises CheckpointError."""
        return read_vocabulary(self.tokenizer, self.name)

    def counts(self, size: int) -> NDArray[np.int64]:
        """Count how often each of so many tokens occurs. Raises DataError for a token that the model does not have."""
        found = np.bincount(np.fromiter((one for text in self.ids for one in text), np.int64), minlength=size)
        most = max([len(found), *(number + 1 for number in self.vocabulary.lengths)])
        if most > size:
            raise DataError(
                "{name}: the tokenizer has {tokens:,} tokens, and the model only {size:,}: they cannot be cut",
                code="data.more_tokens", name=self.name, tokens=most, size=size,
            )  # fmt: skip
        return found

    def cut(self, kept: NDArray[np.int64]) -> tuple["Reading", int]:
        """Return the texts as the tokenizer with the tokens that are kept reads them, and how many that changes.

        Raises DataError where it changes a text whose tokens are all kept.
        """
        new = replace(self, tokenizer=cut_tokenizer(self.tokenizer, kept.tolist(), self.name))
        places, changed = {int(old): number for number, old in enumerate(kept)}, 0
        for before, after in zip(self.ids, new.ids, strict=True):
            moved = [places.get(one) for one in before]
            if None in moved:
                changed += 1
            elif moved != after:
                raise DataError(
                    "{name}: its tokenizer cannot be cut: with fewer tokens it reads texts otherwise that need none of"
                    " those",
                    code="data.cut_reads_otherwise", name=self.name,
                )  # fmt: skip
        return new, changed


def every_text(calibration: Calibration) -> list[str]:
    """Return all texts given as calibration, those of pairs one by one."""
    return [*calibration.examples.texts, *(calibration.examples.pairs or ())]


def record_of_all(calibration: Calibration, drawn: Batches) -> CalibrationRecord:
    """Return what a recipe says of all texts, and of those drawn of them."""
    found = hash_of([*every_text(calibration), drawn.record.sha256 if drawn.record else ""], None, None)
    return CalibrationRecord(count=len(calibration), max_length=calibration.max_length, sha256=found)

"""One evaluation at work: tokenise once, send the same batches through both models, note the time."""

import time
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedModel

from ..data.batches import Encoded, Meter, Reader, collect, encode, fits, max_tokens
from ..data.columns import Examples
from ..errors import DataError
from ..parallel import Progress
from .intervals import Estimate
from .report import Changed, Score
from .subjects import Subjects

Rows = NDArray[np.float64]


@dataclass
class Findings:
    """What a task has to say; becomes part of the report."""

    scores: dict[str, Score] = field(default_factory=dict)
    fidelity: dict[str, Estimate] = field(default_factory=dict)
    changed: tuple[Changed, ...] = ()


class Job:
    """The models, the examples and how to run the ones through the others."""

    def __init__(
        self,
        subjects: Subjects,
        examples: Examples,
        *,
        seed: int,
        batch_size: int,
        max_length: int | None,
        progress: Progress,
    ) -> None:
        _whole("batch_size", batch_size, 1)
        _whole("seed", seed, 0)
        self.subjects, self.examples, self.seed = subjects, examples, seed
        self.models = [model for model in (subjects.before, subjects.after) if model is not None]
        self.max_length = max_tokens(subjects.tokenizer, self.models, max_length)
        self.seconds = {"before": 0.0, "after": 0.0}
        self.notes = list(examples.notes)
        self._size, self._progress, self._meter = batch_size, progress, Meter(progress, 1)

    def encode(self, texts: list[str], pairs: list[str] | None = None, *, passes: int = 1) -> Encoded:
        """Tokenise once for both models and for `passes` passes through each. Raises DataError."""
        words = f"tokenising {len(texts):,} texts"
        self._progress(0.0, words)
        encoded = encode(self.subjects.tokenizer, texts, pairs, self.max_length, lambda: self._progress(0.0, words))
        for model in self.models:
            fits(encoded, model, "baseline" if model is self.subjects.before else "model")
        if encoded.cut:
            self.notes.append(f"{encoded.cut:,} of {len(texts):,} texts were cut to {self.max_length} tokens")
        tokens = sum(len(ids) for ids in encoded.features["input_ids"])
        self._meter = Meter(self._progress, tokens * len(self.models) * passes)
        return encoded

    def both(self, encoded: Encoded, read: Reader, width: int = 1) -> tuple[Rows | None, Rows]:
        """Return the reader's rows before (None without a baseline) and after; `width` as in `collect`."""
        before = (
            None if self.subjects.before is None else self._pass("before", self.subjects.before, encoded, read, width)
        )
        return before, self._pass("after", self.subjects.after, encoded, read, width)

    def _pass(self, side: str, model: PreTrainedModel, encoded: Encoded, read: Reader, width: int) -> Rows:
        start = time.perf_counter()
        width = max(width, 4 * int(getattr(model.config, "hidden_size", 1)))
        words = f"{'baseline' if side == 'before' else 'model'}: {len(encoded):,} texts"
        rows = collect(model, encoded, read, self._size, width, lambda tokens: self._meter.add(tokens, words))
        self.seconds[side] += time.perf_counter() - start
        if not np.isfinite(rows).all():
            bad = int((~np.isfinite(rows)).any(axis=1).sum())
            name = self.subjects.before_name if side == "before" else self.subjects.after_name
            raise DataError(
                f"{name} gives NaN or infinite outputs for {bad:,} of {len(rows):,} texts: look at its weights"
            )
        return rows


def _whole(name: str, value: int, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise DataError(f"{name}={value!r}: must be a whole number, {least} or more")

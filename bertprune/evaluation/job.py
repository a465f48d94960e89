"""One evaluation: the compared models and their outputs on the same batches."""

import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ..data.batches import Encoded, ModelOutput, check_vocabulary, encode, prompt_tokens, run_in_batches, token_limit
from ..data.columns import Examples
from ..errors import DataError, Note, shown
from ..parallel import Progress
from .models import ComparedModels

Rows = NDArray[np.float64]


class Job:
    """Runs the models of one evaluation on its examples, and collects notes and times."""

    def __init__(
        self,
        models: ComparedModels,
        examples: Examples,
        *,
        seed: int,
        batch_size: int,
        max_length: int | None,
        progress: Progress,
    ) -> None:
        """Check the options. Raises DataError."""
        check_whole("batch_size", batch_size, 1)
        self.models, self.examples, self.seed = models, examples, seed
        transformers, own = [side.model for side in models.sides().values()], models.embedding.max_length
        self.max_length = token_limit(models.tokenizer, transformers, max_length, own)
        self.seconds = {"before": 0.0, "after": 0.0}
        self.notes = list(examples.notes)
        self._batch_size, self._progress = batch_size, progress
        self._tokens_done, self._tokens_total = 0, 1

    def encode(self, texts: list[str], pairs: list[str] | None = None, *, passes: int = 1) -> Encoded:
        """Tokenise texts once, for `passes` runs through each model. Raises DataError."""
        words = f"tokenising {len(texts):,} texts"
        self._progress(0.0, words)
        both = {
            name: encode(
                self.models.tokenizer_of(name), texts, pairs, self.max_length, lambda: self._progress(0.0, words)
            )
            for name in (["after"] if self.models.before_tokenizer is None else ["after", "before"])
        }
        encoded = replace(both["after"], before=both.get("before"))
        for name, side in self.models.sides().items():
            check_vocabulary(encoded.of(name), side.model, side.name)
        if encoded.cut:
            self.notes.append(
                Note(
                    "{cut:,} of {texts:,} texts were truncated to {most} tokens",
                    code="note.cut_texts", cut=encoded.cut, texts=len(texts), most=self.max_length,
                )
            )  # fmt: skip
        read = [encoded.of(name).features["input_ids"] for name in self.models.sides()]
        self._tokens_total = sum(len(ids) for texts_read in read for ids in texts_read) * passes
        return encoded

    def run(self, encoded: Encoded, output: ModelOutput, width: int = 1) -> tuple[Rows | None, Rows]:
        """Run both models and return their rows of the output, before (None without a baseline) and after.

        `width` is that of `run_in_batches`. Raises DataError for outputs that are not finite.
        """
        return self._run(encoded, dict.fromkeys(self.models.sides(), output), width)

    def encode_for_embedding(self, texts: list[str]) -> Encoded:
        """Tokenise texts as the models were trained to embed them, with their prompt. Raises DataError."""
        return self.encode(self.models.embedding.prepared(texts))

    def embed(self, encoded: Encoded) -> tuple[Rows | None, Rows]:
        """Run both models and return an embedding of each text, as `run` does."""
        outputs: dict[str, ModelOutput] = {}
        for name, side in self.models.sides().items():
            count = prompt_tokens(self.models.tokenizer_of(name), self.models.embedding.prompt, self.max_length)
            outputs[name] = partial(self.models.embedding_of(side), prompt_tokens=count)
        return self._run(encoded, outputs)

    def run_each(self, encoded: Encoded, outputs: Mapping[str, ModelOutput]) -> tuple[Rows | None, Rows]:
        """Run each model for an output of its own."""
        return self._run(encoded, outputs)

    def _run(self, encoded: Encoded, outputs: Mapping[str, ModelOutput], width: int = 1) -> tuple[Rows | None, Rows]:
        rows: dict[str, Rows] = {}
        for name, side in self.models.sides().items():
            words = f"{'baseline' if name == 'before' else 'model'}: {len(encoded):,} texts"
            widest = max(width, 4 * int(getattr(side.model.config, "hidden_size", 1)))
            start = time.perf_counter()
            rows[name] = run_in_batches(
                side.model,
                encoded.of(name),
                outputs[name],
                self._batch_size,
                widest,
                partial(self._count_tokens, words),
            )
            self.seconds[name] += time.perf_counter() - start
            check_finite(side.name, rows[name])
        return rows.get("before"), rows["after"]

    def _count_tokens(self, words: str, tokens: int) -> None:
        """Report progress after a batch."""
        self._tokens_done += tokens
        self._progress(min(self._tokens_done / max(self._tokens_total, 1), 1.0), words)


def check_finite(name: str, rows: Rows) -> None:
    """Refuse the outputs of a model that are not finite. Raises DataError."""
    if not np.isfinite(rows).all():
        raise DataError(
            "{model} returns NaN or infinite outputs for {bad:,} of {total:,} texts: check its weights",
            code="evaluation.not_finite",
            model=name,
            bad=int((~np.isfinite(rows)).any(axis=1).sum()),
            total=len(rows),
        )


def check_whole(option: str, value: int, least: int) -> None:
    """Refuse what is not a whole number, or too small. Raises DataError."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise DataError(
            "{option}={value}: expected an integer, {least} or more",
            code="evaluation.not_whole",
            option=option,
            value=shown(value),
            least=least,
        )

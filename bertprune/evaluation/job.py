"""One evaluation: the compared models and their outputs on the same batches."""

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ..checkpoint import Checkpoint
from ..checkpoint.tokenizer import open_tokenizer
from ..data.batches import Encoded, ModelOutput, check_vocabulary, encode, run_in_batches, token_limit
from ..data.columns import Examples
from ..errors import CheckpointError, DataError, Note, shortened
from ..parallel import Progress

Model = Any
"""A PruningRun, a transformers model, a Checkpoint, or the name or folder of one."""
Head = Literal["classification", "regression", "language", "embedding"]
Rows = NDArray[np.float64]


@dataclass(frozen=True)
class ComparedModels:
    """The model to evaluate, its baseline if any, their names, and the tokenizer of both."""

    after: PreTrainedModel
    before: PreTrainedModel | None
    after_name: str
    before_name: str | None
    tokenizer: PreTrainedTokenizerBase

    def sides(self) -> dict[str, tuple[str, PreTrainedModel]]:
        """Return name and model of each side, before and after, in the order in which they run."""
        after = {"after": (self.after_name, self.after)}
        return after if self.before is None else {"before": (str(self.before_name), self.before)} | after

    def head(self) -> Head:
        """Return the kind of both models' head.

        Raises DataError where the heads or their classes differ, or where a text can have several labels.
        """
        head = _head(self.after)
        if self.before is None:
            return head
        same_classes = head != "classification" or self.before.config.id2label == self.after.config.id2label
        if _head(self.before) != head or not same_classes:
            raise DataError(
                "baseline is a {before}, model a {after}: expected the same head and the same classes",
                code="evaluation.different_heads",
                before=type(self.before).__name__,
                after=type(self.after).__name__,
            )
        return head


def _head(model: PreTrainedModel) -> Head:
    name = type(model).__name__
    if name.endswith("ForMaskedLM"):
        return "language"
    if not name.endswith("ForSequenceClassification"):
        return "embedding"
    if model.config.problem_type == "multi_label_classification":
        raise DataError(
            "{model} gives a text several labels: evaluation supports one class or one number per text",
            code="evaluation.multi_label",
            model=name,
        )
    return "regression" if model.config.num_labels == 1 else "classification"


def open_models(model: Model, baseline: Model | None, tokenizer: Any) -> ComparedModels:
    """Open the models and the tokenizer; a run's baseline is its checkpoint. Raises DataError or CheckpointError."""
    is_run = _is_run(model)
    seed = model.seed if is_run else 0
    baseline = model.checkpoint if is_run and baseline is None else baseline
    after, after_name, checkpoint = _open("model", model, seed)
    if baseline is None:
        return ComparedModels(after, None, after_name, None, _tokenizer(tokenizer, checkpoint))
    before, before_name, other = _open("baseline", baseline, seed)
    return ComparedModels(after, before, after_name, before_name, _tokenizer(tokenizer, checkpoint or other))


def _is_run(model: Any) -> bool:
    """Recognise a run without importing `runs`, and without reading `model`, which would build it."""
    return not isinstance(model, nn.Module) and all(hasattr(model, name) for name in ("checkpoint", "recipe", "seed"))


def _open(role: str, source: Model, seed: int) -> tuple[PreTrainedModel, str, Checkpoint | None]:
    """Return a model, its name in the report, and the checkpoint that it was built from if known."""
    if isinstance(source, str | Path | Checkpoint):
        checkpoint = Checkpoint.open(source)
        return _checked(role, checkpoint.model(seed)), checkpoint.name, checkpoint
    if _is_run(source):
        return _checked(role, source.model), f"{source.checkpoint.name}, pruned", source.checkpoint
    return _checked(role, source), type(source).__name__, None


def _checked(role: str, model: Any) -> PreTrainedModel:
    if not isinstance(model, PreTrainedModel):
        raise DataError(
            "{role} is of type {type}: expected a transformers model, a run or a checkpoint",
            code="evaluation.model_type",
            role=role,
            type=type(model).__name__,
        )
    if any(parameter.is_meta for parameter in model.parameters()):
        raise DataError("{role} is on the meta device: load its weights first", code="evaluation.on_meta", role=role)
    return model


def _tokenizer(tokenizer: Any, checkpoint: Checkpoint | None) -> PreTrainedTokenizerBase:
    if isinstance(tokenizer, PreTrainedTokenizerBase):
        return tokenizer
    if tokenizer is not None and not isinstance(tokenizer, str | Path):
        raise DataError(
            "tokenizer is of type {type}: expected a tokenizer, a folder or a name",
            code="evaluation.tokenizer_type",
            type=type(tokenizer).__name__,
        )
    try:
        if tokenizer is not None:
            return open_tokenizer(tokenizer)
        if checkpoint is not None:
            return checkpoint.tokenizer()
    except CheckpointError as error:
        raise DataError("{error}", code="evaluation.tokenizer", error=error) from None
    raise DataError(
        "a model that is passed as an object has no tokenizer: pass tokenizer=", code="evaluation.no_tokenizer"
    )


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
        _check_whole("batch_size", batch_size, 1)
        _check_whole("seed", seed, 0)
        self.models, self.examples, self.seed = models, examples, seed
        self.max_length = token_limit(models.tokenizer, [model for _, model in models.sides().values()], max_length)
        self.seconds = {"before": 0.0, "after": 0.0}
        self.notes = list(examples.notes)
        self._batch_size, self._progress = batch_size, progress
        self._tokens_done, self._tokens_total = 0, 1

    def encode(self, texts: list[str], pairs: list[str] | None = None, *, passes: int = 1) -> Encoded:
        """Tokenise texts once, for `passes` runs through each model. Raises DataError."""
        words = f"tokenising {len(texts):,} texts"
        self._progress(0.0, words)
        encoded = encode(self.models.tokenizer, texts, pairs, self.max_length, lambda: self._progress(0.0, words))
        for name, model in self.models.sides().values():
            check_vocabulary(encoded, model, name)
        if encoded.cut:
            self.notes.append(
                Note(
                    "{cut:,} of {texts:,} texts were cut to {most} tokens",
                    code="note.cut_texts", cut=encoded.cut, texts=len(texts), most=self.max_length,
                )
            )  # fmt: skip
        self._tokens_total = sum(map(len, encoded.features["input_ids"])) * len(self.models.sides()) * passes
        return encoded

    def run(self, encoded: Encoded, output: ModelOutput, width: int = 1) -> tuple[Rows | None, Rows]:
        """Run both models and return their rows of the output, before (None without a baseline) and after.

        `width` is that of `run_in_batches`. Raises DataError for outputs that are not finite.
        """
        rows: dict[str, Rows] = {}
        for side, (name, model) in self.models.sides().items():
            words = f"{'baseline' if side == 'before' else 'model'}: {len(encoded):,} texts"
            widest = max(width, 4 * int(getattr(model.config, "hidden_size", 1)))
            start = time.perf_counter()
            rows[side] = run_in_batches(
                model, encoded, output, self._batch_size, widest, partial(self._count_tokens, words)
            )
            self.seconds[side] += time.perf_counter() - start
            _check_finite(name, rows[side])
        return rows.get("before"), rows["after"]

    def _count_tokens(self, words: str, tokens: int) -> None:
        """Report progress after a batch."""
        self._tokens_done += tokens
        self._progress(min(self._tokens_done / max(self._tokens_total, 1), 1.0), words)


def _check_finite(name: str, rows: Rows) -> None:
    """Refuse the outputs of a model that are not finite. Raises DataError."""
    if not np.isfinite(rows).all():
        raise DataError(
            "{model} returns NaN or infinite outputs for {bad:,} of {total:,} texts: check its weights",
            code="evaluation.not_finite",
            model=name,
            bad=int((~np.isfinite(rows)).any(axis=1).sum()),
            total=len(rows),
        )


def _check_whole(option: str, value: int, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise DataError(
            "{option}={value}: expected a whole number, {least} or more",
            code="evaluation.not_whole",
            option=option,
            value=shortened(repr(value)),
            least=least,
        )

"""One text through a model before and after pruning: what each says of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ..data.batches import Batch, Encoded, call, read_embeddings, read_logits
from ..data.columns import Examples
from ..data.tables import MAX_LINE, Table
from ..errors import DataError
from ..parallel import silent
from .answers import Answers, Figure, Guess, TextReport
from .classification import class_names
from .fidelity import cosines
from .job import Job, Rows
from .quality import Model, head_of
from .subjects import resolve

__all__ = ["Answers", "Figure", "Guess", "TextReport", "try_text"]

_NAME = "the text"


def try_text(
    model: Model,
    text: str,
    *,
    text_pair: str | None = None,
    baseline: Model | None = None,
    tokenizer: PreTrainedTokenizerBase | str | Path | None = None,
    top: int = 5,
    max_length: int | None = None,
) -> TextReport:
    """Ask a model about one text, before and after pruning.

    `model`, `baseline`, `tokenizer` and `max_length` (tokens) are as in `evaluate`: a run is compared with its own
    checkpoint. Classifiers tell the probability of every class, models that fill in blanks the `top` candidates for
    each mask token in the text, one output its value; any other model is told by its mean-pooled embeddings: the
    cosine between before and after, and with `text_pair` the similarity of the two texts in each model.
    A text that is too long is cut, and the report says so. Pure: models and the global random state stay as they were.

    Raises DataError for an empty text, a text without the mask token where one is needed, or a model without a
    tokenizer; CheckpointError for unreadable models.
    """
    texts = [_checked("text", text)] + ([] if text_pair is None else [_checked("text_pair", text_pair)])
    if isinstance(top, bool) or not isinstance(top, int) or not 1 <= top <= 100:
        raise DataError(f"top={top!r}: must be a whole number of candidates from 1 to 100")
    subjects = resolve(model, baseline, tokenizer)
    pairs = texts[1:] or None
    examples = Examples(Table(_NAME, ("text",), [(text,)], [1], "text"), texts[:1], pairs, None)
    job = Job(subjects, examples, seed=0, batch_size=1, max_length=max_length, progress=silent)
    found = _ask(head_of(subjects), job, top)
    return TextReport(
        task=found.task,
        before_name=subjects.before_name,
        after_name=subjects.after_name,
        text=text,
        text_pair=text_pair,
        answers=found.answers,
        figures=found.figures,
        tokens=sum(map(len, found.encoded.features["input_ids"])),
        max_length=job.max_length,
        cut=found.encoded.cut > 0,
    )


@dataclass(frozen=True)
class _Found:
    task: Any
    encoded: Encoded
    answers: tuple[Answers, ...] = ()
    figures: tuple[Figure, ...] = ()


def _checked(role: str, text: Any) -> str:
    if not isinstance(text, str):
        raise DataError(f"{role} is a {type(text).__name__}: expected one text")
    if not text.strip():
        raise DataError(f"{role} is empty: write a sentence")
    if len(text) > MAX_LINE:
        raise DataError(f"{role} has {len(text):,} characters: at most {MAX_LINE:,} are read")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise DataError(f"{role} holds half a character, which is no text: write it anew") from None
    return text


def _ask(head: str, job: Job, top: int) -> _Found:
    if head == "language":
        return _blanks(job, top)
    if head == "embedding":
        return _embeddings(job)
    encoded = job.encode(job.examples.texts, job.examples.pairs)
    before, after = job.both(encoded, read_logits)
    if head == "regression":
        return _Found(head, encoded, figures=(Figure("score", _first(before), float(after[0, 0])),))
    return _Found(head, encoded, answers=(_classes(job, before, after),))


def _first(rows: Rows | None) -> float | None:
    return None if rows is None else float(rows[0, 0])


def _classes(job: Job, before: Rows | None, after: Rows) -> Answers:
    """List all classes for both models in one order: the likelier before, the further up."""
    order = np.argsort(-(after if before is None else before)[0], kind="stable")
    names = class_names(job)

    def told(rows: Rows) -> tuple[Guess, ...]:
        likely = softmax(rows[0])
        return tuple(Guess(names[int(at)], float(likely[at])) for at in order)

    return Answers(None if before is None else told(before), told(after))


def _blanks(job: Job, top: int) -> _Found:
    encoded = job.encode(job.examples.texts, job.examples.pairs)
    places = _mask_places(job, encoded)
    top = min(top, *(int(model.config.vocab_size) for model in job.models))

    def read(model: PreTrainedModel, batch: Batch) -> Tensor:
        """Return for each blank its best candidates' numbers and probabilities, `(1, blanks * 2 * top)`."""
        likely = call(model, batch).logits[0, places].double().softmax(dim=-1).topk(top)
        return torch.stack([likely.indices.double(), likely.values], dim=1).reshape(1, -1)

    sides = [None if rows is None else rows.reshape(len(places), 2, top) for rows in job.both(encoded, read)]
    told = [[None] * len(places) if side is None else [_guesses(job, *blank) for blank in side] for side in sides]
    return _Found("language", encoded, tuple(Answers(*both) for both in zip(*told, strict=True)))


def _mask_places(job: Job, encoded: Encoded) -> list[int]:
    tokenizer = job.subjects.tokenizer
    if tokenizer.mask_token is None:
        raise DataError("the tokenizer has no mask token: there is no blank to fill in")
    ids = encoded.features["input_ids"][0]
    places = [place for place, number in enumerate(ids) if number == tokenizer.mask_token_id]
    if places:
        return places
    if any(tokenizer.mask_token in text for text in (*job.examples.texts, *(job.examples.pairs or ()))):
        raise DataError(f"no {tokenizer.mask_token} is among the {len(ids)} tokens that are read: shorten the text")
    raise DataError(f"the text has no {tokenizer.mask_token}: put it where a word is to be guessed")


def _guesses(job: Job, numbers: NDArray[np.float64], probabilities: NDArray[np.float64]) -> tuple[Guess, ...]:
    return tuple(Guess(_word(job, int(at)), float(share)) for at, share in zip(numbers, probabilities, strict=True))


def _word(job: Job, number: int) -> str:
    """Spell a token as people read it; pieces that are no text by themselves keep their own name."""
    tokenizer = job.subjects.tokenizer
    word = tokenizer.decode([number]).strip()
    return word if word and "\ufffd" not in word else str(tokenizer.convert_ids_to_tokens(number))


def _embeddings(job: Job) -> _Found:
    encoded = job.encode([*job.examples.texts, *(job.examples.pairs or [])])
    before, after = job.both(encoded, read_embeddings)
    figures = []
    if len(after) == 2:
        figures.append(Figure("similarity", None if before is None else _alike(before), _alike(after)))
    if before is not None and before.shape[1] == after.shape[1]:
        figures.append(Figure("embedding_cosine", None, float(cosines(before, after).mean())))
    if not figures:
        raise DataError(f"{job.subjects.after_name} tells nothing of one text by itself: give text_pair= or baseline=")
    return _Found("embedding", encoded, figures=tuple(figures))


def _alike(rows: Rows) -> float:
    return float(cosines(rows[:1], rows[1:])[0])

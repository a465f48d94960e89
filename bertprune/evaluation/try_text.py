"""`bp.try_text`: the output of a model for one text before and after pruning."""

from dataclasses import asdict, dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy.special import softmax
from transformers import PreTrainedTokenizerBase

from ..data.batches import Encoded, logits
from ..data.columns import Examples
from ..data.csv_layout import MAX_LINE
from ..data.tables import Table
from ..errors import DataError, Note, shown
from ..parallel import silent
from ..text import aligned
from .classification import class_names
from .job import Job, Rows
from .masked_lm import fill_blanks
from .metrics import cosines
from .models import Head, Model, open_models

_TEXT = Note("the text", code="evaluation.the_text")


@dataclass(frozen=True)
class Guess:
    """A class, or a word for a blank, and its probability."""

    name: str
    probability: float


@dataclass(frozen=True)
class Answers:
    """The guesses of both models for one question.

    Classes are in the same order on both sides, by their probability before; the candidates for a blank are the best
    ones of each model.
    """

    before: tuple[Guess, ...] | None
    after: tuple[Guess, ...]


@dataclass(frozen=True)
class Figure:
    """A number for the text; `before` is None without a baseline, and for `embedding_cosine`."""

    name: str
    """score (one output), similarity (cosine of the two texts), embedding_cosine (before against after)."""
    before: float | None
    after: float


@dataclass(frozen=True)
class TextReport:
    """Hold the result of `try_text`: the guesses and figures of both models.

    Example:
        >>> import bertprune as bp
        >>> report = bp.try_text("demo", "이 영화 정말 재미있다")
        >>> report.task, [guess.name for guess in report.answers[0].after]
        ('classification', ['positive', 'negative'])
    """

    task: Head
    before_name: str | None
    after_name: str
    text: str
    text_pair: str | None
    answers: tuple[Answers, ...]
    """One for a classifier, one per blank in the order of the text, none for models that return only numbers."""
    figures: tuple[Figure, ...]
    tokens: int
    """Tokens of the model's input, special ones included."""
    max_length: int
    """Tokens after which texts are cut."""
    cut: bool
    """Whether the text was longer than that."""
    notes: tuple[str, ...] = ()
    """How the embeddings are made, where there are any."""

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values.

        Returns:
            A dict that JSON can hold, with the fields of the report.

        Example:
            >>> import bertprune as bp
            >>> bp.try_text("demo", "good").to_dict()["task"]
            'classification'
        """
        return asdict(self)

    def to_text(self) -> str:
        """Write the answers of both models side by side.

        Returns:
            Several lines of text in aligned columns.

        Example:
            >>> import bertprune as bp
            >>> bp.try_text("demo", "good").to_text().splitlines()[0]
            'demo'
        """
        lines = [f"{self.before_name} -> {self.after_name}" if self.before_name else self.after_name]
        lines += [f"note: the text was cut to {self.max_length:,} tokens"] if self.cut else []
        lines += [f"note: {note}" for note in self.notes]
        sides = ("before", "after") if self.before_name else ("answer",)
        for number, answers in enumerate(self.answers, 1):
            blanks = self.task == "language"
            lines += ["", aligned([(f"blank {number}" if blanks else "class", *sides), *_answer_rows(answers, blanks)])]
        if self.figures:
            lines += ["", aligned([("", *sides), *(_figure_row(figure, len(sides)) for figure in self.figures)])]
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.to_text()


def _answer_rows(answers: Answers, blanks: bool) -> list[tuple[str, ...]]:
    ranks = zip(*(side for side in (answers.before, answers.after) if side is not None), strict=True)
    if blanks:
        return [(str(n), *(f"{one.name} {one.probability:.4f}" for one in rank)) for n, rank in enumerate(ranks, 1)]
    return [(rank[0].name, *(f"{one.probability:.4f}" for one in rank)) for rank in ranks]


def _figure_row(figure: Figure, sides: int) -> tuple[str, ...]:
    values = ["" if value is None else f"{value:.4f}" for value in (figure.before, figure.after)]
    return (figure.name.replace("_", " "), *values[-sides:])


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
    """Run a model on one text, before and after pruning.

    Classifiers give the probability of every class, masked-language models candidates for each mask token in the text,
    regression heads their output. For other models the embeddings are compared: before with after, and the text with
    `text_pair`; they are made as `evaluate` makes them. The models and the global random state are not changed.

    Args:
        model: The model to run, a `PruningRun`, a transformers model, a `Checkpoint`, or the name or folder of one as a
            string or Path.
        text: A string, the text; for a masked-language model with the mask token in place of the words to predict.
        text_pair: A string, a second text; default None.
        baseline: The model to compare with, of the same types as `model`; default None, the checkpoint of a run and
            no comparison for other models.
        tokenizer: A tokenizer, or its folder, Hub id or embedded name as a string or Path; default None, the
            checkpoint's. Required if all models are objects.
        top: An integer, the number of candidates per mask token, 1 to 100; default 5.
        max_length: An integer, the number of tokens after which the text is cut, at least 3; default None, the most
            that both models accept.

    Returns:
        A `TextReport` with the answers and figures of both models.

    Raises:
        DataError: The text is empty or has no mask token, an option is out of range, or the tokenizer is missing.
        CheckpointError: A model cannot be read.

    Warns:
        MissingTensorsWarning: A checkpoint lacks tensors of its architecture; they are initialised from the seed of the
            run, otherwise from 0.

    Example:
        >>> import bertprune as bp
        >>> run = bp.prune("demo", bp.Step(method="l1_unstructured", fraction=0.3, select="encoder.*"))
        >>> answers = bp.try_text(run, "이 영화 정말 재미있다").answers[0]
        >>> answers.before[0].name, answers.after[0].name
        ('positive', 'positive')
    """
    texts = [_checked("text", text)] + ([] if text_pair is None else [_checked("text_pair", text_pair)])
    if isinstance(top, bool) or not isinstance(top, int) or not 1 <= top <= 100:
        raise DataError(
            "top={value}: expected an integer from 1 to 100",
            code="evaluation.top",
            value=shown(top),
        )
    models = open_models(model, baseline, tokenizer)
    examples = Examples(Table(_TEXT, ("text",), [(text,)], [1], "item"), texts[:1], texts[1:] or None, None)
    job = Job(models, examples, seed=0, batch_size=1, max_length=max_length, progress=silent)
    head = models.head()
    found = _fill_blanks(job, top) if head == "language" else _ask(head, job)
    return TextReport(
        task=head,
        before_name=None if models.before is None else models.before.name,
        after_name=models.after.name,
        text=text,
        text_pair=text_pair,
        answers=tuple(found.answers),
        figures=tuple(found.figures),
        tokens=sum(map(len, found.encoded.features["input_ids"])),
        max_length=job.max_length,
        cut=found.encoded.cut > 0,
        notes=tuple(models.notes(head)),
    )


def _checked(option: str, text: Any) -> str:
    if not isinstance(text, str):
        kind = type(text).__name__
        raise DataError(
            "{option} is of type {type}: expected a text", code="evaluation.text_type", option=option, type=kind
        )
    if not text.strip():
        raise DataError("{option} is empty: write a sentence", code="evaluation.empty_text", option=option)
    if len(text) > MAX_LINE:
        raise DataError(
            "{option} has {length:,} characters: at most {most:,} are read",
            code="evaluation.long_text",
            option=option,
            length=len(text),
            most=MAX_LINE,
        )
    try:
        text.encode()
    except UnicodeEncodeError:
        raise DataError(
            "{option} contains a broken character (half of a surrogate pair): write the text again",
            code="evaluation.broken_text",
            option=option,
        ) from None
    return text


@dataclass
class _Found:
    encoded: Encoded
    answers: list[Answers] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)


def _ask(head: Literal["classification", "regression", "embedding"], job: Job) -> _Found:
    if head == "embedding":
        return _compare_embeddings(job)
    encoded = job.encode(job.examples.texts, job.examples.pairs)
    before, after = job.run(encoded, job.models.score if head == "regression" else logits)
    if head == "regression":
        old = None if before is None else float(before[0, 0])
        return _Found(encoded, figures=[Figure("score", old, float(after[0, 0]))])
    order = np.argsort(-(after if before is None else before)[0], kind="stable")
    names = class_names(job.models.after.model)

    def guesses(rows: Rows) -> tuple[Guess, ...]:
        probabilities = softmax(rows[0])
        return tuple(Guess(names[int(one)], float(probabilities[one])) for one in order)

    return _Found(encoded, answers=[Answers(None if before is None else guesses(before), guesses(after))])


def _fill_blanks(job: Job, top: int) -> _Found:
    encoded = job.encode(job.examples.texts, job.examples.pairs)
    before, after = ([_guesses(blank) for blank in side] for side in fill_blanks(job, encoded, top))
    return _Found(encoded, answers=[Answers(*both) for both in zip_longest(before, after)])


def _guesses(candidates: list[tuple[str, float]]) -> tuple[Guess, ...]:
    return tuple(Guess(word, probability) for word, probability in candidates)


def _compare_embeddings(job: Job) -> _Found:
    encoded = job.encode_for_embedding([*job.examples.texts, *(job.examples.pairs or [])])
    before, after = job.embed(encoded)
    found = _Found(encoded)
    if len(after) == 2:
        old = None if before is None else _similarity(before)
        found.figures.append(Figure("similarity", old, _similarity(after)))
    if before is not None and before.shape[1] == after.shape[1]:
        found.figures.append(Figure("embedding_cosine", None, float(cosines(before, after).mean())))
    if not found.figures:
        raise DataError(
            "{model} has no output for a single text: pass text_pair= or baseline=",
            code="evaluation.nothing_to_compare",
            model=job.models.after.name,
        )
    return found


def _similarity(rows: Rows) -> float:
    return float(cosines(rows[:1], rows[1:])[0])

"""The calibration texts of a run: as its checkpoint takes them, and how its answers are compared."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ..checkpoint import EMBEDDED, Checkpoint
from ..data.calibration import Calibration, batches_of
from ..data.embedding import Embedding
from ..data.embedding_folder import embedding_of
from ..data.held_back import Batches
from ..data.outputs import Output, output_of
from ..data.tables import SAMPLES
from ..data.vocabulary import Reading, every_text, record_of_all
from ..errors import DataError, Note, OtherTextsWarning
from ..pruning.steps import match_steps
from ..recipe import CalibrationRecord, Recipe

_OTHER = "the recipe was calibrated on other texts than these: other weights may be chosen"


@dataclass(frozen=True)
class Texts:
    """What a run measures its steps on; nothing where no step asks for texts."""

    batches: Batches | None = None
    output: Output | None = None
    notes: tuple[Note, ...] = ()
    """What to know of them."""
    given: bool = False
    """Whether they are the caller's, and not those that a demo brings."""
    reading: Reading | None = None
    """All of them, where a step counts tokens."""
    record: CalibrationRecord | None = None
    """What the recipe says of them."""


def calibrate(checkpoint: Checkpoint, model: PreTrainedModel, recipe: Recipe, calibration: Any, seed: int) -> Texts:
    """Draw and tokenise the texts that a recipe's steps ask for. Raises DataError and RecipeError.

    Where none are given, the demos take those that they bring.
    """
    given = None if calibration is None else Calibration.of(calibration)
    steps = match_steps(checkpoint.skeleton(), recipe, checkpoint.missing)
    if not any(step.needs_texts for step in steps):
        return Texts() if given is None else Texts(notes=(_unread(),))
    if given is None and checkpoint.name not in EMBEDDED:
        return Texts()
    texts = Calibration(SAMPLES) if given is None else given
    embedding, drawn = _drawing(checkpoint, model, texts, seed)
    tokenizer = checkpoint.tokenizer()
    batches, reading = drawn(tokenizer, model), None
    notes, record = [_used(batches, None if given else checkpoint.name), *batches.notes], batches.record
    if any(step.removes_tokens for step in steps):
        every = every_text(texts)
        reading, record = (
            Reading(tokenizer, tuple(embedding.prepared(every)), drawn, checkpoint.name),
            record_of_all(texts, batches),
        )
        notes.append(Note("tokens counted in {texts:,} texts", code="calibration.counted", texts=len(every)))
    if recipe.calibration not in (None, record):
        notes.append(Note(_OTHER, code="calibration.other_texts"))
        warnings.warn(OtherTextsWarning(_OTHER, code="calibration.other_texts"), stacklevel=3)
    return Texts(batches, output_of(model, embedding), tuple(notes), given is not None, reading, record)


def texts_to_measure(checkpoint: Checkpoint, model: PreTrainedModel, calibration: Any, seed: int) -> Texts:
    """Draw and tokenise texts, of which some are held back to measure on; the demos take those that they bring.

    Raises DataError where there are none, or none could be held back.
    """
    if calibration is None and checkpoint.name not in EMBEDDED:
        raise DataError(
            "{name} is measured on texts: give a few hundred unlabelled ones", code="calibration.none_to_measure",
            name=checkpoint.name,
        )  # fmt: skip
    texts = Calibration(SAMPLES) if calibration is None else Calibration.of(calibration)
    embedding, drawn = _drawing(checkpoint, model, texts, seed)
    batches = drawn(checkpoint.tokenizer(), model)
    if not any(batches.held_back):
        raise DataError(
            "only {texts} texts: one in five is held back to measure on, so give five at least, better a few hundred",
            code="calibration.none_held_back", texts=batches.texts,
        )  # fmt: skip
    notes = (_used(batches, None if calibration is not None else checkpoint.name), *batches.notes)
    return Texts(batches, output_of(model, embedding), notes, calibration is not None, None, batches.record)


def _drawing(
    checkpoint: Checkpoint, model: PreTrainedModel, texts: Calibration, seed: int
) -> tuple[Embedding, Callable[[PreTrainedTokenizerBase, PreTrainedModel], Batches]]:
    """Return how the checkpoint embeds texts, and what draws and tokenises them."""
    embedding = embedding_of(model, checkpoint.folder(), checkpoint.name)

    def drawn(tokenizer: PreTrainedTokenizerBase, reader: PreTrainedModel) -> Batches:
        return batches_of(texts, seed, tokenizer, reader, embedding, checkpoint.name)

    return embedding, drawn


def _unread() -> Note:
    return Note("the calibration texts were not read: no step asks for them", code="calibration.unread_texts")


def _used(batches: Batches, demo: str | None) -> Note:
    """Say on how many texts a run was calibrated, and where a demo brought them."""
    if demo is not None:
        return Note(
            "calibrated on the {texts:,} texts that come with {name}",
            code="calibration.own_texts", texts=batches.texts, name=demo,
        )  # fmt: skip
    assert batches.record is not None
    if batches.texts > batches.record.count:
        return Note(
            "calibrated on the {texts:,} texts of {pairs:,} pairs",
            code="calibration.texts_of_pairs", texts=batches.texts, pairs=batches.record.count,
        )  # fmt: skip
    return Note("calibrated on {texts:,} texts", code="calibration.texts", texts=batches.texts)

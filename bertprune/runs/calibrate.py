"""The calibration texts of a run: as its checkpoint takes them, and how its answers are compared."""

import warnings
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedModel

from ..checkpoint import EMBEDDED, Checkpoint
from ..data.calibration import Batches, Calibration, batches_of
from ..data.embedding_folder import read_embedding
from ..data.outputs import Output, output_of
from ..data.tables import SAMPLES
from ..errors import Note, OtherTextsWarning
from ..pruning.steps import match_steps
from ..recipe import CalibrationRecord, Recipe


@dataclass(frozen=True)
class Texts:
    """What a run measures its steps on; nothing where no step asks for texts."""

    batches: Batches | None = None
    output: Output | None = None

    @property
    def record(self) -> CalibrationRecord | None:
        """What the recipe says of them."""
        return None if self.batches is None else self.batches.record

    @property
    def notes(self) -> tuple[Note, ...]:
        """What to know of them."""
        return () if self.batches is None else self.batches.notes


def calibrate(checkpoint: Checkpoint, model: PreTrainedModel, recipe: Recipe, calibration: Any, seed: int) -> Texts:
    """Draw and tokenise the texts that a recipe's steps ask for. Raises DataError and RecipeError.

    Where none are given, the demos take those that they bring.
    """
    given = None if calibration is None else Calibration.of(calibration)
    if not any(step.needs_texts for step in match_steps(checkpoint.skeleton(), recipe, checkpoint.missing)):
        return Texts()
    if given is None and checkpoint.name in EMBEDDED:
        given = Calibration(SAMPLES)
    if given is None:
        return Texts()
    embedding = read_embedding(checkpoint.folder(), checkpoint.name, int(getattr(model.config, "hidden_size", 0)))
    batches = batches_of(given, seed, checkpoint.tokenizer(), model, embedding, checkpoint.name)
    if recipe.calibration not in (None, batches.record):
        sentence = "the recipe was calibrated on other texts than these: other weights may be chosen"
        warnings.warn(OtherTextsWarning(sentence, code="calibration.other_texts"), stacklevel=3)
    return Texts(batches, output_of(model, embedding))

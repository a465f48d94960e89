"""How far the answers of what was written are from those of the model that was pruned."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from ..checkpoint.sentence_modules import transformer_folder
from ..checkpoint.tokenizer import load_tokenizer
from ..checkpoint.tokenizer_files import has_vocabulary
from ..data.batches import Batch, evaluation_mode, made_up, position_limit
from ..data.calibration import Calibration, batches_of
from ..data.embedding_folder import embedding_of
from ..data.outputs import Measure, output_of
from ..data.tables import SAMPLES

_COUNT = 64
"""How many of the sample reviews are enough."""
_MEASURES: dict[Measure, str] = {
    "divergence": "a Kullback-Leibler divergence",
    "squared": "a mean squared difference",
    "angle": "a mean 1 - cosine",
}


@dataclass(frozen=True)
class Drift:
    """The mean difference of the answers on texts."""

    value: float
    measure: Measure
    texts: int
    """How many texts there are."""
    data_name: str | None
    """Where they come from; None for made-up token ids."""

    def __str__(self) -> str:
        on = "made-up token ids" if self.data_name is None else f"{self.texts:,} texts of {self.data_name}"
        return f"{_MEASURES[self.measure]} of {self.value:.2g} on {on}"


def drift_on(texts: Calibration | None, folder: Path, name: str, before: PreTrainedModel, after: Any) -> Drift:
    """Compare what two models answer to texts; to the sample reviews, or to made-up token ids, where none are given.

    Tokenizer and pooling are those of the folder. Raises DataError where the texts cannot be tokenised.
    """
    embedding = embedding_of(before, folder, name)
    inner = transformer_folder(folder, name)
    output, data_name = output_of(before, embedding), None
    if texts is None and not has_vocabulary(inner):
        batches = [made_up(before, *shape) for shape in _shapes(before)]
    else:
        given = Calibration(SAMPLES, count=_COUNT) if texts is None else texts
        batches = list(batches_of(given, 0, load_tokenizer(inner, name), before, embedding, name).used)
        data_name = given.examples.table.name
    total, count = 0.0, sum(map(_texts, batches))
    with evaluation_mode(before), evaluation_mode(after):
        for batch in batches:
            total += _texts(batch) * output.drift(output.rows(before, batch), output.rows(after, batch))
    return Drift(total / count, output.measure, count, data_name)


def _texts(batch: Batch) -> int:
    return len(batch["input_ids"])


def _shapes(model: PreTrainedModel) -> list[tuple[int, int]]:
    return [(8, min(length, position_limit(model))) for length in (16, 64)]

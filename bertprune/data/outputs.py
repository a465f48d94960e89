"""What a model answers, in a form in which two models can be compared: class probabilities, numbers, or embeddings."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn
from torch.nn import functional

from .batches import Batch, forward
from .embedding import MEAN, Embedding

Measure = Literal["divergence", "squared", "angle"]
NEIGHBOURS = 20
"""To so many of the most similar texts an embedding's similarity is compared with that before."""
MOST_ROWS = 512
"""Predictions of single tokens that are compared, in all texts together: each may be of 30,000 classes or more."""


@dataclass(frozen=True)
class Output:
    """How a model's answers are read and compared."""

    rows: Callable[[Any, Batch], Tensor]
    """Runs a model on a batch and returns its answers, a row each."""
    drifts: Callable[[Tensor, Tensor], Tensor]
    """How far each answer is from that before, float64: 0 is no change."""
    measure: Measure
    """What the drift is: a Kullback-Leibler divergence, a mean squared difference, or 1 less the cosine."""
    likelihood: bool
    """Whether a row is the logarithm of the probabilities of classes."""
    by_text: bool = True
    """Whether there is one row for each text; some tokens of all texts together have one each elsewhere."""

    def losses(self, before: Tensor, after: Tensor) -> Tensor:
        """Return how much each answer loses of what it is for: of embeddings the similarities, of others the drift.

        Embeddings that all turn alike drift, but lose nothing. By this, allocations are compared with one another.
        """
        compared = self.measure == "angle" and len(before) > 2
        return _moved(before, after) if compared else self.drifts(before, after)

    def drift(self, before: Tensor, after: Tensor) -> float:
        """Return how far answers are from those before, in the mean."""
        return float(self.drifts(before, after).mean())


def output_of(model: nn.Module, embedding: Embedding = MEAN) -> Output:
    """Return how to read what a model answers; one without a head for texts is asked for its embeddings."""
    name, config = type(model).__name__, getattr(model, "config", None)
    if name.endswith("ForSequenceClassification"):
        if getattr(config, "num_labels", 2) == 1:
            return Output(_logits, _squared, "squared", likelihood=False)
        return Output(
            lambda model, batch: _logits(model, batch).log_softmax(-1), _divergence, "divergence", likelihood=True
        )
    if name.endswith(("ForMaskedLM", "ForTokenClassification")):
        return Output(
            lambda model, batch: _of_tokens(model, batch).log_softmax(-1),
            _divergence,
            "divergence",
            likelihood=True,
            by_text=False,
        )
    if hasattr(model, "base_model"):
        return Output(embedding, _angle, "angle", likelihood=False)
    return Output(_anything, _angle, "angle", likelihood=False)


def _logits(model: Any, batch: Batch) -> Tensor:
    logits: Tensor = forward(model, batch).logits
    return logits.float()


def _of_tokens(model: Any, batch: Batch) -> Tensor:
    """Return the logits of some tokens, evenly spread over the batch."""
    logits = _logits(model, batch)
    mask = batch.get("attention_mask", logits.new_ones(logits.shape[:2]))
    kept = (mask != 0).flatten().nonzero().flatten()
    return logits.flatten(0, 1)[kept[:: max(1, len(kept) // 64)]]


def _anything(model: Any, batch: Batch) -> Tensor:
    answer = model(**batch)
    for name in ("logits", "last_hidden_state"):
        answer = getattr(answer, name, answer)
    answer = answer[0] if isinstance(answer, tuple) else answer
    rows: Tensor = answer.float().reshape(len(answer), -1)
    return rows


def _divergence(before: Tensor, after: Tensor) -> Tensor:
    """Compare exact probabilities: in float32 they do not sum to one, which would give less than nothing."""
    first, second = (one.double().log_softmax(-1) for one in (before, after))
    return functional.kl_div(second, first, reduction="none", log_target=True).sum(-1).clamp(min=0.0)


def _squared(before: Tensor, after: Tensor) -> Tensor:
    return ((before - after).double() ** 2).mean(-1)


def _moved(before: Tensor, after: Tensor) -> Tensor:
    """Return by how much the similarities of each text to those nearest to it move, squared.

    What moves all of them alike changes no ranking, and does not count.
    """
    first, second = (functional.normalize(one.double(), dim=-1) for one in (before, after))
    was, now = first @ first.T, second @ second.T
    near = was.clone().fill_diagonal_(-2.0).topk(min(NEIGHBOURS, len(was) - 1)).indices
    moved = now.gather(1, near) - was.gather(1, near)
    return ((moved - moved.mean()) ** 2).mean(1)


def _angle(before: Tensor, after: Tensor) -> Tensor:
    return (1 - functional.cosine_similarity(before.double(), after.double(), dim=-1)).clamp(min=0.0)

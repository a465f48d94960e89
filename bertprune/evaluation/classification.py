"""Models that classify texts: accuracy, macro-F1, agreement and changed predictions."""

from collections.abc import Mapping

import numpy as np
from scipy.special import softmax
from transformers import PreTrainedModel

from ..data.batches import logits
from ..data.labels import class_numbers
from ..errors import Note
from .job import Job, Rows
from .metrics import Classes, accuracy, bootstrap, macro_f1, mcnemar, proportion, weighted_f1, weighted_mean
from .report import Changed, Findings, Score
from .similarity import embedding_cosine


def score_classes(job: Job) -> Findings:
    """Compare the predicted classes with the labels, and those of both models with each other."""
    examples, names = job.examples, class_names(job.models.after.model)
    labels = None if examples.labels is None else class_numbers(examples, names)
    embed = labels is None and job.models.before is not None
    encoded = job.encode(examples.texts, examples.pairs, passes=2 if embed else 1)
    before, after = job.run(encoded, logits)
    findings = Findings(scores={} if labels is None else _scores(job, labels, before, after, names))
    if before is not None:
        same = before.argmax(axis=1) == after.argmax(axis=1)
        findings.fidelity["agreement"] = proportion(int(same.sum()), len(same))
        findings.changed = tuple(_changed(job, int(row), labels, before, after, names) for row in np.flatnonzero(~same))
    if embed:
        findings.fidelity |= embedding_cosine(job, encoded)
    return findings


def class_names(model: PreTrainedModel) -> dict[int, str]:
    """Return the names of a classifier's classes by number."""
    return {int(number): str(name) for number, name in model.config.id2label.items()}


def _scores(job: Job, labels: Classes, before: Rows | None, after: Rows, names: Mapping[int, str]) -> dict[str, Score]:
    present = np.unique(labels)
    if len(present) == 1:
        job.notes.append(
            Note(
                "every label is {label!r}: accuracy and macro-F1 are not meaningful",
                code="note.one_label", label=names[int(present[0])],
            )
        )  # fmt: skip
    predictions = [rows.argmax(axis=1) for rows in (before, after) if rows is not None]
    # Examples with the same label and the same predictions are one unit of the bootstrap.
    units, counts = np.unique(np.stack([labels, *predictions]), axis=1, return_counts=True)
    truth, predicted = units[0], units[1:]
    hits = bootstrap(weighted_mean(*[(row == truth).astype(np.float64) for row in predicted]), counts, job.seed)
    f1 = bootstrap(weighted_f1(truth, *predicted), counts, job.seed)
    share = Score.from_draws([accuracy(labels, row) for row in predictions], hits)
    return {
        "accuracy": _exact(share, labels, predictions),
        "macro_f1": Score.from_draws([macro_f1(labels, row) for row in predictions], f1),
    }


def _exact(score: Score, labels: Classes, predictions: list[Classes]) -> Score:
    """Replace the bootstrap's intervals by those for binomial counts, and add McNemar's test."""
    right = [row == labels for row in predictions]
    own = [proportion(int(row.sum()), len(row)) for row in right]
    if len(right) == 1:
        return Score(None, own[0], None)
    lost, won = int((right[0] & ~right[1]).sum()), int((~right[0] & right[1]).sum())
    return Score(own[0], own[1], score.difference, mcnemar(lost, won))


def _changed(
    job: Job, row: int, labels: Classes | None, before: Rows, after: Rows, names: Mapping[int, str]
) -> Changed:
    examples = job.examples
    old, new = int(before[row].argmax()), int(after[row].argmax())
    return Changed(
        number=examples.table.numbers[row],
        text=examples.texts[row],
        text_pair=None if examples.pairs is None else examples.pairs[row],
        label=None if labels is None else names[int(labels[row])],
        before=names[old],
        before_probability=float(softmax(before[row])[old]),
        after=names[new],
        after_probability=float(softmax(after[row])[new]),
    )

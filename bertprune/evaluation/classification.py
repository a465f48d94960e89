"""Models that put texts into classes: accuracy, macro-F1, agreement, and which predictions changed."""

from collections.abc import Mapping

import numpy as np
from scipy.special import softmax

from ..data.batches import read_logits
from ..data.labels import class_numbers
from .fidelity import embedding_cosine
from .intervals import bootstrap, mcnemar, proportion
from .job import Findings, Job, Rows
from .metrics import Classes, accuracy, macro_f1, weighted_f1, weighted_mean
from .report import Changed, Score
from .scoring import paired


def classify(job: Job) -> Findings:
    """Compare the classes that the models choose with the labels, and with one another."""
    examples, names = job.examples, class_names(job)
    labels = None if examples.labels is None else class_numbers(examples, names)
    blind = labels is None and job.subjects.before is not None
    encoded = job.encode(examples.texts, examples.pairs, passes=2 if blind else 1)
    before, after = job.both(encoded, read_logits)
    findings = Findings(scores={} if labels is None else _scores(job, labels, before, after, names))
    if before is not None:
        same = before.argmax(axis=1) == after.argmax(axis=1)
        findings.fidelity["agreement"] = proportion(int(same.sum()), len(same))
        findings.changed = tuple(_changed(job, int(row), labels, before, after, names) for row in np.flatnonzero(~same))
    if blind and (figure := embedding_cosine(job, encoded)) is not None:
        findings.fidelity["embedding_cosine"] = figure
    return findings


def class_names(job: Job) -> dict[int, str]:
    """Return the names of the classes by number."""
    return {int(number): str(name) for number, name in job.subjects.after.config.id2label.items()}


def _scores(job: Job, labels: Classes, before: Rows | None, after: Rows, names: Mapping[int, str]) -> dict[str, Score]:
    present = np.unique(labels)
    if len(present) == 1:
        job.notes.append(f"every label is {names[int(present[0])]!r}: accuracy says little, macro-F1 nothing")
    predictions = [rows.argmax(axis=1) for rows in (before, after) if rows is not None]
    cells, counts = np.unique(np.stack([labels, *predictions]), axis=1, return_counts=True)
    truth, chosen = cells[0], cells[1:]
    hits = [(row == truth).astype(np.float64) for row in chosen]
    figures = {
        "accuracy": ([accuracy(labels, row) for row in predictions], weighted_mean(*hits)),
        "macro_f1": ([macro_f1(labels, row) for row in predictions], weighted_f1(truth, *chosen)),
    }
    scores = {
        name: paired(values, bootstrap(statistic, counts, job.seed)) for name, (values, statistic) in figures.items()
    }
    return scores | {"accuracy": _exact(scores["accuracy"], labels, predictions)}


def _exact(score: Score, labels: Classes, predictions: list[Classes]) -> Score:
    """Replace what the bootstrap says of a share by what is known of binomial counts."""
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

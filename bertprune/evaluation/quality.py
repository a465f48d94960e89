"""What did pruning cost? The same inputs through the model before and after, and how sure the answer is."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ..data.columns import pick
from ..data.tables import read_table
from ..errors import DataError
from ..parallel import Progress, silent
from .classification import classify
from .fidelity import embedding_cosine
from .intervals import Estimate
from .job import Findings, Job
from .language import fill_in
from .report import Changed, QualityReport, Score, Task, frozen
from .similarity import compare_pairs, regress
from .subjects import Subjects, resolve

__all__ = ["Changed", "Estimate", "QualityReport", "Score", "evaluate"]

Model = Any
"""A PruningRun, a transformers model, a Checkpoint, or the name or folder of one."""


def evaluate(
    model: Model,
    data: str | Path | Iterable[Any],
    *,
    baseline: Model | None = None,
    tokenizer: PreTrainedTokenizerBase | str | Path | None = None,
    text: str | None = None,
    text_pair: str | None = None,
    label: str | None = None,
    limit: int | None = None,
    seed: int = 0,
    batch_size: int = 64,
    max_length: int | None = None,
    progress: Progress = silent,
) -> QualityReport:
    """Measure what pruning cost, on the same inputs before and after.

    `model` is a run (compared with its own checkpoint), a transformers model, a Checkpoint, or the name or folder of
    one; `baseline`, any of these, is what it is compared with. Without one, the model's own scores are reported.
    `data` is a .csv, .tsv, .txt (as TSV, quotes are text) or .jsonl file in UTF-8, also gzipped, the word `samples`
    for the embedded Korean reviews, a DataFrame, or a list of texts, of (text, label), (text, text, score) or dicts.

    `text`, `text_pair` and `label` name columns that are not called as usual; `limit` takes the first rows only, with
    a note where there are more; `tokenizer` replaces the checkpoint's; `max_length` (tokens) lowers the model's limit;
    `seed` gives the bootstrap's resamples and the masked tokens. Rows without a text are left out, and a note counts
    them.
    Pure: models, training flags and the global random state are left as they were.

    What is measured follows from the head: classes (accuracy, macro-F1, agreement), one output or sentence pairs by
    the cosine of mean-pooled embeddings (Spearman, Pearson), blanks (masked-language loss at 15 % of the tokens), and
    without labels the cosine between the embeddings before and after.
    Raises DataError for data, columns, labels or a tokenizer that do not fit; CheckpointError for unreadable models.
    """
    start = time.perf_counter()
    table = read_table(data, limit)
    subjects = resolve(model, baseline, tokenizer)
    head = head_of(subjects)
    examples = pick(table, text, text_pair, label, prefer_scores=head != "classification")
    job = Job(subjects, examples, seed=seed, batch_size=batch_size, max_length=max_length, progress=progress)
    task, measure = _task(head, job)
    findings = measure(job)
    return _report(task, job, findings, time.perf_counter() - start)


def head_of(subjects: Subjects) -> str:
    """Name the kind of both models' head. Raises DataError where they differ, or give several labels a text."""
    heads = {_head_of(one) for one in (subjects.before, subjects.after) if one is not None}
    if len(heads) > 1 or not _same_classes(subjects):
        names = [type(one).__name__ for one in (subjects.before, subjects.after)]
        raise DataError(f"baseline is a {names[0]}, model a {names[1]}: expected the same head and the same classes")
    return heads.pop()


def _head_of(model: PreTrainedModel) -> str:
    name = type(model).__name__
    if name.endswith("ForMaskedLM"):
        return "language"
    if not name.endswith("ForSequenceClassification"):
        return "embedding"
    if model.config.problem_type == "multi_label_classification":
        raise DataError(f"{name} gives several labels a text: evaluation knows one class a text, or one number")
    return "regression" if model.config.num_labels == 1 else "classification"


def _same_classes(subjects: Subjects) -> bool:
    before, after = subjects.before, subjects.after
    return before is None or _head_of(after) != "classification" or before.config.id2label == after.config.id2label


def _task(head: str, job: Job) -> tuple[Task, Callable[[Job], Findings]]:
    pairs, labels = job.examples.pairs is not None, job.examples.labels is not None
    if head == "classification":
        return "classification", classify
    if head == "regression":
        return "regression", regress
    if pairs and (labels or head == "embedding"):
        return "similarity", compare_pairs
    if labels:
        job.notes.append(
            f"{type(job.subjects.after).__name__} has no classes: {job.examples.label_column!r} is not used"
        )
    return ("language", fill_in) if head == "language" else ("embedding", _embed)


def _embed(job: Job) -> Findings:
    figure = embedding_cosine(job, job.encode(job.examples.texts))
    return Findings(fidelity={} if figure is None else {"embedding_cosine": figure})


def _report(task: Task, job: Job, findings: Findings, total: float) -> QualityReport:
    subjects = job.subjects
    if not findings.scores and not findings.fidelity:
        raise DataError(
            f"{job.examples.table.name} has no labels that {subjects.after_name} could be scored by: "
            "give baseline= (--baseline)"
        )
    if subjects.before is subjects.after:
        job.notes.append("model and baseline are one and the same object: pruning it in place changed both")
    return QualityReport(
        task=task,
        before_name=subjects.before_name,
        after_name=subjects.after_name,
        data_name=job.examples.table.name,
        examples=len(job.examples),
        scores=frozen(findings.scores),
        fidelity=frozen(findings.fidelity),
        changed=findings.changed,
        seconds=frozen(job.seconds | {"total": total}),
        max_length=job.max_length,
        seed=job.seed,
        notes=tuple(job.notes),
    )

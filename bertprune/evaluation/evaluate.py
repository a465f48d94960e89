"""`bp.evaluate`: measure what pruning costs, on the same inputs before and after."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import MappingProxyType
from typing import Any

from transformers import PreTrainedTokenizerBase

from ..data.columns import find_examples, listed
from ..data.tables import Table, drawn, read_table
from ..errors import DataError, Note
from ..parallel import Progress, check_progress, silent
from .classification import score_classes
from .job import Job, check_whole
from .masked_lm import score_masked_tokens
from .models import Model, open_models
from .report import Findings, QualityReport, Task
from .similarity import compare_embeddings, score_pairs, score_regression


def evaluate(
    model: Model,
    data: str | Path | Table | Iterable[Any],
    *,
    baseline: Model | None = None,
    tokenizer: PreTrainedTokenizerBase | str | Path | None = None,
    text: str | None = None,
    text_pair: str | None = None,
    label: str | None = None,
    limit: int | None = None,
    sample: int | None = None,
    seed: int = 0,
    batch_size: int = 64,
    max_length: int | None = None,
    progress: Progress = silent,
) -> QualityReport:
    """Measure what pruning costs, on the same inputs before and after.

    The measures depend on the model's head and the data:

    * classes: accuracy and macro-F1 if there are labels, agreement, and the predictions that changed;
    * one output: Spearman's and Pearson's correlation with the scores;
    * masked-language models: the loss at 15 % of the tokens, the same ones for both models;
    * sentence pairs with scores: the correlations of the cosines of their embeddings;
    * otherwise: the cosine between the embeddings before and after.

    The embeddings are those of the folder's own modules (a sentence-transformers folder: pooling, dense layers,
    normalisation, prompt, longest text), otherwise the mean over the tokens; a note says which. Models for other tasks
    and several labels per text are refused.

    The models, their training flags and the global random state are not changed.

    Args:
        model: The model to evaluate, a `PruningRun`, a transformers model, a `Checkpoint`, or the name or folder of one
            as a string or Path.
        data: A .csv (commas, tabs, semicolons, pipes), .tsv, .txt (read as TSV) or .jsonl file in UTF-8 or UTF-16, also
            gzipped, as a string or Path, whose first line names the columns; "samples", Korean reviews in the
            package; a pandas DataFrame; or an iterable of texts, of (text, label), of (text, text, score) or of
            dicts. Rows without a text are left out, with a note.
        baseline: The model to compare with, of the same types as `model`; default None, the checkpoint of a run and
            no comparison for other models.
        tokenizer: A tokenizer, or its folder, Hub id or embedded name as a string or Path; default None, the
            checkpoint's. Required if all models are objects.
        text: A string, the column of the texts; default None, a usual name such as text or document.
        text_pair: A string, the column of second texts; default None, usual names such as sentence1 and sentence2.
        label: A string, the column of labels or scores; default None, a usual name such as label or score.
        limit: An integer, the number of rows to read, from the first; default None, all, at most a million.
        sample: An integer, how many of these rows are drawn by the seed, where there are more; default None, all.
        seed: An integer for the sample, the bootstrap's resamples and the masked tokens; default 0.
        batch_size: An integer, the largest number of texts per batch; default 64.
        max_length: An integer, the number of tokens after which texts are cut, at least 3; default None, the most that
            both models accept.
        progress: A function that is called with the share done (0 to 1) and a short description; it may raise to
            cancel. Ignored by default.

    Returns:
        A `QualityReport`: scores with 95 % intervals, the paired difference, and the predictions that changed.

    Raises:
        DataError: Data, columns, labels, options or a tokenizer do not fit.
        CheckpointError: A model cannot be read.

    Warns:
        MissingTensorsWarning: A checkpoint lacks tensors of its architecture; they are initialised from the seed of the
            run, otherwise from 0.

    Source:
        Paired bootstrap over examples (Efron and Tibshirani, 1993), Wilson's interval for accuracy and McNemar's
        exact test for its difference.

    Example:
        >>> import bertprune as bp
        >>> run = bp.prune("demo", bp.Step(method="l1_unstructured", fraction=0.3, select="encoder.*"))
        >>> report = bp.evaluate(run, "samples", limit=16)
        >>> report.before_name, report.after_name
        ('demo', 'demo, pruned')
        >>> report["accuracy"].difference.value > -0.2
        True
    """
    start = time.perf_counter()
    check_progress(progress)
    check_whole("seed", seed, 0)
    table = drawn(read_table(data, limit), sample, seed)
    models = open_models(model, baseline, tokenizer)
    scores = models.head() != "classification"
    examples = find_examples(table, text=text, text_pair=text_pair, label=label, scores=scores)
    job = Job(models, examples, seed=seed, batch_size=batch_size, max_length=max_length, progress=progress)
    task, measure = _choose_task(job)
    _note_unused_columns(job, task)
    findings = measure(job)
    return _report(task, job, findings, time.perf_counter() - start)


def _choose_task(job: Job) -> tuple[Task, Callable[[Job], Findings]]:
    head, examples = job.models.head(), job.examples
    if head == "classification":
        return "classification", score_classes
    if head == "regression":
        return "regression", score_regression
    if examples.pairs is not None and (examples.labels is not None or head == "embedding"):
        return "similarity", score_pairs
    if examples.labels is not None:
        name = type(job.models.after.model).__name__
        job.notes.append(
            Note(
                "{model} is not a classifier; column {column!r} is ignored",
                code="note.unused_labels", model=name, column=examples.label_column,
            )
        )  # fmt: skip
    return ("language", score_masked_tokens) if head == "language" else ("embedding", compare_embeddings)


def _note_unused_columns(job: Job, task: Task) -> None:
    """Say where a task has no labels although there are columns that may hold them under an unusual name."""
    if job.examples.unused and task in ("classification", "regression", "similarity"):
        job.notes.append(
            Note(
                "no column has a usual name for labels, so none was used; if they are in {columns}, name it with "
                "label= (--label)",
                code="note.unused_columns", columns=listed(job.examples.unused),
            )
        )  # fmt: skip


def _report(task: Task, job: Job, findings: Findings, seconds: float) -> QualityReport:
    models, data_name = job.models, job.examples.table.name
    if not findings.scores and not findings.fidelity:
        raise DataError(
            "{data} has no labels to score {model} with (its columns: {columns}): name their column with label= "
            "(--label), or pass baseline= (--baseline) to compare it with another model",
            code="evaluation.no_labels",
            data=data_name,
            model=models.after.name,
            columns=listed(job.examples.table.columns),
        )
    if models.before is not None and models.before.model is models.after.model:
        job.notes.append(
            Note("model and baseline are the same object: pruning it in place changed both", code="note.same_object")
        )
    return QualityReport(
        task=task,
        before_name=None if models.before is None else models.before.name,
        after_name=models.after.name,
        data_name=data_name,
        examples=len(job.examples),
        scores=MappingProxyType(findings.scores),
        fidelity=MappingProxyType(findings.fidelity),
        changed=findings.changed,
        seconds=MappingProxyType(job.seconds | {"total": seconds}),
        max_length=job.max_length,
        seed=job.seed,
        notes=tuple(job.notes),
    )

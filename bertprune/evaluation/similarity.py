"""Models compared by numbers: correlations with scores, and the cosine of embeddings before and after."""

import numpy as np
from numpy.typing import NDArray

from ..data.batches import Encoded
from ..data.labels import score_numbers
from ..errors import DataError, Note
from .job import Job
from .metrics import (
    Estimate,
    Numbers,
    bootstrap,
    cosines,
    pearson,
    percentiles,
    spearman,
    weighted_correlations,
    weighted_mean,
)
from .report import Findings, Score

LEAST = 3
"""Least number of pairs for a correlation."""


def score_pairs(job: Job) -> Findings:
    """Embed both sentences of every pair and correlate the cosines with the scores, if any."""
    examples = job.examples
    known = None if examples.labels is None else _known_scores(job)
    encoded = job.encode_for_embedding([*examples.texts, *(examples.pairs or [])])
    before, after = job.embed(encoded)
    job.notes += job.models.notes("embedding")
    findings = Findings()
    if known is not None:
        similarities = [cosines(*np.split(rows, 2)) for rows in (before, after) if rows is not None]
        findings.scores = _correlations(job, known, similarities)
    if before is not None:
        findings.fidelity = _mean_cosine(job, before, after, per_example=2)
    return findings


def score_regression(job: Job) -> Findings:
    """Correlate the single output of a regression head with the scores."""
    examples = job.examples
    known = None if examples.labels is None else _known_scores(job)
    encoded = job.encode(examples.texts, examples.pairs)
    if known is None:
        return Findings(fidelity=embedding_cosine(job, encoded))
    outputs = job.run(encoded, job.models.score)
    job.notes += job.models.notes("regression")
    return Findings(scores=_correlations(job, known, [rows[:, 0] for rows in outputs if rows is not None]))


def compare_embeddings(job: Job) -> Findings:
    """Compare the embeddings before and after, without scores."""
    job.notes += job.models.notes("embedding")
    return Findings(fidelity=embedding_cosine(job, job.encode_for_embedding(job.examples.texts)))


def embedding_cosine(job: Job, encoded: Encoded) -> dict[str, Estimate]:
    """Embed the texts with both models and average the cosines; empty without a baseline or if sizes differ."""
    if (lacking := job.models.without_embeddings()) is not None:
        job.notes.append(
            Note(
                "{name} returns no vectors of single tokens, so no cosine of embeddings can be computed",
                code="note.no_embeddings", name=lacking,
            )
        )  # fmt: skip
        return {}
    before, after = job.embed(encoded)
    return {} if before is None else _mean_cosine(job, before, after)


def _mean_cosine(job: Job, before: Numbers, after: Numbers, per_example: int = 1) -> dict[str, Estimate]:
    """Average the cosines of rows; row i belongs to example i modulo the number of examples."""
    if before.shape[1] != after.shape[1]:
        job.notes.append(
            Note(
                "the embeddings have {before} and {after} dimensions, so no cosine can be computed",
                code="note.embedding_sizes", before=before.shape[1], after=after.shape[1],
            )
        )  # fmt: skip
        return {}
    values = cosines(before, after).reshape(per_example, -1).mean(axis=0)
    draws = bootstrap(weighted_mean(values), np.ones(len(values), dtype=np.int64), job.seed)
    return {"embedding_cosine": percentiles(float(values.mean()), draws[:, 0])}


def _known_scores(job: Job) -> NDArray[np.float64]:
    known = score_numbers(job.examples)
    if len(known) < LEAST or np.ptp(known) == 0:
        raise DataError(
            "{data}: a correlation needs at least {least} examples whose scores are not all equal",
            code="evaluation.too_few_scores",
            data=job.examples.table.name,
            least=LEAST,
        )
    return known


def _correlations(job: Job, known: Numbers, outputs: list[Numbers]) -> dict[str, Score]:
    draws = bootstrap(weighted_correlations(known, *outputs), np.ones(len(known), dtype=np.int64), job.seed)
    rank_draws, plain_draws = np.split(draws, 2, axis=1)
    if any(np.ptp(row) == 0 for row in outputs):
        job.notes.append(
            Note(
                "a model's output is the same for every example, so no correlation can be computed",
                code="note.constant",
            )
        )
    return {
        "spearman": Score.from_draws([spearman(known, row) for row in outputs], rank_draws),
        "pearson": Score.from_draws([pearson(known, row) for row in outputs], plain_draws),
    }

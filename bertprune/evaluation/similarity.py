"""Scores on a scale: sentence pairs by the cosine of their embeddings, or a head that gives one number."""

import numpy as np
from numpy.typing import NDArray

from ..data.batches import read_embeddings, read_logits
from ..data.labels import numbers
from ..errors import DataError
from .fidelity import cosines, embedding_cosine, mean_cosine
from .intervals import Numbers, bootstrap
from .job import Findings, Job
from .metrics import pearson, spearman, weighted_correlations
from .report import Score
from .scoring import paired

LEAST = 3
"""Fewer pairs have no correlation worth a name."""


def compare_pairs(job: Job) -> Findings:
    """Embed both sentences of every pair (mean over tokens) and correlate their cosines with the scores."""
    examples = job.examples
    known = None if examples.labels is None else _known(job)
    encoded = job.encode([*examples.texts, *(examples.pairs or [])])
    before, after = job.both(encoded, read_embeddings)
    findings = Findings()
    if known is not None:
        similarities = [cosines(*np.split(rows, 2)) for rows in (before, after) if rows is not None]
        findings.scores = _correlations(job, known, similarities)
    if before is not None and (figure := mean_cosine(job, before, after, groups=2)) is not None:
        findings.fidelity["embedding_cosine"] = figure
    return findings


def regress(job: Job) -> Findings:
    """Correlate the single output of a regression head with the scores."""
    examples = job.examples
    known = None if examples.labels is None else _known(job)
    encoded = job.encode(examples.texts, examples.pairs)
    if known is not None:
        outputs = job.both(encoded, read_logits)
        return Findings(scores=_correlations(job, known, [rows[:, 0] for rows in outputs if rows is not None]))
    figure = embedding_cosine(job, encoded)
    return Findings(fidelity={} if figure is None else {"embedding_cosine": figure})


def _known(job: Job) -> NDArray[np.float64]:
    known, name = numbers(job.examples), job.examples.table.name
    if len(known) < LEAST or np.ptp(known) == 0:
        raise DataError(f"{name}: a correlation needs at least {LEAST} examples whose scores are not all equal")
    return known


def _correlations(job: Job, known: Numbers, outputs: list[Numbers]) -> dict[str, Score]:
    draws = bootstrap(weighted_correlations(known, *outputs), np.ones(len(known), dtype=np.int64), job.seed)
    ranks, plain = np.split(draws, 2, axis=1)
    if any(np.ptp(row) == 0 for row in outputs):
        job.notes.append("a model gives every example the same number: there is nothing to correlate")
    return {
        "spearman": paired([spearman(known, row) for row in outputs], ranks),
        "pearson": paired([pearson(known, row) for row in outputs], plain),
    }

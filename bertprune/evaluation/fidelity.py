"""How alike the embeddings are before and after, whatever the head."""

import numpy as np
from sklearn.metrics.pairwise import paired_cosine_distances

from ..data.batches import Encoded, read_embeddings
from .intervals import Estimate, Numbers, bootstrap, percentiles
from .job import Job
from .metrics import weighted_mean


def cosines(one: Numbers, other: Numbers) -> Numbers:
    """Return the cosine of each row of one with the same row of the other."""
    return np.asarray(1.0 - paired_cosine_distances(one, other))


def embedding_cosine(job: Job, encoded: Encoded) -> Estimate | None:
    """Embed with both models and average the cosines; None where the sizes differ or there is no baseline."""
    before, after = job.both(encoded, read_embeddings)
    return None if before is None else mean_cosine(job, before, after)


def mean_cosine(job: Job, before: Numbers, after: Numbers, groups: int = 1) -> Estimate | None:
    """Average the cosines of rows, of `groups` rows an example (row i belongs to example i modulo examples)."""
    if before.shape[1] != after.shape[1]:
        job.notes.append(f"embeddings of {before.shape[1]} and {after.shape[1]} numbers have no cosine")
        return None
    values = cosines(before, after).reshape(groups, -1).mean(axis=0)
    draws = bootstrap(weighted_mean(values), np.ones(len(values), dtype=np.int64), job.seed)
    return percentiles(float(values.mean()), draws[:, 0])

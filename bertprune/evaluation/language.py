"""Models that fill in blanks: the loss at masked tokens, and how alike the embeddings are."""

import zlib
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

from ..data.batches import Batch, Encoded, call
from ..errors import DataError
from .fidelity import embedding_cosine
from .intervals import bootstrap
from .job import Findings, Job
from .metrics import weighted_ratio
from .report import Score
from .scoring import paired

SHARE = 0.15
"""Of a text's tokens, special ones left out; at least one."""

_UNSCORED = -100


def fill_in(job: Job) -> Findings:
    """Mask the same tokens for both models and compare how well each guesses them."""
    two = job.subjects.before is not None
    encoded = job.encode(job.examples.texts, job.examples.pairs, passes=2 if two else 1)
    findings = Findings(scores={"masked_lm_loss": _loss(job, _masked(job, encoded))})
    if two and (figure := embedding_cosine(job, encoded)) is not None:
        findings.fidelity["embedding_cosine"] = figure
    return findings


def _loss(job: Job, masked: Encoded) -> Score:
    vocabulary = max(int(model.config.vocab_size) for model in job.models)
    outputs = [rows for rows in job.both(masked, _read_losses, vocabulary) if rows is not None]
    count = outputs[0][:, 1]
    statistic = weighted_ratio([rows[:, 0] for rows in outputs], count)
    draws = bootstrap(statistic, np.ones(len(count), dtype=np.int64), job.seed)
    return paired([float(rows[:, 0].sum() / count.sum()) for rows in outputs], draws, better="lower")


def _read_losses(model: PreTrainedModel, batch: Batch) -> Tensor:
    """Return each text's summed loss in nats and its number of masked tokens, `(batch, 2)`."""
    targets = batch["targets"]
    logits = call(model, batch).logits
    scored = targets != _UNSCORED
    losses = torch.zeros(targets.shape, device=logits.device)
    losses[scored] = functional.cross_entropy(logits[scored].float(), targets[scored], reduction="none")
    return torch.stack([losses.sum(dim=1), scored.sum(dim=1).float()], dim=1)


def _masked(job: Job, encoded: Encoded) -> Encoded:
    """Put the mask token at some places and remember in `targets` what stood there."""
    tokenizer = job.subjects.tokenizer
    if tokenizer.mask_token_id is None:
        raise DataError("the tokenizer has no mask token: masked-language loss needs one")
    special = np.array(sorted(tokenizer.all_special_ids))
    ids = [np.array(row) for row in encoded.features["input_ids"]]
    chosen = [_places(row, special, job.seed) for row in ids]
    if not any(len(places) for places in chosen):
        raise DataError(f"{job.examples.table.name}: the tokenizer knows no token of these texts, nothing to mask")
    inputs, targets = [row.copy() for row in ids], [np.full(len(row), _UNSCORED) for row in ids]
    for places, row, blank, target in zip(chosen, ids, inputs, targets, strict=True):
        blank[places], target[places] = tokenizer.mask_token_id, row[places]
    features = {"input_ids": [row.tolist() for row in inputs], "targets": [row.tolist() for row in targets]}
    return replace(encoded, features=encoded.features | features, padding=encoded.padding | {"targets": _UNSCORED})


def _places(ids: np.ndarray, special: np.ndarray, seed: int) -> np.ndarray:
    """Choose places by the text and the seed alone, so that neither order nor batches change them."""
    open_places = np.flatnonzero(~np.isin(ids, special))
    generator = np.random.default_rng([seed, zlib.crc32(ids.tobytes())])
    count = min(len(open_places), max(1, round(SHARE * len(open_places))))
    return generator.choice(open_places, size=count, replace=False)

"""Masked-language models: the loss at masked tokens, and the candidates for a blank."""

import zlib
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ..data.batches import Batch, Encoded, forward
from ..errors import DataError, Note
from .job import Job, Rows
from .metrics import bootstrap, weighted_ratio
from .report import Findings, Score
from .similarity import embedding_cosine

Candidates = list[tuple[str, float]]
"""Words and their probabilities, the most probable first."""

SHARE = 0.15
"""The share of a text's ordinary tokens that is masked; at least one."""
IGNORED = -100
"""The target of tokens that are not scored, as in transformers and `torch.nn.CrossEntropyLoss`."""


def score_masked_tokens(job: Job) -> Findings:
    """Mask the same tokens for both models and compare their losses at them."""
    embed = job.models.before is not None
    encoded = job.encode(job.examples.texts, job.examples.pairs, passes=2 if embed else 1)
    masked = mask_tokens(encoded, job.models.tokenizer, job.seed)
    if encoded.before is not None:
        masked = replace(masked, before=mask_tokens(encoded.before, job.models.tokenizer_of("before"), job.seed))
        job.notes.append(
            Note("the models read with different tokenizers, and are asked for other tokens", code="note.other_tokens")
        )
    if not any(target != IGNORED for row in masked.features["targets"] for target in row):
        raise DataError(
            "{data}: the tokenizer has no token for these texts, so there is nothing to mask",
            code="evaluation.nothing_to_mask",
            data=job.examples.table.name,
        )
    findings = Findings(scores={"masked_lm_loss": _loss(job, masked)})
    if embed:
        findings.fidelity = embedding_cosine(job, encoded)
    return findings


def mask_tokens(encoded: Encoded, tokenizer: PreTrainedTokenizerBase, seed: int) -> Encoded:
    """Replace 15 % of the tokens by the mask token and keep the original ones as the feature `targets`.

    Only the text and the seed decide which. Raises DataError if the tokenizer has no mask token.
    """
    if tokenizer.mask_token_id is None:
        raise DataError(
            "the tokenizer has no mask token: the masked-language loss needs one", code="evaluation.no_mask_token"
        )
    special = np.array(sorted(tokenizer.all_special_ids))
    inputs, targets = [], []
    for row in encoded.features["input_ids"]:
        ids = np.array(row)
        chosen, blank, target = _choose(ids, special, seed), ids.copy(), np.full(len(ids), IGNORED)
        blank[chosen], target[chosen] = tokenizer.mask_token_id, ids[chosen]
        inputs.append(blank.tolist())
        targets.append(target.tolist())
    features = encoded.features | {"input_ids": inputs, "targets": targets}
    return replace(encoded, features=features, padding=encoded.padding | {"targets": IGNORED})


def _choose(ids: np.ndarray, special: np.ndarray, seed: int) -> np.ndarray:
    ordinary = np.flatnonzero(~np.isin(ids, special))
    generator = np.random.default_rng([seed, zlib.crc32(ids.tobytes())])
    count = min(len(ordinary), max(1, round(SHARE * len(ordinary))))
    return generator.choice(ordinary, size=count, replace=False)


def _loss(job: Job, masked: Encoded) -> Score:
    vocabulary = max(int(side.model.config.vocab_size) for side in job.models.sides().values())
    outputs = [rows for rows in job.run(masked, _losses, vocabulary) if rows is not None]
    statistic = weighted_ratio([rows[:, 0] for rows in outputs], [rows[:, 1] for rows in outputs])
    draws = bootstrap(statistic, np.ones(len(outputs[0]), dtype=np.int64), job.seed)
    return Score.from_draws([float(rows[:, 0].sum() / rows[:, 1].sum()) for rows in outputs], draws, better="lower")


def _losses(model: PreTrainedModel, batch: Batch) -> Tensor:
    """Return the summed loss of each text, in nats, and its number of masked tokens, `(batch, 2)`."""
    targets = batch["targets"]
    logits = forward(model, batch).logits
    scored = targets != IGNORED
    losses = torch.zeros(targets.shape, device=logits.device)
    losses[scored] = functional.cross_entropy(logits[scored].float(), targets[scored], reduction="none")
    return torch.stack([losses.sum(dim=1), scored.sum(dim=1).float()], dim=1)


def fill_blanks(job: Job, encoded: Encoded, top: int) -> tuple[list[Candidates], list[Candidates]]:
    """Return each model's `top` candidates for every mask token of one text: before (empty without a baseline), after.

    Raises DataError if the text has no mask token.
    """
    positions = {name: _mask_positions(job, encoded, name) for name in job.models.sides()}
    top = min(top, *(int(side.model.config.vocab_size) for side in job.models.sides().values()))

    def best(name: str, model: PreTrainedModel, batch: Batch) -> Tensor:
        """Return the candidates' ids and probabilities for each blank, `(1, blanks * 2 * top)`."""
        found = forward(model, batch).logits[0, positions[name]].double().softmax(dim=-1).topk(top)
        return torch.stack([found.indices.double(), found.values], dim=1).reshape(1, -1)

    def candidates(name: str, rows: Rows | None) -> list[Candidates]:
        if rows is None:
            return []
        blanks, tokenizer = rows.reshape(len(positions[name]), 2, top), job.models.tokenizer_of(name)
        return [[(_word(tokenizer, int(one)), float(p)) for one, p in zip(*blank, strict=True)] for blank in blanks]

    before, after = job.run_each(encoded, {name: partial(best, name) for name in positions})
    return candidates("before", before), candidates("after", after)


def _mask_positions(job: Job, encoded: Encoded, side: str) -> list[int]:
    """Return the token positions of the mask tokens. Raises DataError where there are none."""
    tokenizer = job.models.tokenizer_of(side)
    mask, ids = tokenizer.mask_token, encoded.of(side).features["input_ids"][0]
    if mask is None:
        raise DataError(
            "the tokenizer has no mask token: there is no blank to fill in", code="evaluation.no_blank_token"
        )
    if positions := [at for at, number in enumerate(ids) if number == tokenizer.mask_token_id]:
        return positions
    if any(mask in text for text in (*job.examples.texts, *(job.examples.pairs or ()))):
        raise DataError(
            "{mask} comes after the {tokens} tokens that the model reads: shorten the text",
            code="evaluation.blank_cut_off",
            mask=mask,
            tokens=len(ids),
        )
    raise DataError(
        "the text has no {mask}: put it where a word is to be filled in", code="evaluation.no_blank", mask=mask
    )


def _word(tokenizer: PreTrainedTokenizerBase, number: int) -> str:
    """Return the text of a token, or its entry in the vocabulary if it is part of a character."""
    word = tokenizer.decode([number]).strip()
    return word if word and "\ufffd" not in word else str(tokenizer.convert_ids_to_tokens(number))

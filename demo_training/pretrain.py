"""Masked-language pre-training."""

import torch
from torch.nn.functional import cross_entropy
from transformers import BertConfig, BertForMaskedLM

from demo_training.data import Batch, Encoded, collate, plan
from demo_training.loop import Row

MASK, SPECIALS, RATE, FEW = 4, 5, 0.15, 100


def mask_tokens(
    batch: Batch, vocab: int, generator: torch.Generator | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return masked ids and a bool tensor of the positions to predict: 80 % `[MASK]`, 10 % random, 10 % unchanged."""
    draw = torch.rand(batch.ids.shape, generator=generator)
    choice = torch.rand(batch.ids.shape, generator=generator)
    random = torch.randint(SPECIALS, vocab, batch.ids.shape, generator=generator)
    chosen = (draw < RATE) & (batch.ids >= SPECIALS)
    ids = batch.ids.masked_fill(chosen & (choice < 0.8), MASK)
    return torch.where(chosen & (choice >= 0.9), random, ids), chosen


def predict(model: BertForMaskedLM, ids: torch.Tensor, mask: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """Return logits, `(positions, vocab)`, at the chosen positions only, since the head is expensive."""
    hidden = model.bert(input_ids=ids, attention_mask=mask).last_hidden_state
    return model.cls(hidden[chosen])


def mlm_loss(model: BertForMaskedLM, data: Encoded, indices: list[int]) -> torch.Tensor:
    """Return the mean cross-entropy over the masked tokens of one batch; fewer than `FEW` tokens weigh less."""
    batch = collate(data, indices)
    ids, chosen = mask_tokens(batch, model.config.vocab_size)
    logits, targets = predict(model, ids, batch.mask, chosen), batch.ids[chosen]
    return cross_entropy(logits, targets, reduction="sum") / max(len(targets), FEW)


@torch.inference_mode()
def mlm_measure(model: BertForMaskedLM, data: Encoded, size: int = 128) -> Row:
    """Return loss and accuracy; the same tokens are masked each time."""
    generator = torch.Generator().manual_seed(0)
    loss = correct = positions = 0.0
    for indices in plan(data, size, 0):
        batch = collate(data, indices)
        ids, chosen = mask_tokens(batch, model.config.vocab_size, generator)
        logits, targets = predict(model, ids, batch.mask, chosen), batch.ids[chosen]
        loss += cross_entropy(logits, targets, reduction="sum").item()
        correct += (logits.argmax(-1) == targets).sum().item()
        positions += len(targets)
    return {"val_loss": loss / positions, "val_accuracy": correct / positions}


def mlm_model(config: BertConfig, seed: int) -> BertForMaskedLM:
    """Build an untrained masked-language model, without dropout, since it sees each review only a few times."""
    torch.manual_seed(seed)
    model = BertForMaskedLM(config)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return model

"""Masked-language pre-training."""

import torch
from torch.nn.functional import cross_entropy
from transformers import BertConfig, BertForMaskedLM

from demo_training.data import Batch, Encoded, collate, plan
from demo_training.loop import Row

MASK, SPECIALS, RATE, FEW = 4, 5, 0.15, 100


def conceal(batch: Batch, vocab: int, generator: torch.Generator | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """Return concealed ids and the bool mask of what to guess: 80 % `[MASK]`, 10 % random, 10 % kept."""
    draw = torch.rand(batch.ids.shape, generator=generator)
    fate = torch.rand(batch.ids.shape, generator=generator)
    random = torch.randint(SPECIALS, vocab, batch.ids.shape, generator=generator)
    chosen = (draw < RATE) & (batch.ids >= SPECIALS)
    ids = batch.ids.masked_fill(chosen & (fate < 0.8), MASK)
    return torch.where(chosen & (fate >= 0.9), random, ids), chosen


def guess(model: BertForMaskedLM, ids: torch.Tensor, mask: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """Return logits at the chosen places only, `(places, vocab)`: the head is most of the cost elsewhere."""
    hidden = model.bert(input_ids=ids, attention_mask=mask).last_hidden_state
    return model.cls(hidden[chosen])


def mlm_loss(model: BertForMaskedLM, data: Encoded, indices: list[int]) -> torch.Tensor:
    """Return the mean cross-entropy over the concealed tokens of one batch; few tokens weigh less."""
    batch = collate(data, indices)
    ids, chosen = conceal(batch, model.config.vocab_size)
    logits, wanted = guess(model, ids, batch.mask, chosen), batch.ids[chosen]
    return cross_entropy(logits, wanted, reduction="sum") / max(len(wanted), FEW)


@torch.inference_mode()
def mlm_measure(model: BertForMaskedLM, data: Encoded, size: int = 128) -> Row:
    """Return loss and accuracy on tokens concealed the same way each time."""
    generator = torch.Generator().manual_seed(0)
    loss = right = places = 0.0
    for indices in plan(data, size, 0):
        batch = collate(data, indices)
        ids, chosen = conceal(batch, model.config.vocab_size, generator)
        logits, wanted = guess(model, ids, batch.mask, chosen), batch.ids[chosen]
        loss += cross_entropy(logits, wanted, reduction="sum").item()
        right += (logits.argmax(-1) == wanted).sum().item()
        places += len(wanted)
    return {"val_loss": loss / places, "val_accuracy": right / places}


def mlm_model(config: BertConfig, seed: int) -> BertForMaskedLM:
    """Build a fresh masked-language model, without dropout: it sees each review only a few times."""
    torch.manual_seed(seed)
    model = BertForMaskedLM(config)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return model

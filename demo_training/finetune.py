"""Fine-tuning on sentiment."""

import torch
from torch.nn.functional import cross_entropy
from transformers import BertConfig, BertForMaskedLM, BertForSequenceClassification

from demo_training.data import Encoded, collate, plan
from demo_training.loop import Row


def classifier(config: BertConfig, pretrained: BertForMaskedLM, seed: int) -> BertForSequenceClassification:
    """Build a classifier whose encoder starts from the pre-trained one; pooler and head are new."""
    torch.manual_seed(seed)
    model = BertForSequenceClassification(config)
    model.bert.load_state_dict(pretrained.bert.state_dict(), strict=False)
    return model


def class_loss(model: BertForSequenceClassification, data: Encoded, indices: list[int]) -> torch.Tensor:
    """Return the mean cross-entropy of one batch."""
    batch = collate(data, indices)
    logits = model(input_ids=batch.ids, attention_mask=batch.mask).logits
    return cross_entropy(logits, batch.labels)


@torch.inference_mode()
def class_measure(model: BertForSequenceClassification, data: Encoded, size: int = 128) -> Row:
    """Return loss and accuracy over all of `data`."""
    loss = right = 0.0
    for indices in plan(data, size, 0):
        batch = collate(data, indices)
        logits = model(input_ids=batch.ids, attention_mask=batch.mask).logits
        loss += cross_entropy(logits, batch.labels, reduction="sum").item()
        right += (logits.argmax(-1) == batch.labels).sum().item()
    return {"val_loss": loss / len(data.ids), "val_accuracy": right / len(data.ids)}

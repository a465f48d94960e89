"""Measure the accuracy of an exported classifier, loaded as users load it."""

from pathlib import Path

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from demo_training.data import Review


@torch.inference_mode()
def accuracy(folder: Path, reviews: list[Review], size: int = 64) -> float:
    """Return the accuracy of the checkpoint in `folder`, loaded by transformers."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    ordered = sorted(reviews, key=lambda review: len(review.text))
    correct = 0
    for start in range(0, len(ordered), size):
        part = ordered[start : start + size]
        batch = tokenizer([r.text for r in part], padding=True, truncation=True, return_tensors="pt")
        found = model(**batch).logits.argmax(-1).tolist()
        correct += sum(label == review.label for label, review in zip(found, part, strict=True))
    return correct / len(reviews)

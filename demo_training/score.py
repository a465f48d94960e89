"""Score an exported classifier as its users will load it."""

from pathlib import Path

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from demo_training.data import Review


@torch.inference_mode()
def accuracy(folder: Path, reviews: list[Review], size: int = 64) -> float:
    """Return the share of reviews that the checkpoint in `folder` labels right, loaded by transformers."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    ordered = sorted(reviews, key=lambda review: len(review.text))
    right = 0
    for start in range(0, len(ordered), size):
        part = ordered[start : start + size]
        batch = tokenizer([r.text for r in part], padding=True, truncation=True, return_tensors="pt")
        found = model(**batch).logits.argmax(-1).tolist()
        right += sum(label == review.label for label, review in zip(found, part, strict=True))
    return right / len(reviews)

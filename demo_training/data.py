"""Read labelled reviews, split them, and make batches of similar length."""

import csv
import gzip
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer

MAX_TOKENS = 72


@dataclass(frozen=True)
class Review:
    """One review and its label (1 positive, 0 negative)."""

    text: str
    label: int


@dataclass(frozen=True)
class Batch:
    """Padded token ids and their attention mask, both `(batch, length)`, and labels `(batch,)`."""

    ids: torch.Tensor
    mask: torch.Tensor
    labels: torch.Tensor


@dataclass(frozen=True)
class Encoded:
    """Token ids and labels of many reviews, in their order."""

    ids: list[list[int]]
    labels: list[int]


def read_reviews(path: Path) -> list[Review]:
    """Read `document<TAB>label` lines after a header line; `.gz` files are decompressed."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8", newline="\n") as lines:
        next(lines)
        rows = [line.rstrip("\n").rpartition("\t") for line in lines]
    return [Review(text.strip(), int(label)) for text, _, label in rows if text.strip()]


def read_samples(path: Path) -> list[Review]:
    """Read a CSV file with the columns `text` and `label`."""
    with path.open(encoding="utf-8", newline="") as lines:
        return [Review(row["text"], int(row["label"])) for row in csv.DictReader(lines)]


def split(reviews: list[Review], held: int, seed: int) -> tuple[list[Review], list[Review]]:
    """Hold back `held` reviews for validation; the same seed gives the same split."""
    order = torch.randperm(len(reviews), generator=torch.Generator().manual_seed(seed)).tolist()
    return [reviews[i] for i in order[held:]], [reviews[i] for i in order[:held]]


def encode(reviews: list[Review], tokenizer: Tokenizer) -> Encoded:
    """Tokenize reviews, truncated to `MAX_TOKENS`."""
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.no_padding()
    encodings = tokenizer.encode_batch([review.text for review in reviews])
    return Encoded([encoding.ids for encoding in encodings], [review.label for review in reviews])


def plan(data: Encoded, size: int, seed: int) -> list[list[int]]:
    """Divide an epoch into shuffled batches of indices; a batch has reviews of similar length."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(data.ids), generator=generator).tolist()
    window = size * 50
    batches = []
    for start in range(0, len(order), window):
        alike = sorted(order[start : start + window], key=lambda i: len(data.ids[i]))
        batches += [alike[i : i + size] for i in range(0, len(alike), size)]
    return [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]


def collate(data: Encoded, indices: list[int], pad: int = 0) -> Batch:
    """Pad the reviews at `indices` to the longest of them."""
    longest = max(len(data.ids[i]) for i in indices)
    ids = torch.tensor([data.ids[i] + [pad] * (longest - len(data.ids[i])) for i in indices])
    return Batch(ids, (ids != pad).long(), torch.tensor([data.labels[i] for i in indices]))

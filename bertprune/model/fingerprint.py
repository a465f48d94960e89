"""The hash of a model's tensors, by which one is told from another that has the same name."""

import hashlib

import torch
from torch import nn


def fingerprint(model: nn.Module) -> str:
    """Hash the names, dtypes, shapes and values of all tensors of a model, SHA-256."""
    found = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        found.update(f"{name} {value.dtype} {tuple(value.shape)} ".encode())
        found.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()

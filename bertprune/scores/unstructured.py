"""torch's methods that remove single entries."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.utils import prune

from .registry import method

DOCS = "https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.prune."


@method(
    "random_unstructured",
    title="Random entries",
    paper=DOCS + "random_unstructured.html",
    scopes=("local",),
    hook=prune.RandomUnstructured,
)
def random_unstructured(weight: torch.Tensor, *, generator: torch.Generator, mask: torch.Tensor | None) -> torch.Tensor:
    """Remove entries at random: the floor that every other method must beat."""
    # torch draws for what is alive alone, in the tensor's dtype, and removes the largest draws: so does this.
    alive = weight.numel() if mask is None else int(torch.count_nonzero(mask))
    draws = torch.rand(alive, generator=generator, dtype=weight.dtype).neg_().to(weight.device)
    if mask is None:
        return draws.view(weight.shape)
    return torch.zeros_like(weight).masked_scatter_(mask, draws)


@method(
    "l1_unstructured",
    title="Smallest entries (L1)",
    paper=DOCS + "l1_unstructured.html",
    elementwise=True,
    hook=prune.L1Unstructured,
)
def l1_unstructured(weight: NDArray[Any]) -> NDArray[Any]:
    """Remove the entries with the smallest absolute values."""
    scores: NDArray[Any] = np.abs(weight)
    return scores

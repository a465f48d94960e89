"""torch's four methods: four points of score × granularity, in local scope and, without random draws, in global scope.

| method | score | what is pruned together |
|---|---|---|
| `random_unstructured` | a random draw | entries |
| `l1_unstructured` | the absolute value | entries |
| `random_structured` | a random draw | slices along `dim` |
| `ln_structured` | the Ln norm | slices along `dim` |
"""

from typing import Annotated, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from .registry import method

_DOCS = "https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.prune."

Dim = Annotated[
    int, Field(description="The axis along which slices are pruned: 0 for rows, 1 or -1 for columns of a matrix")
]
Power = Annotated[
    int | float | Literal["fro", "nuc"], Field(description="The norm's power; inf for the largest absolute value")
]


@method(
    "random_unstructured",
    title="Random entries",
    paper=_DOCS + "random_unstructured.html",
    scopes=("local",),
    granularities=("element",),
)
def random_unstructured(weight: torch.Tensor, *, generator: torch.Generator, mask: torch.Tensor | None) -> torch.Tensor:
    """Remove entries at random: the baseline that every other method must beat."""
    # As in torch: draw only for unmasked entries, in the tensor's dtype, and prune the largest draws.
    alive = weight.numel() if mask is None else int(torch.count_nonzero(mask))
    draws = torch.rand(alive, generator=generator, dtype=weight.dtype, device=generator.device).neg_().to(weight.device)
    if mask is None:
        return draws.view(weight.shape)
    return torch.zeros_like(weight).masked_scatter_(mask, draws)


@method(
    "l1_unstructured",
    title="Smallest entries (L1)",
    paper=_DOCS + "l1_unstructured.html",
    granularities=("element",),
    elementwise=True,
)
def l1_unstructured(weight: NDArray[Any]) -> NDArray[Any]:
    """Remove the entries with the smallest absolute values."""
    scores: NDArray[Any] = np.abs(weight)
    return scores


@method(
    "random_structured",
    removes="slice",
    title="Random slices",
    paper=_DOCS + "random_structured.html",
    scopes=("local",),
)
def random_structured(weight: torch.Tensor, *, generator: torch.Generator, dim: Dim = -1) -> torch.Tensor:
    """Remove whole slices along `dim` at random."""
    # As in torch: draw float32 whatever the tensor's dtype, and prune the smallest draws.
    return torch.rand(weight.shape[dim], generator=generator, dtype=torch.float32, device=generator.device).to(
        weight.device
    )


@method("ln_structured", removes="slice", title="Smallest slices (Ln norm)", paper=_DOCS + "ln_structured.html")
def ln_structured(weight: torch.Tensor, *, n: Power = 2, dim: Dim = -1) -> torch.Tensor:
    """Remove the slices along `dim` with the smallest Ln norm; in global scope raw norms are ranked together."""
    others = [axis for axis in range(weight.dim()) if axis != dim % weight.dim()]
    # torch.norm, not a faster equivalent: the choice must equal torch's to the last bit.
    norms: torch.Tensor = torch.norm(weight, p=n, dim=others)
    return norms

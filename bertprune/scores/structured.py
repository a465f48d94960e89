"""torch's methods that remove whole slices: rows, columns, channels."""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch.nn.utils import prune

from .registry import method
from .unstructured import DOCS

Dim = Annotated[int, Field(description="The axis whose slices go: 0 for rows, 1 or -1 for columns of a matrix")]
Power = Annotated[
    int | float | Literal["fro", "nuc"], Field(description="The norm's power; inf for the largest absolute value")
]


@method(
    "random_structured",
    removes="slice",
    title="Random slices",
    paper=DOCS + "random_structured.html",
    scopes=("local",),
    hook=prune.RandomStructured,
)
def random_structured(weight: torch.Tensor, *, generator: torch.Generator, dim: Dim = -1) -> torch.Tensor:
    """Remove whole slices along `dim` at random."""
    # torch draws float32 whatever the tensor's dtype, and removes the smallest draws.
    return torch.rand(weight.shape[dim], generator=generator).to(weight.device)


@method(
    "ln_structured",
    removes="slice",
    title="Smallest slices (Ln norm)",
    paper=DOCS + "ln_structured.html",
    hook=prune.LnStructured,
)
def ln_structured(weight: torch.Tensor, *, n: Power = 2, dim: Dim = -1) -> torch.Tensor:
    """Remove the slices along `dim` with the smallest Ln norm; in global scope raw norms are ranked together."""
    others = [axis for axis in range(weight.dim()) if axis != dim % weight.dim()]
    # torch.norm, and not a faster equivalent: the choice must be torch's to the last bit.
    norms: torch.Tensor = torch.norm(weight, p=n, dim=others)
    return norms

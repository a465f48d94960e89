"""Scores that need no texts, for every granularity: a random draw, and the magnitude."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from .grid import Grid, of_groups
from .registry import method

_OBD = "https://proceedings.neurips.cc/paper/1989/hash/6c9882bbac1c7093bd25041881277658-Abstract.html"
Norm = Annotated[float, Field(gt=0, description="The norm's power: 1, 2, …, or inf for the largest absolute value")]


@method("random", title="Random draw", paper="https://arxiv.org/abs/2003.03033")
def random(weight: Tensor, *, generator: torch.Generator) -> Tensor:
    """Remove entries or groups at random: the baseline that every other method must beat."""
    return torch.rand(weight.shape, generator=generator, device=generator.device).to(weight.device)


@of_groups("random")
def random_of_groups(weight: Tensor, grid: Grid, *, generator: torch.Generator) -> Tensor:
    """Draw one number for each group."""
    return torch.rand(grid.size, generator=generator, device=generator.device).to(weight.device)


@method("magnitude", title="Magnitude", paper=_OBD)
def magnitude(weight: Tensor, *, n: Norm = 2.0) -> Tensor:
    """Remove entries with the smallest absolute values, or groups with the smallest Ln norm over all their members."""
    return weight.abs()


@of_groups("magnitude")
def magnitude_of_groups(weight: Tensor, grid: Grid, *, n: float = 2.0) -> Tensor:
    """Return the n-th power of the norm of each group, which ranks as the norm and adds up over tensors."""
    if n == float("inf"):
        return _largest(weight.abs(), grid)
    return grid.sums(weight.abs().to(torch.promote_types(weight.dtype, torch.float32)) ** n)


def _largest(values: Tensor, grid: Grid) -> Tensor:
    groups = grid.rows[:, None] * grid.shape[1] + grid.columns
    empty = torch.zeros(grid.size, dtype=values.dtype, device=values.device)
    return empty.scatter_reduce_(0, groups.flatten(), values.flatten(), "amax")

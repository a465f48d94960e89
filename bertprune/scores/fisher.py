"""Fisher: how much the model's own predictions change, by squared gradients on the calibration texts."""

import torch
from torch import Tensor

from .grid import Grid, of_groups
from .registry import method
from .statistics import Gradients


@method("fisher", title="Squared gradients (Fisher)", paper="https://arxiv.org/abs/2204.09656")
def fisher(weight: Tensor, *, gradients: Gradients) -> Tensor:
    """Remove what the model's own predictions on the calibration texts depend on least, by squared gradients."""
    assert gradients.squared is not None
    return weight * gradients.squared * weight  # in float32 at least: a square may be too small for half precision


@of_groups("fisher")
def fisher_of_groups(weight: Tensor, grid: Grid, *, gradients: Gradients) -> Tensor:
    """Return the squared gradient towards a factor on each group, summed over texts; blocks add up their entries'."""
    down, across = grid.shape
    if down == 1:
        return _by_factor(gradients.columns, grid.columns, across)
    if across == 1:
        assert gradients.rows is not None
        return _by_factor(gradients.rows, grid.rows, down)
    return grid.sums(fisher(weight, gradients=gradients))


def _by_factor(gradients: Tensor, groups: Tensor, number: int) -> Tensor:
    joined = torch.zeros(len(gradients), number, dtype=gradients.dtype, device=gradients.device)
    return (joined.index_add_(1, groups, gradients) ** 2).sum(0)

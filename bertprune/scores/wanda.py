"""Wanda: the magnitude of a weight times the norm of its input."""

import torch
from torch import Tensor

from .grid import Grid, of_groups
from .registry import method
from .statistics import InputNorms


@method("wanda", title="Weight × input (Wanda)", paper="https://arxiv.org/abs/2306.11695")
def wanda(weight: Tensor, *, inputs: InputNorms) -> Tensor:
    """Remove the entries, or groups, with the smallest |w|·‖x‖ on the calibration texts; the authors rank by rows."""
    return weight.abs() * inputs.norms.to(torch.promote_types(weight.dtype, torch.float32))


@of_groups("wanda")
def wanda_of_groups(weight: Tensor, grid: Grid, *, inputs: InputNorms) -> Tensor:
    """Return the squared L2 norm of each group's scores."""
    return grid.sums(wanda(weight, inputs=inputs) ** 2)

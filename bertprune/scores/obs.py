"""Optimal brain surgeon: what the layer's output loses when the rest of the row may make up for an entry or a group."""

import torch
from torch import Tensor

from ..errors import RecipeError
from ..step import Kind
from .grid import Grid, of_groups
from .registry import method
from .statistics import Inputs

DAMPING = 0.01
"""The share of the mean diagonal that is added to it, as SparseGPT's authors do."""
_SPAN = 512
"""Columns of a triangular matrix that are inverted together."""
_PAPER = "https://arxiv.org/abs/2203.07259"
_ALL_BUT_ROWS: tuple[Kind, ...] = ("element", "column", "pattern", "block", "neuron", "head")


def damped(gram: Tensor) -> Tensor:
    """Return the second derivative of the layer's squared error, (in × in), float64, made safely invertible.

    Inputs that are never active get a share of the others' mean, so that nothing is divided by zero. Pure.
    """
    hessian = gram.to(torch.float64, copy=True)
    diagonal = hessian.diagonal()
    mean = float(diagonal.mean())
    diagonal += DAMPING * mean if mean > 0 else 1.0
    return hessian


def inverse(hessian: Tensor) -> Tensor:
    """Invert by Cholesky's factor. Raises RecipeError where the inputs are not finite."""
    return torch.cholesky_inverse(_cholesky(hessian))


def root_of_inverse(hessian: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the upper triangular R with H⁻¹ = RᵀR, rounded to a dtype. Raises RecipeError for inputs not finite.

    With H = UUᵀ it is U⁻¹: half the work of factoring the inverse.
    """
    upper = _cholesky(hessian.flip(0, 1)).flip(0, 1)
    found = torch.zeros_like(upper, dtype=dtype)
    for start in range(0, len(upper), _SPAN):  # what is below the diagonal stays zero, and costs nothing
        stop = min(start + _SPAN, len(upper))
        unit = upper.new_zeros(stop, stop - start)
        unit[start:].fill_diagonal_(1.0)
        found[:stop, start:stop] = torch.linalg.solve_triangular(upper[:stop, :stop], unit, upper=True)
    return found


def _cholesky(hessian: Tensor) -> Tensor:
    factor: Tensor
    factor, failed = torch.linalg.cholesky_ex(hessian)
    if int(failed) or not bool(torch.isfinite(factor).all()):
        raise RecipeError(
            "the inputs of a layer on the calibration texts are not finite; check the model's weights",
            code="calibration.not_finite",
        )
    return factor


@method("obs", title="Second order (OBS)", paper=_PAPER, granularities=_ALL_BUT_ROWS)
def obs(weight: Tensor, *, inputs: Inputs) -> Tensor:
    """Remove what the layer's output on the calibration texts misses least once other weights adjust: w²/[H⁻¹]ⱼⱼ."""
    return (weight.double() ** 2 / inverse(damped(inputs.gram)).diagonal()).to(torch.float32)


@of_groups("obs")
def obs_of_groups(weight: Tensor, grid: Grid, *, inputs: Inputs) -> Tensor:
    """Return tr(W_S (H⁻¹_SS)⁻¹ W_Sᵀ) for the columns S of each group, over the group's rows."""
    inverted = inverse(damped(inputs.gram))
    return losses(weight.double(), inverted, grid).flatten().to(torch.float32)


def losses(weight: Tensor, inverted: Tensor, grid: Grid) -> Tensor:
    """Return what removing each group costs, (down × across), given the inverse of the second derivative."""
    down, across = grid.shape
    found = weight.new_empty(down, across)
    if across == len(grid.columns) and down == 1:  # every column is a group
        each = (weight.square().sum(0) / inverted.diagonal())[grid.columns.argsort()]
        return each[None]
    if across == len(grid.columns):
        each = (weight**2 / inverted.diagonal())[:, grid.columns.argsort()]
        return weight.new_zeros(down, across).index_add_(0, grid.rows, each)
    for number in range(across):
        chosen = (grid.columns == number).nonzero().flatten()
        part = weight[:, chosen]
        by_row = (part * torch.linalg.solve(inverted[chosen][:, chosen], part.T).T).sum(1)
        found[:, number] = weight.new_zeros(down).index_add_(0, grid.rows, by_row)
    return found

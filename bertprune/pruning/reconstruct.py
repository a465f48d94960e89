"""Adjust what stays of a matrix so that its output on the calibration texts changes least.

All functions are pure. Weights are (out × in), masks bool of that shape, and second derivatives H = Σ x xᵀ (in × in),
damped, in float64.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ..scores.grid import Grid
from ..scores.obs import inverse, losses, root_of_inverse

BLOCK = 32
"""Columns whose mask is chosen together: the fewer, the better each choice knows what the ones before have changed.

SparseGPT's authors take 128; at 80 % sparsity that loses more.
"""
SPANS = 4
"""So many blocks pass on together what they change in the columns far behind them, which takes fewer large products."""
ROUNDS = 64
"""Single columns go in chunks of about this share of the width, which changes hardly anything."""

REFINEMENTS = 10
"""Rounds of conjugate gradients."""
FEW_REFINEMENTS = 4
"""Rounds that show whether adjusting helps at all."""

Choose = Callable[[Tensor, slice], Tensor]
"""Returns which entries of some columns stay, given their scores."""


def solve(
    weight: Tensor, hessian: Tensor, mask: Tensor, start: Tensor | None = None, rounds: int = REFINEMENTS
) -> Tensor:
    """Return the weights that stay, adjusted to a mask; masked ones are zero.

    Where all rows have the same mask, this is the exact least-squares solution. Elsewhere some conjugate gradients lead
    towards it from `start`, the weights as they are by default: exact for matrices of few columns, and never worse than
    the start. What a sweep left, or the solution for similar inputs, is a good one.
    """
    if bool((mask == mask[:1]).all()):
        return _solve_columns(weight, hessian, mask[0])
    return _refine(weight, hessian, mask, weight * mask if start is None else start, rounds)


def solve_rows(
    weight: Tensor,
    hessian: Tensor,
    mask: Tensor,
    rows: Tensor | None,
    start: Tensor | None = None,
    rounds: int = REFINEMENTS,
) -> Tensor:
    """Solve as `solve` does, but only the rows that are meant (bool; None for all); the others keep their values."""
    if rows is None:
        return solve(weight, hessian, mask, start, rounds)
    found = weight * mask
    found[rows] = solve(weight[rows], hessian, mask[rows], None if start is None else start[rows], rounds)
    return found


def _solve_columns(weight: Tensor, hessian: Tensor, kept: Tensor) -> Tensor:
    """Let the columns that stay take over what they can of the others: W_s + W_g H_gs H_ss⁻¹."""
    stays, goes = kept.nonzero().flatten(), (~kept).nonzero().flatten()
    found = weight * kept
    if len(stays):
        wanted = weight[:, goes].double() @ hessian[goes[:, None], stays]
        factor = torch.linalg.cholesky(hessian[stays[:, None], stays])
        found[:, stays] += torch.cholesky_solve(wanted.T, factor).T.to(weight.dtype)
    return found


def _refine(weight: Tensor, hessian: Tensor, mask: Tensor, start: Tensor, rounds: int) -> Tensor:
    """Lower (w - w₀) H (w - w₀)ᵀ of each row over the entries that stay, by preconditioned conjugate gradients."""
    hessian = hessian.to(weight.dtype)
    found, scale = start.clone(), mask / hessian.diagonal()
    left = ((weight - found) @ hessian) * mask
    step = scale * left
    size = (left * step).sum(1, keepdim=True)
    for _ in range(rounds):
        pushed = (step @ hessian) * mask
        length = size / (step * pushed).sum(1, keepdim=True).clamp(min=torch.finfo(weight.dtype).tiny)
        found += length * step
        left -= length * pushed
        turned = scale * left
        before, size = size, (left * turned).sum(1, keepdim=True)
        step = turned + size / before.clamp(min=torch.finfo(weight.dtype).tiny) * step
    return found


def sweep(weight: Tensor, hessian: Tensor, choose: Choose, width: int = BLOCK) -> tuple[Tensor, Tensor]:
    """Return weights and mask after one pass over the columns, from left to right.

    `choose` says which entries of each `width` columns stay, by their scores w²/[H⁻¹]ⱼⱼ, in which H⁻¹ is that of the
    columns not yet passed. Source: Frantar and Alistarh, SparseGPT, arXiv:2301.00774, algorithm 1.
    """
    upper = root_of_inverse(hessian, weight.dtype)
    lines = weight.T.clone(memory_format=torch.contiguous_format)  # each column in one piece
    kept = torch.empty_like(lines, dtype=torch.bool)
    span = max(width, BLOCK - BLOCK % width)
    for far in _blocks(0, len(lines), span * SPANS):
        errors = torch.empty_like(lines[far])
        for block in _blocks(far.start, far.stop, span):
            part, factor = lines[block], upper[block, block]
            mine = errors[block.start - far.start : block.stop - far.start]
            for at in range(len(part)):
                if at % width == 0:
                    chunk = slice(at, min(at + width, len(part)))
                    scores = (part[chunk] / factor.diagonal()[chunk, None]) ** 2
                    kept[block][chunk] = choose(scores.T, slice(block.start + chunk.start, block.start + chunk.stop)).T
                mine[at] = part[at].masked_fill(kept[block.start + at], 0.0) / factor[at, at]
                part[at:].addr_(factor[at, at:], mine[at], alpha=-1)
            part *= kept[block]
            lines[block.stop : far.stop].addmm_(upper[block, block.stop : far.stop].T, mine, alpha=-1)
        lines[far.stop :].addmm_(upper[far, far.stop :].T, errors, alpha=-1)
    return lines.T.contiguous(), kept.T.contiguous()


def _blocks(start: int, stop: int, width: int) -> Iterator[slice]:
    """Yield one block of columns after the other."""
    for first in range(start, stop, width):
        yield slice(first, min(first + width, stop))


def removal_order(weight: Tensor, hessian: Tensor, grid: Grid, alive: Tensor, count: int) -> Tensor:
    """Return which groups of columns go, so many one after the other, each the least costly of those left.

    `alive` says which of the groups are there, bool. After each removal the others make up for it, and are judged
    again. Source: Kurtic et al., ZipLM, arXiv:2302.04089; Frantar and Alistarh, Optimal Brain Compression.
    """
    names, order = alive.nonzero().flatten(), [alive.new_empty(0, dtype=torch.long)]
    weight, inverted, columns = _only(names, weight.double(), hessian, grid.columns)
    inverted, gone = inverse(inverted), torch.zeros_like(names, dtype=torch.bool)
    chunk = max(1, len(alive) // ROUNDS) if len(columns) == len(names) else 1
    while count:
        if gone.sum() > len(gone) // 4:  # smaller products from now on
            weight, inverted, columns = _only((~gone).nonzero().flatten(), weight, inverted, columns)
            names, gone = names[~gone], gone[~gone]
        scores = losses(weight, inverted, Grid(grid.rows, columns))[0].masked_fill(gone, torch.inf)
        least = scores.argsort(stable=True)[: min(chunk, count)]
        going = torch.isin(columns, least).nonzero().flatten()
        step = torch.linalg.solve(inverted[going][:, going], inverted[going])
        weight.addmm_(weight[:, going], step, alpha=-1)
        inverted.addmm_(inverted[:, going], step, alpha=-1)
        inverted[going, going] = 1.0  # so that what is gone can still be divided by
        weight[:, going] = 0.0
        gone[least] = True
        order.append(names[least])
        count -= len(least)
    return torch.cat(order)


def _only(groups: Tensor, weight: Tensor, square: Tensor, columns: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Keep only the columns of these groups, which are in ascending order and are numbered anew."""
    kept = torch.isin(columns, groups)
    return weight[:, kept], square[kept][:, kept], torch.searchsorted(groups, columns[kept])

"""Choices and adjustments by second derivatives, against least squares and exhaustive search on small matrices."""

from itertools import combinations

import numpy as np
import pytest
import torch

from bertprune.pruning.reconstruct import removal_order, solve, sweep
from bertprune.scores.grid import Grid, columns
from bertprune.scores.obs import damped, inverse, losses

OUT, IN, TOKENS = 6, 8, 40


def problem(seed=0):
    """Make a weight, its inputs, and the second derivative of its squared error."""
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(OUT, IN, generator=generator, dtype=torch.float64)
    mix = torch.randn(IN, IN, generator=generator, dtype=torch.float64)
    inputs = torch.randn(TOKENS, IN, generator=generator, dtype=torch.float64) @ mix
    return weight, inputs, damped(inputs.T @ inputs)


def cost(change, hessian):
    return float(((change @ hessian) * change).sum())


def least_squares(weight, hessian, mask):
    """Solve row by row: with the root R of H = RᵀR, minimise |R(w - w₀)| over the entries that stay."""
    root = torch.linalg.cholesky(hessian).T.numpy()
    found = np.zeros_like(weight.numpy())
    for row, kept in enumerate(mask.numpy()):
        target = root @ weight[row].numpy()
        found[row, kept] = np.linalg.lstsq(root[:, kept], target, rcond=None)[0]
    return torch.from_numpy(found)


def test_whole_columns_are_made_up_for_exactly(subtests):
    for seed in range(3):
        with subtests.test(f"seed {seed}"):
            weight, _, hessian = problem(seed)
            mask = torch.ones(OUT, IN, dtype=torch.bool)
            mask[:, [1, 4, 5]] = False
            assert torch.allclose(solve(weight, hessian, mask), least_squares(weight, hessian, mask))


def test_the_loss_of_a_group_is_what_least_squares_misses(subtests):
    for seed in range(3):
        with subtests.test(f"seed {seed}"):
            weight, _, hessian = problem(seed)
            grid = Grid(torch.arange(OUT) // 3, torch.arange(IN) // 2)
            found = losses(weight, inverse(hessian), grid)
            assert found.shape == (2, 4)
            for down in range(2):
                for across in range(4):
                    rows = slice(3 * down, 3 * down + 3)
                    mask = torch.ones(3, IN, dtype=torch.bool)
                    mask[:, 2 * across : 2 * across + 2] = False
                    best = least_squares(weight[rows], hessian, mask)
                    assert found[down, across].item() == pytest.approx(cost(weight[rows] - best, hessian))


def eliminated(weight, hessian, mask):
    """Pass over the columns as the surgeon does: each removed entry is made up for by those at its right alone."""
    weight = weight.clone()
    for row in range(OUT):
        for at in range(IN):
            if not mask[row, at]:
                rest = torch.linalg.inv(hessian[at:, at:])
                weight[row, at:] -= weight[row, at] / rest[0, 0] * rest[:, 0]
    return weight * mask


def some_mask(seed):
    return torch.rand(OUT, IN, generator=torch.Generator().manual_seed(seed)) > 0.5


def test_a_sweep_is_one_elimination_after_the_other(subtests):
    for seed in range(3):
        with subtests.test(f"seed {seed}"):
            weight, _, hessian = problem(seed)
            mask = some_mask(seed)
            swept, kept = sweep(weight, hessian, lambda scores, columns: mask[:, columns])
            assert torch.equal(kept, mask)
            assert torch.allclose(swept, eliminated(weight, hessian, mask))


def test_any_mask_of_a_small_matrix_is_made_up_for_exactly(subtests):
    for seed in range(5):
        with subtests.test(f"seed {seed}"):
            weight, _, hessian = problem(seed)
            mask = some_mask(seed)
            found, best = solve(weight, hessian, mask), least_squares(weight, hessian, mask)
            assert torch.allclose(found, best, atol=1e-6)
            assert cost(weight - found, hessian) <= cost(weight - weight * mask, hessian)


def test_a_solution_for_some_of_the_inputs_is_brought_nearer_to_that_for_all(subtests):
    for seed in range(3):
        with subtests.test(f"seed {seed}"):
            weight, inputs, hessian = problem(seed)
            mask = some_mask(seed)
            start = solve(weight, damped(inputs[:-8].T @ inputs[:-8]), mask)
            found, best = solve(weight, hessian, mask, start), least_squares(weight, hessian, mask)
            missed = cost(weight - best, hessian)
            assert cost(weight - found, hessian) - missed < 0.1 * (cost(weight - start, hessian) - missed)
            assert not found[~mask].any()


def test_the_last_of_the_columns_is_chosen_as_exhaustive_search_does():
    """With one entry a row to go among the last two columns, the pass is exact for the last, and never far."""
    weight, _, hessian = problem(1)

    def choose(scores, columns):
        keep = torch.ones_like(scores, dtype=torch.bool)
        if columns.stop == IN:
            keep[torch.arange(OUT), scores[:, -1:].argmin(1) + scores.shape[1] - 1] = False
        return keep

    found, mask = sweep(weight, hessian, choose)
    for row in range(OUT):
        assert (~mask[row]).nonzero().flatten().tolist() == [IN - 1]
        alone = torch.ones(1, IN, dtype=torch.bool)
        alone[0, IN - 1] = False
        exact = cost(weight[row : row + 1] - least_squares(weight[row : row + 1], hessian, alone), hessian)
        assert cost((weight - found)[row : row + 1], hessian) >= exact


def test_what_is_gone_already_makes_up_for_nothing(subtests):
    for seed in range(4):
        with subtests.test(f"seed {seed}"):
            weight, _, hessian = problem(seed)
            alive = torch.ones(IN, dtype=torch.bool)
            alive[:3] = False
            weight[:, ~alive] = 0.0
            costs = {}
            for one in range(3, IN):
                mask = alive.expand(OUT, IN).clone()
                mask[:, one] = False
                costs[one] = cost(weight - least_squares(weight, hessian, mask), hessian)
            found = removal_order(weight, hessian, columns(weight), alive, 1).tolist()
            assert found == [min(costs, key=costs.__getitem__)]


def test_columns_go_one_after_the_other_each_the_cheapest(subtests):
    for seed in range(4):
        with subtests.test(f"seed {seed}"):
            weight, _, hessian = problem(seed)
            grid, alive = columns(weight), torch.ones(IN, dtype=torch.bool)
            gone: list[int] = []
            for _ in range(3):
                options = {}
                for one in set(range(IN)) - set(gone):
                    mask = torch.ones(OUT, IN, dtype=torch.bool)
                    mask[:, [*gone, one]] = False
                    options[one] = cost(weight - least_squares(weight, hessian, mask), hessian)
                gone.append(min(options, key=options.__getitem__))
            assert removal_order(weight, hessian, grid, alive, 3).tolist() == gone
            everything = removal_order(weight, hessian, grid, alive, IN).tolist()
            assert everything[:3] == gone and sorted(everything) == list(range(IN))
            best = min(
                cost(weight - least_squares(weight, hessian, _without(chosen)), hessian)
                for chosen in combinations(range(IN), 3)
            )
            reached = cost(weight - least_squares(weight, hessian, _without(gone)), hessian)
            assert best <= reached <= 1.3 * best


def _without(chosen):
    mask = torch.ones(OUT, IN, dtype=torch.bool)
    mask[:, list(chosen)] = False
    return mask


def test_inputs_that_are_never_active_and_fewer_tokens_than_columns_are_solved():
    weight, inputs, _ = problem()
    inputs[:, 2] = 0
    hessian = damped(inputs[:3].T @ inputs[:3])
    mask = torch.ones(OUT, IN, dtype=torch.bool)
    mask[:, :3] = False
    found = solve(weight, hessian, mask)
    assert torch.isfinite(found).all() and torch.equal(found != 0, mask)
    nothing = damped(torch.zeros(IN, IN))
    assert torch.allclose(solve(weight, nothing, mask), weight * mask)

"""Scores of weights in half precision are those of the same numbers in float32: no small square becomes zero."""

from itertools import product

import torch

import bertprune as bp
from bertprune.scores import find_method, score, score_groups
from bertprune.scores.grid import columns
from bertprune.scores.statistics import Gradients, Inputs


def test_scores_are_those_of_the_same_numbers(subtests):
    for name, dtype in product(["magnitude", "wanda", "obs", "fisher"], [torch.float16, torch.bfloat16]):
        with subtests.test(f"{name}, {dtype}"):
            generator = torch.Generator().manual_seed(0)
            weight = (torch.randn(6, 8, generator=generator) * 1e-4).to(dtype)
            x = torch.randn(40, 8, generator=generator) * 1e4
            slopes = torch.randn(4, 8, generator=generator), torch.randn(4, 6, generator=generator)
            offered = {
                "inputs": Inputs(x.norm(dim=0), 40, (x.T @ x).double()),
                "gradients": Gradients(torch.rand(6, 8, generator=generator) * 1e-6, *slopes, 4),
            }
            method = find_method(name)
            options = method.check_options(bp.Step(method=name, fraction=0.5))
            for rule in (
                lambda one: score(method, "weight", one, (6, 8), options, **offered),
                lambda one: score_groups(method, "weight", one, columns(one), options, **offered),
            ):
                assert torch.allclose(rule(weight).double(), rule(weight.float()).double(), rtol=1e-4, atol=0)

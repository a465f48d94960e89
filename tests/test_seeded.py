"""Random numbers from a seed of their own, whatever the global random state is, which stays as it is."""

import torch
from torch import nn

from bertprune.seeded import Seeded


def draws() -> list[torch.Tensor]:
    return [
        torch.randn(3),
        torch.rand(2, 2),
        torch.randint(100, (3,)),
        torch.randperm(5),
        torch.normal(0.0, 1.0, (2,)),
        torch.rand_like(torch.empty(2)),
        torch.randn_like(torch.empty(2)),
        torch.empty(3).uniform_(),
        torch.empty(3).bernoulli_(0.5),
        nn.init.trunc_normal_(torch.empty(3)),
        nn.init.orthogonal_(torch.empty(3, 3)),
        nn.init.xavier_uniform_(torch.empty(2, 2)),
        nn.init.kaiming_normal_(torch.empty(2, 2)),
        nn.Linear(2, 2).weight.detach(),
    ]


def test_every_random_call_uses_the_seed_and_leaves_the_global_state_alone() -> None:
    before = torch.get_rng_state()
    with Seeded(4):
        first = draws()
    with Seeded(4):
        second = draws()
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_generator_that_is_given_is_used() -> None:
    given = torch.Generator().manual_seed(1)
    with Seeded(4):
        drawn = torch.randn(3, generator=given)
    assert torch.equal(drawn, torch.randn(3, generator=torch.Generator().manual_seed(1)))

"""Random numbers from a seed of their own, whatever the global random state is, which stays as it is."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

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


FIRST_USE = """
import random, sys
import numpy, torch
import bertprune as bp

def states():
    numbers = numpy.random.get_state()
    return random.getstate(), numbers[1].tobytes(), numbers[2:], torch.get_rng_state().tolist()

def show():
    from bertprune.cli import main
    main(["report", sys.argv[1]])

step = bp.Step(method="random_unstructured", fraction=0.5, select="*.query")
calls = {
    "open": lambda: bp.Checkpoint.open(sys.argv[1]).load(),
    "preview": lambda: bp.preview(sys.argv[1], step),
    "prune": lambda: globals().update(run=bp.prune(sys.argv[1], step)),
    "apply": lambda: bp.apply(bp.load(sys.argv[1]), step),
    "evaluate": lambda: bp.evaluate(run, [("good", 1), ("bad", 0)]),
    "try_text": lambda: bp.try_text(run, "good"),
    "export": lambda: bp.export(run, sys.argv[2], "masked"),
    "load": lambda: bp.bake(bp.load(sys.argv[2])),
    "compare": lambda: bp.compare(run, run).to_dict(),
    "figures": lambda: bp.figures.png(bp.figures.heatmap(run)),
    "to_frame": lambda: run.report.to_frame(),
    "methods": lambda: bp.methods(),
    "the shell": show,
}
for name, call in calls.items():
    before = states()
    call()
    print(name, states() == before, file=sys.stderr)
"""


def test_the_first_use_of_each_function_in_a_process_leaves_the_global_state_alone(
    tiny_folder: Callable[..., Path], tmp_path: Path
) -> None:
    command: list[Any] = [sys.executable, "-c", FIRST_USE, tiny_folder(), tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250, cwd=Path(__file__).parents[1])
    answers = [line for line in done.stderr.splitlines() if line.endswith(("True", "False"))]
    assert len(answers) == 13 and not [line for line in answers if line.endswith("False")], done.stderr

"""Train a model for a fixed number of steps; training can be interrupted and resumed."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from tqdm.auto import tqdm

from demo_training import state

Row = dict[str, float]


@dataclass(frozen=True)
class Plan:
    """How one stage is trained."""

    name: str
    """Name of the stage, and of its state file."""
    epochs: float
    """Passes over all reviews."""
    batch: int
    """Reviews per step."""
    lr: float
    """Highest learning rate; it warms up linearly, then decays to zero."""
    cosine: bool = False
    """Cosine decay instead of linear decay."""
    warmup: float = 0.06
    """Share of the steps spent warming up."""
    weight_decay: float = 0.01
    """Weight decay of matrices; vectors have none."""
    save_seconds: float = 120.0
    """Seconds between two saves of the state."""
    stop_after: int | None = None
    """Stop after this many steps, as if interrupted (used by the smoke run)."""


@dataclass
class Stage:
    """One stage of training: the model, its loss, and what is measured every half epoch."""

    plan: Plan
    model: torch.nn.Module
    path: Path
    """File of the saved state."""
    seed: int
    batches: Callable[[int], list[list[int]]]
    """Returns the batches of indices of an epoch; every epoch has the same number of them."""
    loss: Callable[[list[int]], torch.Tensor]
    measure: Callable[[], Row]
    measured: Callable[[], None]
    """Called after each measurement, to export the model."""
    step: int = 0
    seconds: float = 0.0
    log: list[Row] = field(default_factory=list)

    @property
    def per_epoch(self) -> int:
        """Steps per epoch."""
        return len(self.batches(0))


def scale(plan: Plan, step: int, total: int) -> float:
    """Return the learning rate at `step` as a share of the highest."""
    warm = max(1, int(total * plan.warmup))
    if step < warm:
        return (step + 1) / warm
    left = max(0.0, (total - step) / max(1, total - warm))
    return 0.5 * (1 - math.cos(math.pi * left)) if plan.cosine else left


def optimizer_for(model: torch.nn.Module, plan: Plan) -> torch.optim.AdamW:
    """Build AdamW that decays matrices only."""
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() <= 1]
    groups = [
        {"params": matrices, "weight_decay": plan.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=plan.lr, betas=(0.9, 0.98), eps=1e-6, fused=True)


def update(stage: Stage, optimizer: torch.optim.Optimizer, indices: list[int], factor: float) -> float:
    """Take one optimizer step on one batch and return its loss."""
    for group in optimizer.param_groups:
        group["lr"] = stage.plan.lr * factor
    loss = stage.loss(indices)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(stage.model.parameters(), 1.0)
    optimizer.step()
    return loss.item()


def record(stage: Stage, per_epoch: int, losses: list[float]) -> None:
    """Measure, append a row to the log, and reset the losses."""
    stage.model.eval()
    row: Row = {"step": stage.step, "epoch": stage.step / per_epoch, "loss": sum(losses) / len(losses)}
    row |= stage.measure() | {"seconds": round(stage.seconds)}
    stage.log.append(row)
    tqdm.write(f"{stage.plan.name} " + " ".join(f"{key}={value:.4g}" for key, value in row.items()))
    losses.clear()
    stage.measured()
    stage.model.train()


def remaining(stage: Stage, per_epoch: int, total: int) -> Iterator[list[int]]:
    """Yield the remaining batches, epoch by epoch, with a progress bar."""
    epoch, order = -1, []
    steps = range(stage.step, total)
    for step in tqdm(steps, desc=stage.plan.name, initial=stage.step, total=total, mininterval=5):
        if step // per_epoch != epoch:
            epoch = step // per_epoch
            order = stage.batches(epoch)
        yield order[step % per_epoch]


def half_epoch_ended(step: int, per_epoch: int) -> bool:
    """Check whether the last step completed half an epoch or a whole one."""
    return 2 * step // per_epoch > 2 * (step - 1) // per_epoch


def train(stage: Stage) -> bool:
    """Train to the end of the plan and return True; return False if it stopped at `stop_after`."""
    optimizer = optimizer_for(stage.model, stage.plan)
    state.resume(stage, optimizer)
    stage.model.train()
    per_epoch = stage.per_epoch
    total = round(per_epoch * stage.plan.epochs)
    losses: list[float] = []
    saved = clock = time.monotonic()
    for indices in remaining(stage, per_epoch, total):
        losses.append(update(stage, optimizer, indices, scale(stage.plan, stage.step, total)))
        stage.step += 1
        last, stopping = stage.step == total, stage.step == stage.plan.stop_after
        if last or half_epoch_ended(stage.step, per_epoch):
            record(stage, per_epoch, losses)
        now = time.monotonic()
        stage.seconds, clock = stage.seconds + now - clock, now
        if now - saved > stage.plan.save_seconds or last or stopping:
            state.save(stage, optimizer)
            saved = now
        if stopping:
            return False
    return True

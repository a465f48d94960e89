"""Save and restore what a resumed stage needs."""

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from demo_training.loop import Stage


def save(stage: "Stage", optimizer: torch.optim.Optimizer) -> None:
    """Write model, optimizer, step, log and random state; an interruption leaves the previous file."""
    saved: dict[str, Any] = {
        "model": stage.model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": stage.step,
        "seconds": stage.seconds,
        "log": stage.log,
        "rng": torch.get_rng_state(),
    }
    part = stage.path.with_suffix(".part")
    torch.save(saved, part)
    part.replace(stage.path)


def resume(stage: "Stage", optimizer: torch.optim.Optimizer) -> None:
    """Restore the saved state if there is one; otherwise seed a new run."""
    if not stage.path.exists():
        torch.manual_seed(stage.seed)
        return
    saved = torch.load(stage.path, weights_only=True)
    stage.model.load_state_dict(saved["model"])
    optimizer.load_state_dict(saved["optimizer"])
    stage.step, stage.seconds, stage.log = saved["step"], saved["seconds"], saved["log"]
    torch.set_rng_state(saved["rng"])

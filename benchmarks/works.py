"""The tasks that are timed: what bertprune does, and plain torch code that does the same."""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.utils import prune

import bertprune as bp

QKV = bp.Selection(roles=["attention.query", "attention.key", "attention.value"])


def kobert() -> nn.Module:
    """Build a model of KoBERT's shape: 92 M weights, 76 of its tensors in Embedding or Linear modules."""
    return bp.Checkpoint.open("kobert-shape").load()


def matrices(model: nn.Module, paths: tuple[str, ...] | None = None) -> list[tuple[nn.Module, str]]:
    """List (module, "weight") for Embedding and Linear, as torch's functions take it."""
    return [
        (module, "weight")
        for path, module in model.named_modules()
        if _is_matrix(module) and (paths is None or path.endswith(paths))
    ]


def _is_matrix(module: nn.Module) -> bool:
    return isinstance(module, nn.Embedding | nn.Linear)


@dataclass(frozen=True)
class Work:
    """One row of the table."""

    name: str
    ours: Callable[[nn.Module], object]
    theirs: Callable[[nn.Module], object]
    against: str
    scores: Callable[[nn.Module], dict[str, torch.Tensor]] | None = None
    """The scores that both sides rank, by mask name; if given, both must leave the same masks except for ties."""
    together: bool = False
    """Whether all tensors are ranked together, with one cut."""
    ready: Callable[[nn.Module], object] = lambda model: None
    """Prepares the model before the clock starts."""


def _step(method: str, fraction: float, scope: str = "local", select: object = "*", **options: object) -> bp.Step:
    return bp.Step(method=method, fraction=fraction, scope=scope, select=select, options=options)


def _by_type(model: nn.Module) -> object:
    return bp.apply(
        model,
        bp.Recipe(
            steps=[
                _step("l1_unstructured", 0.2, select=bp.Selection(types="Embedding")),
                _step("l1_unstructured", 0.4, select=bp.Selection(types="Linear")),
            ]
        ),
    )


def _torch_by_type(model: nn.Module) -> None:
    for module, name in matrices(model):
        prune.l1_unstructured(module, name, 0.2 if isinstance(module, nn.Embedding) else 0.4)


def _torch_global(model: nn.Module, paths: tuple[str, ...] | None = None) -> None:
    prune.global_unstructured(matrices(model, paths), prune.L1Unstructured, amount=0.2)


def _torch_random(model: nn.Module) -> None:
    torch.manual_seed(0)
    for module, name in matrices(model):
        prune.random_unstructured(module, name, 0.3)


def _torch_rows(model: nn.Module) -> None:
    for module, name in matrices(model):
        prune.ln_structured(module, name, 0.2, n=2, dim=0)


def _ranked(model: nn.Module) -> dict[str, torch.Tensor]:
    """Return the weights of Embedding and Linear modules by the names of their masks."""
    return {f"{path}.weight_mask": m.weight.detach() for path, m in model.named_modules() if _is_matrix(m)}


def _magnitudes(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: weight.abs() for name, weight in _ranked(model).items()}


def _draws(model: nn.Module) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {name: torch.rand_like(weight) for name, weight in _ranked(model).items()}


def _torch_report(model: nn.Module) -> list[float]:
    return [float((module.weight == 0).sum()) / module.weight.numel() for module, _ in matrices(model)]


WORKS = {
    "global": Work(
        "global L1 over 92 M weights",
        lambda model: bp.apply(model, _step("l1_unstructured", 0.2, "global")),
        _torch_global,
        "`prune.global_unstructured`",
        _magnitudes,
        together=True,
    ),
    "qkv": Work(
        "global L1 over query, key, value (21 M)",
        lambda model: bp.apply(model, _step("l1_unstructured", 0.2, "global", QKV)),
        lambda model: _torch_global(model, ("self.query", "self.key", "self.value")),
        "`prune.global_unstructured`",
        _magnitudes,
        together=True,
    ),
    "types": Work("L1 by type, 76 tensors", _by_type, _torch_by_type, "a loop of `prune.l1_unstructured`", _magnitudes),
    "rows": Work(
        "global L2 over rows, which torch lacks",
        lambda model: bp.apply(model, _step("ln_structured", 0.2, "global", n=2, dim=0)),
        _torch_rows,
        "a local loop of `prune.ln_structured`",
    ),
    "random": Work(
        "random 30 % of 92 M, same masks",
        lambda model: bp.apply(model, _step("random_unstructured", 0.3), seed=0),
        _torch_random,
        "a loop of `prune.random_unstructured`",
        _draws,
    ),
    "report": Work(
        "report of a pruned 92 M model",
        lambda model: bp.sparsity(model).to_dict(),
        _torch_report,
        "`(w == 0).sum()` per tensor",
        ready=lambda model: bp.apply(model, _step("l1_unstructured", 0.2, "global")),
    ),
}


def fresh(model: nn.Module, work: Work) -> nn.Module:
    """Copy the model and prepare it for a task."""
    mine = copy.deepcopy(model)
    work.ready(mine)
    return mine


def masks(model: nn.Module) -> dict[str, torch.Tensor]:
    """Collect a model's masks as bool."""
    return {name: mask != 0 for name, mask in model.named_buffers() if name.endswith("_mask")}


def agree(work: Work, model: nn.Module, ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> bool:
    """Check that two sets of masks keep equally many, and differ only where scores tie at the cut."""
    assert work.scores is not None
    scores = work.scores(model)
    apart = [scores[name][ours[name] != theirs[name]].unique() for name in ours]
    cuts = [torch.cat(apart).unique()] if work.together else apart
    kept = [[int(mask.sum()) for mask in side.values()] for side in (ours, theirs)]
    same = sum(kept[0]) == sum(kept[1]) if work.together else kept[0] == kept[1]
    return ours.keys() == theirs.keys() and same and all(len(cut) <= 1 for cut in cuts)

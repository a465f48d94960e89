"""A run: a pure function of a checkpoint, a recipe and a seed."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import nn

from ..checkpoint import Checkpoint
from ..model.diff import SnapshotDiff, diff
from ..model.snapshot import Snapshot, snapshot
from ..model.targets import targets_by_name
from ..parallel import Progress, silent
from ..pruning.apply import MaskDtype, attach
from ..pruning.masked import sketched
from ..pruning.masks import Decision, decide
from ..pruning.outcome import StepOutcome
from ..pruning.packed_masks import PackedMasks
from ..pruning.preview import Preview, foresee
from ..recipe import Recipe, Step
from ..reports.sparsity import SparsityReport, sparsity
from .script import script


def preview(checkpoint: Checkpoint | str | Path, recipe: Recipe | Step | Mapping[str, Any]) -> Preview:
    """Say what a recipe matches and how much would go, before any weight is read.

    Names, options and selections are checked against the model's shape alone. Pure. Raises CheckpointError and
    RecipeError.
    """
    opened = Checkpoint.open(checkpoint)
    return foresee(opened.skeleton(), Recipe.of(recipe), opened.missing)


def prune(
    checkpoint: Checkpoint | str | Path,
    recipe: Recipe | Step | Mapping[str, Any],
    seed: int = 0,
    *,
    mask_dtype: MaskDtype = "bool",
    progress: Progress = silent,
) -> "PruningRun":
    """Prune a checkpoint by a recipe; the checkpoint and the global random state stay as they are.

    The same checkpoint, recipe and seed give the same masks. A `progress` that raises cancels the run.
    Raises CheckpointError and RecipeError; warns with NoEffectWarning where a step removes nothing.
    """
    opened, recipe = Checkpoint.open(checkpoint), Recipe.of(recipe)
    progress(0.0, f"loading {opened.name}")
    pristine = opened.model(seed, lambda share, words: progress(0.1 * share, words))
    decision = decide(pristine, recipe, seed, opened.missing, lambda share, words: progress(0.1 + 0.7 * share, words))
    progress(0.8, "comparing before and after")
    before = snapshot(pristine)
    after, report = _looked_at(pristine, decision, mask_dtype)
    run = PruningRun(
        checkpoint=opened,
        recipe=recipe,
        seed=seed,
        before=before,
        after=after,
        steps=tuple(decision.outcomes),
        report=report,
        history={name: tuple(steps) for name, steps in decision.history.items()},
        mask_dtype=mask_dtype,
        masks=PackedMasks(decision.masks),
    )
    progress(1.0, "done")
    return run


@dataclass(eq=False)
class PruningRun:
    """What came of a recipe on a checkpoint. Light: masks are kept packed, a model only while it is looked at."""

    checkpoint: Checkpoint
    recipe: Recipe
    seed: int
    before: Snapshot
    """The model as it was, before any forward pass."""
    after: Snapshot
    """The model with its hooks on, before any forward pass."""
    steps: tuple[StepOutcome, ...]
    """What each step did."""
    report: SparsityReport
    """What is masked, zero and alive; `report.total` over the targets, `report.model` over everything."""
    history: dict[str, tuple[Step, ...]]
    """The steps that touched each target, by its name."""
    mask_dtype: MaskDtype
    masks: PackedMasks = field(repr=False)
    """The masks by target name: bool, True is alive; each is unpacked when it is asked for."""
    _model: nn.Module | None = field(default=None, repr=False)

    @cached_property
    def diff(self) -> SnapshotDiff:
        """What changed from before to after."""
        return diff(self.before, self.after)

    @property
    def model(self) -> nn.Module:
        """The pruned model, with hooks and masks, in eval mode: yours, sharing nothing; built when first asked for."""
        if self._model is None:
            model = self.checkpoint.load(self.seed)
            attach(targets_by_name(model), self.masks, self.history, self.mask_dtype)
            self._model = model
        return self._model

    def release(self) -> None:
        """Let the model go; masks stay, packed, and the next look at `model` builds it anew."""
        self._model = None

    def as_python(self, ours: bool = False) -> str:
        """Return a short script that does the same: in plain torch where it can, else in ours, saying why.

        With `ours` it is written with bertprune always.
        """
        return script(self.checkpoint, self.recipe, self.seed, ours)


def _looked_at(pristine: nn.Module, decision: Decision, mask_dtype: MaskDtype) -> tuple[Snapshot, SparsityReport]:
    """Put the hooks on a twin, which is let go."""
    twin = _sharing(pristine)
    attach(targets_by_name(twin), decision.masks, decision.history, mask_dtype, sketched)
    return snapshot(twin), sparsity(twin)


def _sharing(model: nn.Module) -> nn.Module:
    """Copy the modules but none of the tensors, so that hooks can be put on without touching the original."""
    tensors = [*model.parameters(), *model.buffers()]
    return copy.deepcopy(model, {id(tensor): tensor for tensor in tensors})

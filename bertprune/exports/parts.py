"""Everything that an export is made of, whichever form it takes."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from torch import Tensor

from .. import __version__
from ..checkpoint import Checkpoint
from ..pruning.apply import MaskDtype
from ..recipe import Recipe
from ..reports.sparsity import SparsityReport
from ..scores import methods
from .card import Origin
from .folder import MARK

if TYPE_CHECKING:
    from ..runs.run import PruningRun


@dataclass(frozen=True, eq=False)
class Parts:
    """A run, taken apart: plain data, the checkpoint and the masks; no model with hooks is needed."""

    checkpoint: Checkpoint
    recipe: Recipe
    seed: int
    masks: Mapping[str, Tensor]
    """What is alive of each target: bool, by target name."""
    origin: Origin
    report: SparsityReport
    told: dict[str, Any]
    """What `report.json` says besides: who made it, what each step did, and which steps touched which tensor."""

    @property
    def mask_dtype(self) -> MaskDtype:
        """The dtype of the masks on the finished model; in a file they are bool."""
        return "float" if self.told.get("mask_dtype") == "float" else "bool"

    @classmethod
    def of(cls, run: "PruningRun") -> "Parts":
        """Take a run apart; its model is not built."""
        return cls(run.checkpoint, run.recipe, run.seed, run.masks, origin_of(run.checkpoint), run.report, _tell(run))


def origin_of(checkpoint: Checkpoint) -> Origin:
    """Say where a checkpoint's weights come from, without any path of this machine."""
    facts = checkpoint.facts
    return Origin(
        name=checkpoint.name.encode("utf-8", "replace").decode(),
        hub_id=checkpoint.hub_id,
        revision=checkpoint.revision,
        architecture=facts.architecture,
        model_type=facts.model_type,
        dtype=facts.dtype,
    )


def _tell(run: "PruningRun") -> dict[str, Any]:
    """Gather what the masks' maker knows; nothing of it depends on the clock or the machine."""
    history: dict[str, list[int]] = {}
    for number, outcome in enumerate(run.steps):
        for tensor in outcome.tensors:
            history.setdefault(tensor.name, []).append(number)
    return {
        MARK: __version__,
        "versions": {name: version(name) for name in ("torch", "transformers", "safetensors")},
        "methods": {name: _method(name) for name in sorted({step.method for step in run.recipe.steps})},
        "steps": [
            {"step": str(outcome.step), "removed": outcome.removed, "alive_before": outcome.alive_before}
            | {"tensors": [asdict(tensor) for tensor in outcome.tensors]}
            for outcome in run.steps
        ],
        "history": history,
        "mask_dtype": run.mask_dtype,
    }


def _method(name: str) -> dict[str, Any]:
    method = methods()[name]
    return {"title": method.title, "paper": method.paper, "defined_in": method.rule.__module__}

"""What `report.json` says of how the masks were made; nothing depends on the clock or the machine."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from ..checkpoint import Checkpoint
from ..checkpoint.masked import UNKNOWN
from ..model.hooks import Made, MaskDtype
from ..recipe import Recipe
from ..reports.sparsity import SparsityReport
from ..scores import Method
from ..version import __version__
from .folder import REPORT_KEY

if TYPE_CHECKING:
    from ..runs.run import PruningRun

Listed = dict[str, list[Any]]
"""What made the mask of each tensor: the number of a step in recipe.yaml, a step of an earlier recipe, or the class
of a hook that no known step made."""

_VERSIONS = ("torch", "transformers", "safetensors")


def record_of_run(run: "PruningRun") -> dict[str, Any]:
    """Record how a run's masks were made."""
    history = _earlier(run.checkpoint)
    for number, outcome in enumerate(run.steps):
        for name in dict.fromkeys(tensor.name for tensor in outcome.tensors):  # a fused projection has several parts
            if outcome.method.removes not in ("layer", "token"):
                history.setdefault(name, []).append(number)
    there = [tensor.name for tensor in run.report.targets if tensor.name in history]
    used = {outcome.step.method: outcome.method for outcome in run.steps}
    return {
        **_versions(),
        "methods": {**_earlier_methods(run.checkpoint), **{name: _describe(used[name]) for name in sorted(used)}},
        "steps": [
            {"step": str(outcome.step), "removed": outcome.removed, "alive_before": outcome.alive_before}
            | {"tensors": [asdict(tensor) for tensor in outcome.tensors]}
            | ({"reconstructions": [asdict(one) for one in outcome.reconstructions]} if outcome.reconstructions else {})
            | ({"layers": list(outcome.cut.layers)} if outcome.cut.layers else {})
            | ({"tokens": asdict(outcome.tokens)} if outcome.tokens else {})
            for outcome in run.steps
        ],
        "history": {name: history[name] for name in there},
        "mask_dtype": run.mask_dtype,
        **({"calibration": run.recipe.calibration.model_dump()} if run.recipe.calibration else {}),
    }


def _describe(method: Method) -> dict[str, Any]:
    described = {"title": method.title, "paper": method.paper, "defined_in": method.defined_in}
    return described | ({"replaces": method.replaces} if method.replaces else {})


def record_of_hooks(
    counted: SparsityReport, mask_dtype: MaskDtype, known: Mapping[str, list[Any]], expected: Mapping[str, Any]
) -> dict[str, Any]:
    """Record the hooks of a model that no run made; `known` and `expected` as in `history_now`."""
    return {**_versions(), "history": history_now(counted, known, expected), "mask_dtype": mask_dtype}


def history_now(counted: SparsityReport, known: Mapping[str, list[Any]], expected: Mapping[str, Any]) -> Listed:
    """List what made the masks that a model has now.

    `known` is the list that a run or an earlier export gives, and `expected` are the hooks that it leaves, both by
    tensor; where the model's hooks begin with these, the list goes on with the others, and elsewhere the hooks' classes
    are all that is known.
    """
    history: Listed = {}
    for tensor in counted.targets:
        hooks, before = tensor.history or (UNKNOWN,), expected.get(tensor.name, ())
        begins = tensor.name in known and hooks[: len(before)] == before
        history[tensor.name] = [*known[tensor.name], *hooks[len(before) :]] if begins else list(hooks)
    return history


def _versions() -> dict[str, Any]:
    return {REPORT_KEY: __version__, "versions": {name: version(name) for name in _VERSIONS}}


def _earlier(checkpoint: Checkpoint) -> Listed:
    """List what made the masks that a checkpoint came with; its steps are those of another recipe."""
    made = checkpoint.pruning.history if checkpoint.pruning else {}
    return {name: [_plain(one) for one in steps] for name, steps in made.items()}


def _earlier_methods(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return what the report of a checkpoint says of the methods that made its masks."""
    methods = checkpoint.pruning.report.get("methods") if checkpoint.pruning else None
    return methods if isinstance(methods, dict) else {}


def _plain(made: Made) -> Any:
    return made if isinstance(made, str) else json.loads(Recipe.of(made).to_json())["steps"][0]

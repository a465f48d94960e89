"""Prune BERT and its relatives: choose, mask, rank, report, evaluate, export.

This file is the contents page. Every public name is loaded when it is first used, so that importing bertprune,
its command line's help, and reading a recipe cost neither torch nor transformers.
"""

import random
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .version import __version__ as __version__
from .when_imported import when_imported

if TYPE_CHECKING:
    from .checkpoint import Checkpoint as Checkpoint
    from .checkpoint.irregular import register as register
    from .checkpoint.load import load as load
    from .data.calibration import Calibration as Calibration
    from .errors import BertpruneError as BertpruneError
    from .errors import NoEffectWarning as NoEffectWarning
    from .errors import TooLargeError as TooLargeError
    from .evaluation.evaluate import evaluate as evaluate
    from .evaluation.report import QualityReport as QualityReport
    from .evaluation.speed import speed as speed
    from .evaluation.speed_report import SpeedReport as SpeedReport
    from .evaluation.try_text import TextReport as TextReport
    from .evaluation.try_text import try_text as try_text
    from .exports.write import export as export
    from .hub.push import push as push
    from .model.bake import bake as bake
    from .model.snapshot import Snapshot as Snapshot
    from .model.snapshot import snapshot as snapshot
    from .model.tree import ModuleNode as ModuleNode
    from .model.tree import tree as tree
    from .plans.plan import plan as plan
    from .plans.scan import scan as scan
    from .pruning.apply import apply as apply
    from .recipe import Recipe as Recipe
    from .reports import figures as figures
    from .reports.compare import Comparison as Comparison
    from .reports.compare import compare as compare
    from .reports.scan_report import Scan as Scan
    from .reports.sparsity import SparsityReport as SparsityReport
    from .reports.sparsity import sparsity as sparsity
    from .runs.preview import preview as preview
    from .runs.run import PruningRun as PruningRun
    from .runs.run import prune as prune
    from .scores import method as method
    from .scores import methods as methods
    from .selection import Selection as Selection
    from .step import Step as Step
    from .sweeps.grid import grid as grid
    from .sweeps.report import Sweep as Sweep
    from .sweeps.sweep import sweep as sweep

_HOMES = {
    "recipe": ("Recipe",),
    "step": ("Step",),
    "selection": ("Selection",),
    "checkpoint": ("Checkpoint",),
    "checkpoint.load": ("load",),
    "checkpoint.irregular": ("register",),
    "data.calibration": ("Calibration",),
    "model.tree": ("ModuleNode", "tree"),
    "model.snapshot": ("Snapshot", "snapshot"),
    "reports.scan_report": ("Scan",),
    "reports.sparsity": ("SparsityReport", "sparsity"),
    "reports.compare": ("Comparison", "compare"),
    "reports": ("figures",),
    "scores": ("method", "methods"),
    "pruning.apply": ("apply",),
    "model.bake": ("bake",),
    "plans.plan": ("plan",),
    "runs.preview": ("preview",),
    "runs.run": ("PruningRun", "prune"),
    "plans.scan": ("scan",),
    "exports.write": ("export",),
    "hub.push": ("push",),
    "sweeps.grid": ("grid",),
    "sweeps.report": ("Sweep",),
    "sweeps.sweep": ("sweep",),
    "evaluation.evaluate": ("evaluate",),
    "evaluation.report": ("QualityReport",),
    "evaluation.speed": ("speed",),
    "evaluation.speed_report": ("SpeedReport",),
    "evaluation.try_text": ("TextReport", "try_text"),
    "errors": ("BertpruneError", "NoEffectWarning", "TooLargeError"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted([*_HOME_OF, "__version__"])


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    drawn = random.getstate()
    home = import_module(f".{_HOME_OF[name]}", __name__)
    value = import_module(f".{name}", home.__name__) if name == "figures" else getattr(home, name)
    random.setstate(drawn)  # rich, which scikit-learn loads, draws a number when it is imported
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__


# transformers' auto classes know our irregular models as soon as they are imported, before or after this
when_imported(
    "transformers.models.auto.configuration_auto",
    lambda: import_module(".checkpoint.irregular", __name__).register(),
)

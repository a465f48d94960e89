"""One recipe of a sweep, pruned and measured, in whichever process does it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal, TypedDict

from torch import nn
from transformers import PreTrainedTokenizerBase

from ..checkpoint import Checkpoint
from ..checkpoint.content import content_hash
from ..checkpoint.irregular import Loads
from ..checkpoint.loading import dtype_as_loaded
from ..data.calibration import Calibration
from ..data.tables import Table
from ..errors import BertpruneError, CheckpointError, ExportError
from ..evaluation.evaluate import evaluate
from ..evaluation.metrics import Estimate
from ..evaluation.report import QualityReport
from ..evaluation.speed import speed
from ..exports.contents import Contents
from ..exports.gather import gather
from ..exports.same_outputs import model_of
from ..exports.small import shrink
from ..model.families import places
from ..model.macs import computed_macs
from ..recipe import Recipe
from ..reports.sparsity import SparsityReport
from ..runs.run import PruningRun, prune
from ..validation import FrozenModel
from .own_methods import adopt


class Estimated(FrozenModel):
    """An estimate as JSON can write it: a figure and the ends of its 95 % interval, None for NaN."""

    value: float | None
    low: float | None
    high: float | None

    @classmethod
    def of(cls, given: Estimate) -> "Estimated":
        """Take over an estimate."""
        ends = {name: getattr(given, name) for name in ("value", "low", "high")}
        return cls(**{name: end if math.isfinite(end) else None for name, end in ends.items()})


class Timed(FrozenModel):
    """How fast the model is on batches of one size, beside the checkpoint in turn."""

    batch: int
    tokens: float
    """In each text."""
    seconds: Estimated
    """For a batch."""
    faster: Estimated
    """How many times faster than the checkpoint."""


class Measured(FrozenModel):
    """What is known of a pruned model."""

    measure: str
    """The name of the quality, such as accuracy."""
    better: Literal["higher", "lower"]
    examples: int
    quality: Estimated
    difference: Estimated | None
    """From the checkpoint, on the same examples; None for a quality that compares the two anyway."""
    sparsity: float
    """The share of the weights in the encoder's Linear matrices that is masked or gone."""
    macs: float | None
    """Multiply-accumulates of the layers for a text of mean length, once what is wholly masked is taken out; None for
    an unknown family."""
    bytes: int
    """What the weights take in a file, once what is wholly masked is taken out."""
    loads: Loads
    """What loads that file: "plain" for transformers alone, "bertprune" for that package beside it."""
    timings: tuple[Timed, ...] = ()
    notes: tuple[str, ...] = ()


class Columns(TypedDict):
    """What the columns of the data are called; None for a usual name."""

    text: str | None
    text_pair: str | None
    label: str | None


@dataclass(frozen=True)
class Task:
    """One recipe, and everything that another process needs to measure it: no weights, which it reads itself."""

    given: str
    """What opens the checkpoint: a name, a whole path or a Hub id."""
    revision: str | None
    content: str
    """The hash of the checkpoint."""
    recipe: Recipe
    seed: int
    data: Table
    columns: Columns
    tokenizer: PreTrainedTokenizerBase | None
    """What reads the data; None for the checkpoint's own."""
    calibration: Calibration | None
    length: float
    """Mean tokens of a text."""
    speed: bool
    methods: Mapping[str, str] = field(default_factory=dict)
    """The user's own methods in the recipe, with the hash of their source."""
    packed: bytes = b""
    """These methods."""


Outcome = Measured | BertpruneError
"""What a task gives: the figures, or why the recipe was refused."""


def measure(task: Task) -> Outcome:
    """Prune by a recipe and measure what is left; a refusal is returned."""
    try:
        adopt(task.methods, task.packed)
        checkpoint = open_again(task.given, task.revision, task.content)
        run = prune(checkpoint, task.recipe, task.seed, calibration=task.calibration)
        report = evaluate(run, task.data, tokenizer=task.tokenizer, seed=task.seed, **task.columns)
        return Measured(**_quality(report), **_size(run, task), notes=(*run.notes, *report.notes))
    except BertpruneError as error:
        return error


@lru_cache(maxsize=1)
def open_again(given: str, revision: str | None, content: str) -> Checkpoint:
    """Open the checkpoint of a sweep, once in each process. Raises CheckpointError where it is another one here."""
    checkpoint = Checkpoint.open(given, revision=revision)
    if content_hash(checkpoint) != content:
        raise CheckpointError(
            "the files of {name} are not those that the sweep began with: they have changed, or differ on this machine",
            code="sweep.other_checkpoint", name=checkpoint.name,
        )  # fmt: skip
    return checkpoint


def _quality(report: QualityReport) -> dict[str, Any]:
    """Take the first score; without labels, how near the answers are to those of the checkpoint."""
    for name, score in report.scores.items():
        gap = None if score.difference is None else Estimated.of(score.difference)
        found = {"quality": Estimated.of(score.after), "difference": gap, "better": score.better}
        return {"measure": name, "examples": report.examples, **found}
    name, figure = next(iter(report.fidelity.items()))
    found = {"quality": Estimated.of(figure), "difference": None, "better": "higher"}
    return {"measure": name, "examples": report.examples, **found}


def _size(run: PruningRun, task: Task) -> dict[str, Any]:
    """Count, and where asked time, what an export would write."""
    run.release()
    contents, form = _as_it_leaves(run)
    model = model_of(contents)
    per_token, per_pair = computed_macs(model) or (math.nan, math.nan)
    macs = per_token * task.length + per_pair * task.length**2
    return {
        "sparsity": _sparsity(run.checkpoint.skeleton(), run.report),
        "macs": None if math.isnan(macs) else macs,
        "bytes": sum(tensor.nbytes for tensor in contents.tensors("baked").values()),
        "loads": contents.loads(form),
        "timings": _timings(model, run.checkpoint) if task.speed else (),
    }


def _as_it_leaves(run: PruningRun) -> tuple[Contents, Literal["small", "baked"]]:
    """Take out what is wholly masked, where there is something and it is known how."""
    contents = gather(run, run.checkpoint)
    try:
        return shrink(contents), "small"
    except ExportError:
        return contents, "baked"


def _sparsity(dense: nn.Module, report: SparsityReport) -> float:
    """Return the share of the encoder's Linear weights that is masked or gone; of all in a model of unknown family."""
    linear = {f"{name}.weight": module for name, module in dense.named_modules() if isinstance(module, nn.Linear)}
    layers = {f"{name}.weight" for name, place in places(dense).items() if place.layer is not None}
    inside = {name: module for name, module in linear.items() if name in layers} or linear
    full = sum(module.weight.numel() for module in inside.values())
    left = sum(one.count.size - one.count.masked for one in report.tensors if one.name in inside)
    return 1 - left / full if full else 0.0


def _timings(model: nn.Module, checkpoint: Checkpoint) -> tuple[Timed, ...]:
    """Time the small model in the dtype in which it loads, beside the checkpoint."""
    report = speed(model.to(dtype_as_loaded(checkpoint.facts, model)), against=checkpoint)
    return tuple(
        Timed(
            batch=one.batch,
            tokens=one.tokens,
            seconds=Estimated.of(one.after),
            faster=Estimated.of(one.ratio),
        )
        for one in report.timings
        if one.ratio is not None
    )

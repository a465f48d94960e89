"""`bp.scan`: what each part of a model bears, pruned alone, level by level."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..checkpoint import Checkpoint
from ..checkpoint.content import content_hash
from ..errors import DataError, Message, RecipeError, shown
from ..evaluation.job import check_finite
from ..evaluation.metrics import Estimate, proportion
from ..files import check_place, from_home, name_of, write_whole
from ..parallel import Progress, check_progress, silent
from ..pruning.steps import MatchedStep, check_seed, match_steps
from ..pruning.tries import Known, Part, Tries, values_of
from ..recipe import Recipe
from ..reports.scan_report import Interval, Scan, ScanCell
from ..runs.calibrate import texts_to_measure
from ..selection import Selection
from ..step import Step
from ..undisturbed import undisturbed
from .foreign import warn_of_foreign
from .measured import ROLES, mean_of

LEVELS = (0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0)
GRANULARITIES = ("neuron", "head", "element")


@undisturbed()
def scan(
    checkpoint: Checkpoint | str | Path,
    texts: Any = None,
    *,
    granularity: str | Iterable[str] = ("neuron", "head"),
    method: str = "obs",
    reconstruct: bool = True,
    levels: Iterable[float] = LEVELS,
    seed: int = 0,
    file: str | Path | None = None,
    progress: Progress = silent,
) -> Scan:
    """Measure what each part of a model bears: prune it alone, and see how far the answers to texts held back drift.

    A part is the neurons or the heads of one layer, or its matrices of one role. All levels come from one set of
    statistics, and each try starts at its layer. One text in five is held back from the adjustment of what stays, and
    the drift is measured on these.

    Args:
        checkpoint: A `Checkpoint`, or what `Checkpoint.open` accepts: a name, a path or a Hub id.
        texts: Texts without labels, as `bp.prune` takes for `calibration`; with the labels that a `Calibration` names,
            each cell has the accuracy too. Default None, those that a demo brings.
        granularity: What is pruned: "neuron", "head", "element", or several of them.
        method: The name of the score by which it is chosen what goes.
        reconstruct: Whether what stays is adjusted to make up for what goes.
        levels: The shares that are pruned, each above 0 and at most 1.
        seed: An integer that seeds all random choices, from 0 to 2^63 - 1.
        file: A JSON file; what is done is written to it as it comes, and not done again where the file is there.
            Default None.
        progress: A function called with the share done (0 to 1) and a few words; it may raise to cancel.

    Returns:
        A `Scan`: the drift of each layer, part and level with its 95 % interval, as a table, figure and JSON.

    Raises:
        CheckpointError: The checkpoint cannot be opened or read.
        RecipeError: The method does not do this, or the model's parts are not known.
        DataError: The texts cannot be read, or the file holds something else, or a scan of something else.

    Warns:
        MissingTensorsWarning: The checkpoint, opened here, lacks tensors that its architecture expects.
        ForeignTextsWarning: The tokenizer hardly knows the language of the texts.

    Example:
        >>> import bertprune as bp
        >>> texts = bp.Calibration("samples", count=10)
        >>> scan = bp.scan("demo", texts, method="fisher", reconstruct=False, levels=[0.25, 0.75])
        >>> one, other = scan.cells[:2]
        >>> one.level, other.level, one.drift.value < other.drift.value
        (0.25, 0.75, True)
    """
    check_seed(seed)
    check_progress(progress)
    shares, kinds = _levels(levels), _granularities(granularity)
    opened = Checkpoint.open(checkpoint)
    for kind in kinds:
        _matched(opened.skeleton(), kind, method, reconstruct, opened.missing)  # before the long work
    path = None if file is None else from_home(file, DataError)
    check_place(path, DataError)
    earlier = Scan.of(path) if path is not None and path.exists() else None
    progress(0.0, f"loading {opened.name}")
    model = opened.model(seed)
    steps = [one for kind in kinds for one in _matched(model, kind, method, reconstruct, opened.missing)]
    given = texts_to_measure(opened, model, texts, seed)
    assert given.batches is not None and given.output is not None and given.record is not None
    warn_of_foreign(opened, given.batches)
    tries = Tries(model, given.batches, given.output)
    check_finite(opened.name, tries.dense.numpy(force=True))
    job = _Scanning(tries, seed, shares)
    plain = Scan(
        checkpoint=opened.name, sha256=content_hash(opened), texts=given.record, held_back=len(tries.dense),
        method=method, reconstruct=reconstruct, seed=seed, granularities=kinds, levels=shares,
        measure=given.output.measure, score=job.score(tries.dense),
    )  # fmt: skip
    if earlier is not None and path is not None:
        _check_same(earlier, plain, path)
    return _filled(earlier or plain, job, [tries.parts(step) for step in steps], path, progress)


def _filled(scan: Scan, job: "_Scanning", steps: list[list[Part]], path: Path | None, progress: Progress) -> Scan:
    """Add the cells that are missing, layer by layer, and write what is done."""
    done = {(cell.layer, cell.part) for cell in scan.cells}
    wanted = _by_layer(job, steps)
    if path is not None and done - {(layer, name) for layer, named in wanted.items() for name in named}:
        raise _other(path, "granularities")
    missing = [(layer, name) for layer, named in wanted.items() for name in named if (layer, name) not in done]
    job.prepare([part for layer, name in missing for part in wanted[layer][name]])
    for number, (layer, name) in enumerate(missing):
        share = number / len(missing)
        progress(share, f"layer {layer}, {name}")
        cells = job.cells(layer, name, wanted[layer])
        order = [(one, part) for one, named in wanted.items() for part in named]
        every = sorted((*scan.cells, *cells), key=lambda cell: (order.index((cell.layer, cell.part)), cell.level))
        scan = scan.model_copy(update={"cells": tuple(every)})
        if path is not None:
            write_whole(path, scan.to_json(), DataError)
    progress(1.0, "done")
    return scan


def _by_layer(job: "_Scanning", steps: list[list[Part]]) -> dict[int, dict[str, list[Part]]]:
    """Arrange parts by layer and name; a role may have several matrices."""
    found: dict[int, dict[str, list[Part]]] = {}
    for part in (part for parts in steps for part in parts):
        found.setdefault(part.layer, {}).setdefault(job.tries.name_of(part), []).append(part)
    return dict(sorted(found.items()))


@dataclass(eq=False)
class _Scanning:
    """What the cells of one scan are measured with."""

    tries: Tries
    seed: int
    levels: tuple[float, ...]

    def __post_init__(self) -> None:
        self._gradients: dict[Part, Any] = {}
        self._known: tuple[int, dict[Part, Known]] = (-1, {})
        labels = self.tries.batches.only(held_back=True).labels
        self._labels = None if labels is None else torch.cat(list(labels))

    def prepare(self, parts: Sequence[Part]) -> None:
        """Find the gradients of all parts at once."""
        found = self.tries.gradients(parts, self._generator())
        self._gradients = dict(zip(parts, found, strict=True))

    def cells(self, layer: int, name: str, named: dict[str, list[Part]]) -> list[ScanCell]:
        """Measure one part of a layer at each level; the inputs of all its parts are collected together."""
        if self._known[0] != layer:
            every = [part for parts in named.values() for part in parts if part in self._gradients]
            self._known = layer, dict(zip(every, self.tries.inputs(every), strict=True))
        parts, found = named[name], []
        known = [self._known[1][part].with_gradients(self._gradients[part]) for part in parts]
        counts = [[self._count(part, level) for level in self.levels] for part in parts]
        values = [
            values_of(part, one, each, self._generator()) for part, one, each in zip(parts, known, counts, strict=True)
        ]
        for level, count, new in zip(self.levels, zip(*counts, strict=True), zip(*values, strict=True), strict=True):
            answers = self.tries.answers_with(parts, new)
            drift = _interval(mean_of(self.tries.drifts(answers), self.seed))
            found.append(ScanCell(
                layer=layer, part=name, level=level, count=sum(count), drift=drift, score=self.score(answers)
            ))  # fmt: skip
        return found

    def score(self, answers: Tensor) -> Interval | None:
        """Return the accuracy of answers, where there are labels."""
        if self._labels is None:
            return None
        right = answers.argmax(-1) == self._labels.to(answers.device)
        return _interval(proportion(int(right.sum()), len(right)))

    def _generator(self) -> torch.Generator:
        return torch.Generator().manual_seed(self.seed)

    def _count(self, part: Part, level: float) -> int:
        return Step(method=part.matched.method.name, fraction=level).amount_of(part.groups.alive)


def _interval(estimate: Estimate) -> Interval:
    return Interval(value=estimate.value, low=estimate.low, high=estimate.high)


def _matched(model: nn.Module, kind: str, method: str, reconstruct: bool, missing: frozenset[str]) -> list[MatchedStep]:
    select = Selection(roles=ROLES) if kind == "element" else Selection()
    step = Step(method=method, granularity=kind, fraction=1.0, reconstruct=reconstruct, select=select)
    return match_steps(model, Recipe(steps=(step,)), missing)


def _levels(given: Any) -> tuple[float, ...]:
    try:
        found = tuple(sorted({float(level) for level in given}))
    except (TypeError, ValueError):
        found = ()
    if not found or not all(math.isfinite(level) and 0 < level <= 1 for level in found):
        raise RecipeError(
            "levels are shares above 0 and at most 1, such as [0.25, 0.5], not {given}",
            code="scan.levels", given=shown(given),
        )  # fmt: skip
    return found


def _granularities(given: Any) -> tuple[str, ...]:
    kinds = (given,) if isinstance(given, str) else tuple(given) if isinstance(given, Iterable) else ()
    if not kinds or any(kind not in GRANULARITIES for kind in kinds):
        raise RecipeError(
            "a scan prunes by {known}, not by {given}",
            code="scan.granularity", known=", ".join(GRANULARITIES), given=", ".join(map(str, kinds)) or shown(given),
        )  # fmt: skip
    return tuple(kind for kind in GRANULARITIES if kind in kinds)


_WHAT = {
    "sha256": Message("of another checkpoint", code="scan.of_checkpoint"),
    "seed": Message("with another seed", code="scan.of_seed"),
    "texts": Message("on other texts", code="scan.of_texts"),
    "method": Message("by another method", code="scan.of_method"),
    "reconstruct": Message("with or without reconstruction", code="scan.of_reconstruct"),
    "granularities": Message("of other parts", code="scan.of_parts"),
    "levels": Message("at other levels", code="scan.of_levels"),
}


def _check_same(earlier: Scan, now: Scan, path: Path) -> None:
    """Refuse to go on with a scan of something else. Raises DataError."""
    for field in _WHAT:
        if getattr(earlier, field) != getattr(now, field):
            raise _other(path, field)


def _other(path: Path, field: str) -> DataError:
    return DataError(
        "{file} holds a scan {what}: give another file, or remove this one",
        code="scan.other", file=name_of(path), what=_WHAT[field],
    )  # fmt: skip

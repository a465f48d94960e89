"""`bp.speed`: how large and how fast a model is, beside another one on the same texts."""

import gc
import platform
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ..data.batches import Batch, evaluation_mode
from ..data.calibration import Calibration
from ..parallel import Progress, check_progress, one_of, silent
from .job import check_whole
from .metrics import RESAMPLES, Numbers, percentiles
from .models import Model, given_tokenizer, is_run
from .speed_cases import Case, of_ids, of_texts
from .speed_report import SpeedReport, Timing
from .speed_sides import TimedSide, open_side

_WARM_UP = 2
"""Rounds that are not counted."""
_PAUSE = 0.01
"""Seconds before each run, in which threads of the other side that wait for more work by spinning go to sleep."""
_CPUS = Path("/proc/cpuinfo")


def speed(
    model: Model,
    *,
    against: Model | None = None,
    texts: Any = None,
    tokenizer: PreTrainedTokenizerBase | str | Path | None = None,
    rounds: int = 30,
    progress: Progress = silent,
) -> SpeedReport:
    """Measure how large and how fast a model is, beside another one on the same texts.

    Counted are parameters, multiply-accumulates (MACs), and bytes in memory and on disk; timed are batches of 1 and of
    16 texts. Both models run in turn, each as it leaves or loads: with its masks baked, and in the dtype of its files,
    as plain `from_pretrained` loads it. A model that you hold is timed as it is, apart from masks. The models and the
    global random state are not changed.

    Args:
        model: The model to time, a `PruningRun`, a transformers model, a `Checkpoint`, or the name or folder of one, or
            of an ONNX model, as a string or Path.
        against: The model to compare with, of the same types as `model`; default None, the checkpoint of a run and
            no comparison for other models.
        texts: A list of texts or of pairs, a pandas DataFrame, a file, "samples" or a `Calibration`, which says how
            many are drawn and after how many tokens they are cut; each model tokenises them by its own tokenizer.
            Default None: made-up token ids, 32 and 128 in a text.
        tokenizer: A tokenizer, or its folder, Hub id or embedded name as a string or Path, for both models; default
            None, their own.
        rounds: An integer, how often each model runs each case, at least 2; default 30.
        progress: A function that is called with the share done (0 to 1) and a short description; it may raise to
            cancel. Ignored by default.

    Returns:
        A `SpeedReport`: sizes, medians of the times, and their ratios with 95 % intervals.

    Raises:
        DataError: Texts, options or a tokenizer do not fit.
        CheckpointError: A model cannot be read.

    Warns:
        MissingTensorsWarning: A checkpoint lacks tensors of its architecture; they are initialised from the seed of the
            run, otherwise from 0.

    Example:
        >>> import bertprune as bp
        >>> report = bp.speed("demo", against="demo", texts="samples", rounds=2)
        >>> report.timings[0].ratio.value > 0
        True
    """
    check_progress(progress)
    check_whole("rounds", rounds, 2)
    given = None if texts is None else Calibration.of(texts)
    progress(0.0, "opening the models")
    against = model.checkpoint if against is None and is_run(model) else against
    sides = (
        [open_side("model", model)] if against is None else [open_side("against", against), open_side("model", model)]
    )
    cases = of_ids(sides) if given is None else of_texts(sides, given, given_tokenizer(tokenizer), rounds)
    timings = [_timing(sides, case, rounds, one_of(progress, at, len(cases))) for at, case in enumerate(cases)]
    progress(1.0, "done")
    notes = [note for side in sides for note in side.notes]
    return SpeedReport(
        before=None if len(sides) == 1 else sides[0].sized,
        after=sides[-1].sized,
        timings=tuple(timings),
        data_name=None if given is None else given.examples.table.name,
        texts=0 if given is None else len(given.draw(0)),
        rounds=rounds,
        threads=torch.get_num_threads(),
        machine=_machine(),
        notes=tuple(dict.fromkeys(notes)),
    )


def _timing(sides: Sequence[TimedSide], case: Case, rounds: int, progress: Progress) -> Timing:
    seconds = _seconds(sides, case, rounds, progress)
    draws = np.random.default_rng(0).integers(0, rounds, (RESAMPLES, rounds))
    medians, resampled = np.median(seconds, axis=0), np.median(seconds[draws], axis=1)
    times = [percentiles(float(one), many) for one, many in zip(medians, resampled.T, strict=True)]
    tokens = [sum(int(work.batch(number)["attention_mask"].sum()) for number in range(rounds)) for work in case.works]
    per_second = [float(count / total) for count, total in zip(tokens, seconds.sum(axis=0), strict=True)]
    lengths = [float(np.mean(work.lengths)) for work in case.works]
    macs = [side.sized.macs_at(length) for side, length in zip(sides, lengths, strict=True)]
    alone = len(sides) == 1
    return Timing(
        batch=case.size,
        tokens=lengths[-1],
        before=None if alone else times[0],
        after=times[-1],
        ratio=None if alone else percentiles(float(medians[0] / medians[1]), resampled[:, 0] / resampled[:, 1]),
        tokens_per_second=(None if alone else per_second[0], per_second[-1]),
        macs=(None if alone else macs[0], macs[-1]),
    )


def _seconds(sides: Sequence[TimedSide], case: Case, rounds: int, progress: Progress) -> Numbers:
    """Run all models in turn on the same texts, each first as often as last, and return the seconds, a row a round."""
    seconds = np.empty((rounds, len(sides)))
    gc.collect()  # so that it does not happen while the clock runs
    with ExitStack() as stack:
        for side in sides:
            stack.enter_context(evaluation_mode(side.model))
        for number in range(-_WARM_UP, rounds):
            progress(max(number, 0) / rounds, f"timing batches of {case.size}")
            for at in range(len(sides))[:: 1 if number % 2 else -1]:
                taken = _run(sides[at].model, case.works[at].batch(number))
                if number >= 0:
                    seconds[number, at] = taken
    return seconds


def _run(model: PreTrainedModel, batch: Batch) -> float:
    time.sleep(_PAUSE)
    _wait_for(model)
    start = time.perf_counter()
    model(**batch)
    _wait_for(model)
    return time.perf_counter() - start


def _wait_for(model: PreTrainedModel) -> None:
    """Wait until a GPU has done what it was asked for; a CPU has."""
    if model.device.type == "cuda":
        torch.cuda.synchronize(model.device)


def _machine() -> str:
    """Name the processor, as far as the system does."""
    lines = _CPUS.read_text(encoding="utf-8", errors="replace").splitlines() if _CPUS.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()

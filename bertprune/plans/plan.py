"""`bp.plan`: turn a budget into a recipe."""

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..checkpoint import Checkpoint
from ..errors import DataError, NoEffectWarning, RecipeError, shown
from ..evaluation.job import check_finite
from ..parallel import Progress, check_progress, silent
from ..pruning.steps import check_seed
from ..pruning.tries import Tries
from ..recipe import Recipe
from ..runs.calibrate import texts_to_measure
from ..undisturbed import undisturbed
from .budget import Budget, Loads, check_loads
from .entries import plan_entries
from .foreign import warn_of_foreign
from .groups import plan_groups
from .walked import Ground

_LEAST_TEXTS = 10


@undisturbed()
def plan(
    checkpoint: Checkpoint | str | Path,
    *,
    macs: float | None = None,
    sparsity: float | None = None,
    bytes: int | None = None,
    drift: float | None = None,
    calibration: Any = None,
    loads: Loads = "any",
    seed: int = 0,
    rounds: int = 4,
    seconds: float | None = None,
    progress: Progress = silent,
) -> Recipe:
    """Turn a budget into a recipe: how much of each part is pruned, by which score, and whether the rest is adjusted.

    Allocations and scores compete on texts that are held back: the same amounts in all layers, heads and neurons ranked
    together, and the parts measured one by one. The best is changed as long as the answers then lose less, and what
    remains is really pruned. What is lost is the drift of predictions; of embeddings it is how far their similarities
    to the nearest other texts move, since embeddings that all turn alike lose nothing. The budget is "at most".

    Args:
        checkpoint: A `Checkpoint`, or what `Checkpoint.open` accepts: a name, a path or a Hub id.
        macs: The share of the encoder's multiply-accumulates that may stay, above 0 and below 1. Default None.
        sparsity: The share of the weights in the encoder's layers that is pruned, entry by entry. Default None.
        bytes: What the file of the weights may take in the small form. Default None.
        drift: How far the answers may drift, in the mean; the plan takes as many MACs as it then can. Default None.
        calibration: A few hundred texts without labels, as `bp.prune` takes them. Default None, those of a demo.
        loads: "any", or "plain" for what transformers loads alone: equal layers, all heads, perhaps fewer layers.
            Entries keep every shape, so that a plan for a sparsity is always plain.
        seed: An integer that seeds all random choices, from 0 to 2^63 - 1; the recipe is meant for it.
        rounds: An integer, how often the best allocation of heads and neurons is changed. Default 4.
        seconds: After how many seconds no more changes are tried; default None, and the plan is the same each time.
            Neither matters for a sparsity, whose few candidates are all run.
        progress: A function called with the share done (0 to 1) and a few words; it may raise to cancel.

    Returns:
        A `Recipe` with the record of the texts, and with `forecast`: the drift with its 95 % interval on the texts that
        were held back, the share of the MACs that stays, bytes and sparsity. The interval is that of the drift's mean
        over these texts; as the plan chose by them, and pruned without them, few texts make it too narrow.

    Raises:
        CheckpointError: The checkpoint cannot be opened or read.
        RecipeError: There is not exactly one budget, it cannot be met, or the model's heads and neurons are not known.
        DataError: The texts cannot be read, or are too few.

    Warns:
        MissingTensorsWarning: The checkpoint, opened here, lacks tensors that its architecture expects.
        ForeignTextsWarning: The tokenizer hardly knows the language of the texts.

    Example:
        >>> import bertprune as bp
        >>> texts = bp.Calibration("samples", count=50)
        >>> recipe = bp.plan("demo", macs=0.5, calibration=texts, rounds=0)
        >>> recipe.forecast.macs <= 0.5
        True
        >>> run = bp.prune("demo", recipe, calibration=texts)
    """
    budget = Budget.of(macs=macs, sparsity=sparsity, bytes=bytes, drift=drift)
    check_loads(loads)
    check_seed(seed)
    check_progress(progress)
    _check_bounds(rounds, seconds)
    deadline = None if seconds is None else time.monotonic() + seconds
    opened = Checkpoint.open(checkpoint)
    progress(0.0, f"loading {opened.name}")
    model = opened.model(seed)
    given = texts_to_measure(opened, model, calibration, seed)
    assert given.batches is not None and given.output is not None
    if given.batches.texts < _LEAST_TEXTS:
        raise DataError(
            "{texts} texts are too few for a plan: give {least} at least, better a few hundred",
            code="plan.too_few_texts", texts=given.batches.texts, least=_LEAST_TEXTS,
        )  # fmt: skip
    spelled = warn_of_foreign(opened, given.batches)
    tries = Tries(model, given.batches, given.output)
    check_finite(opened.name, tries.dense.numpy(force=True))
    ground = Ground(opened, model, tries.batches, given.output, tries.dense, seed)
    with _without_no_effect():
        if budget.kind == "sparsity":
            best = plan_entries(budget, tries, ground, progress)
        else:
            best = plan_groups(budget, loads, tries, ground, rounds, deadline, progress)
    progress(1.0, "done")
    forecast = best.forecast(ground.output, ground.seed, spelled)
    return best.recipe.model_copy(update={"calibration": given.record, "forecast": forecast})


def _check_bounds(rounds: Any, seconds: Any) -> None:
    if isinstance(rounds, bool) or not isinstance(rounds, int) or rounds < 0:
        raise RecipeError("rounds is an integer, 0 or more, not {given}", code="plan.rounds", given=shown(rounds))
    if seconds is not None and (isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds > 0):
        raise RecipeError("seconds is a number above 0, not {given}", code="plan.seconds", given=shown(seconds))


@contextmanager
def _without_no_effect() -> Iterator[None]:
    """Keep back what candidates warn of that are not the plan."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoEffectWarning)
        yield

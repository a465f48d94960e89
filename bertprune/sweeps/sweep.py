"""`bp.sweep`: prune by many recipes, measure each, and show what is best at each size."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from ..checkpoint import Checkpoint
from ..checkpoint.content import address, content_hash
from ..data.calibration import Calibration, batches_of
from ..data.columns import find_examples
from ..data.embedding_folder import embedding_of
from ..data.tables import Table, drawn, read_table
from ..errors import BertpruneError, Note, kind_of
from ..evaluation.models import given_tokenizer
from ..parallel import Progress, check_progress, silent
from ..pruning.steps import check_seed
from ..recipe import Recipe
from ..version import __version__
from .folder import Results, key_of
from .grid import DENSE, Recipes, named_recipes
from .measure import Columns, Measured, Outcome, Task, open_again
from .own_methods import own_methods, packed
from .report import Sweep
from .rows import SweepRow, marked, usual_axis
from .spread import Given, Processes, spread, workers_for

_UNLIMITED = 1_000_000


def sweep(
    checkpoint: Checkpoint | str | Path,
    recipes: Recipes,
    data: str | Path | Iterable[Any],
    *,
    calibration: Any = None,
    out: str | Path | None = None,
    seed: int = 0,
    text: str | None = None,
    text_pair: str | None = None,
    label: str | None = None,
    limit: int | None = None,
    sample: int | None = None,
    tokenizer: PreTrainedTokenizerBase | str | Path | None = None,
    speed: bool = False,
    executor: Any = None,
    progress: Progress = silent,
) -> Sweep:
    """Prune a checkpoint by many recipes, measure each, and mark what is best at each size.

    Each recipe is a task of its own. The processes that do the tasks open the checkpoint themselves, so its name or
    path must mean the same to them; texts travel with the task. A recipe that is refused, or whose process dies, does
    not stop the others: its row says why.

    Args:
        checkpoint: A `Checkpoint`, or what `Checkpoint.open` accepts: a name, a path or a Hub id.
        recipes: A list of recipes, or a mapping of names to recipes, such as `grid` gives.
        data: The examples to score, as for `evaluate`; without labels, answers are compared with the checkpoint's.
        calibration: Texts for steps that read some, as for `prune`.
        out: A folder for the results, a file for each recipe; what is there already is not done again, so that a sweep
            that was stopped goes on. Default None, none are kept.
        seed: An integer that seeds all random choices.
        text: A string, the column of the texts; default None, a usual name.
        text_pair: A string, the column of second texts; default None, a usual name.
        label: A string, the column of labels or scores; default None, a usual name.
        limit: An integer, the number of rows to read, from the first; default None, all.
        sample: An integer, how many of these rows are drawn by the seed, where there are more; default None, all.
        tokenizer: A tokenizer, or its folder, Hub id or embedded name, to read the examples with; default None, the
            checkpoint's.
        speed: Whether to time each model beside the checkpoint too; processes of our own then work one at a time.
        executor: How many processes to start, or any `concurrent.futures.Executor`, such as
            `dask.distributed.Client.get_executor()`; default None, as many processes as there are cores.
        progress: A function called with the share done (0 to 1) and a few words; it may raise to cancel. What is done
            by then stays in `out`.

    Returns:
        A `Sweep`: for each recipe its quality with a 95 % interval, sparsity, MACs, bytes and, where asked, latency.

    Raises:
        CheckpointError: The checkpoint cannot be opened or read.
        DataError: The examples or the calibration texts cannot be read, or do not fit the checkpoint.
        BertpruneError: The recipes are no recipes, the folder cannot be written, or the executor has stopped.

    Example:
        >>> import bertprune as bp
        >>> from concurrent.futures import ThreadPoolExecutor
        >>> recipes = bp.grid(method=["magnitude", "random"], granularity="neuron", fraction=[0.25, 0.5])
        >>> with ThreadPoolExecutor(1) as executor:
        ...     found = bp.sweep("demo", recipes, "samples", limit=32, executor=executor)
        >>> found.table.macs.round(-6).astype(int).tolist()[:3]
        [28000000, 23000000, 19000000]
    """
    check_progress(progress)
    check_seed(seed)
    named = {DENSE: Recipe(), **named_recipes(recipes)}
    workers = workers_for(executor, len(named), speed)
    progress(0.0, "reading")
    opened = _opened(checkpoint)
    table = drawn(read_table(data, limit), sample, seed)
    columns = Columns(text=text, text_pair=text_pair, label=label)
    texts = None if calibration is None else Calibration.of(calibration)
    reader = given_tokenizer(tokenizer)
    given, revision = address(opened)
    task = Task(
        given=given, revision=revision, content=content_hash(opened), recipe=Recipe(), seed=seed, data=table,
        columns=columns, tokenizer=reader, calibration=texts, speed=bool(speed),
        length=_mean_tokens(opened, table, columns, reader or opened.tokenizer(), seed),
    )  # fmt: skip
    plan = _Plan.of(task, named)
    results = Results(out)
    try:
        outcomes = _outcomes(plan, results, workers, progress)
    finally:
        open_again.cache_clear()
    rows = [_row(name, one, outcomes.get(plan.keys.get(name, ""))) for name, one in named.items()]
    return _report(opened, table, task, rows, [*results.notes, *_timed_together(workers, speed)])


def _opened(checkpoint: Any) -> Checkpoint:
    if not isinstance(checkpoint, Checkpoint | str | Path):
        raise BertpruneError(
            "a sweep opens its checkpoint in other processes, by its name or path, so it takes no {kind}: of a run give"
            " run.checkpoint; export a model (bp.export(model, folder, like=checkpoint)), and give the folder",
            code="sweep.live_model", kind=kind_of(checkpoint),
        )  # fmt: skip
    return Checkpoint.open(checkpoint)


def _mean_tokens(
    checkpoint: Checkpoint, table: Table, columns: Columns, tokenizer: PreTrainedTokenizerBase, seed: int
) -> float:
    """Count the tokens of some of the texts, for which MACs are counted. Raises DataError where there are no texts."""
    find_examples(table, **columns, scores=None)
    model: Any = checkpoint.skeleton()
    texts = Calibration(table, max_length=_UNLIMITED, text=columns["text"], text_pair=columns["text_pair"])
    embedding = embedding_of(model, checkpoint.folder(), checkpoint.name)
    batches = batches_of(texts, seed, tokenizer, model, embedding, checkpoint.name)
    return batches.tokens / batches.texts


@dataclass(frozen=True)
class _Plan:
    """What is to be done: tasks by what they depend on, so that nothing is done twice."""

    tasks: dict[str, Task]
    identities: dict[str, dict[str, Any]]
    keys: dict[str, str]
    """The key of each name's task."""

    @classmethod
    def of(cls, task: Task, named: Mapping[str, Any]) -> "_Plan":
        """Make the tasks of all that are recipes."""
        plan, shared = cls({}, {}, {}), _shared(task)
        for name, recipe in named.items():
            if isinstance(recipe, Recipe):
                own = own_methods(recipe)
                identity = shared | {"recipe": _what_counts(recipe), "methods": own}
                key = plan.keys[name] = key_of(identity)
                plan.identities[key] = identity
                texts = task.calibration if recipe.steps else None
                plan.tasks[key] = replace(task, recipe=recipe, calibration=texts, methods=own, packed=packed(own))
        return plan


def _what_counts(recipe: Recipe) -> dict[str, Any]:
    """Return what of a recipe changes a result."""
    plain = json.loads(recipe.to_json())
    return {name: plain[name] for name in ("steps", "calibration") if name in plain}


def _shared(task: Task) -> dict[str, Any]:
    """Return what all results of a sweep depend on, beside their recipes."""
    read = None
    if (texts := task.calibration) is not None:
        found = texts.examples
        read = _hash([found.texts, found.pairs, texts.labels, texts.count, texts.max_length])
    data = _hash([task.data.columns, task.data.rows, task.columns])
    asked = {"seed": task.seed, "speed": task.speed, "tokenizer": _hash_of_tokenizer(task.tokenizer)}
    return {"bertprune": __version__, "checkpoint": task.content, "data": data, "calibration": read, **asked}


def _hash_of_tokenizer(given: PreTrainedTokenizerBase | None) -> str | None:
    """Hash what a tokenizer other than the checkpoint's does: the tokens, and of a fast one all of its rules."""
    if given is None:
        return None
    rules = getattr(given, "backend_tokenizer", None)
    lasting = {} if rules is None else json.loads(rules.to_str()) | {"truncation": None, "padding": None}
    return _hash([type(given).__name__, sorted(given.get_vocab().items()), lasting])


def _hash(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, default=str).encode()).hexdigest()


def _outcomes(plan: _Plan, results: Results, workers: Processes | Given, progress: Progress) -> dict[str, Outcome]:
    """Return the outcome of each task, from the folder or from the workers. Raises what refuses the checkpoint."""
    found: dict[str, Outcome] = {}
    for key, identity in plan.identities.items():
        if (kept := results.find(identity)) is not None:
            found[key] = kept
    kept_before, total = len(found), len(plan.tasks)

    def tick() -> None:
        words = f"{len(found)} of {total} recipes" + (f", {kept_before} from the folder" if kept_before else "")
        progress(len(found) / total, words)

    tick()
    waiting = {key: task for key, task in plan.tasks.items() if key not in found}
    with closing(spread(waiting, workers, tick)) as outcomes:
        for key, outcome in outcomes:
            found[key] = outcome
            if isinstance(outcome, Measured):
                results.keep(plan.identities[key], outcome)
            elif key == plan.keys[DENSE]:  # then none of them can be measured
                raise outcome
    progress(1.0, "done")
    return found


def _row(name: str, recipe: Recipe | BertpruneError, outcome: Outcome | None) -> SweepRow:
    if isinstance(recipe, BertpruneError):
        return SweepRow(name, None, None, recipe)
    if isinstance(outcome, Measured):
        return SweepRow(name, recipe, outcome)
    return SweepRow(name, recipe, None, outcome)


def _timed_together(workers: Processes | Given, speed: bool) -> list[Note]:
    if speed and workers.at_once > 1:
        return [
            Note(
                "models were timed beside the work of other processes, if the executor runs several at a time",
                code="sweep.timed_together",
            )
        ]
    return []


def _report(checkpoint: Checkpoint, table: Table, task: Task, rows: list[SweepRow], notes: list[Note]) -> Sweep:
    """Put the rows together; what is noted in the dense model's row holds for all."""
    dense = rows[0].measured
    assert dense is not None
    shared = dense.notes
    axis = usual_axis(rows)
    return Sweep(
        checkpoint=checkpoint.name,
        data=str(table.name),
        measure=dense.measure,
        better=dense.better,
        examples=dense.examples,
        length=task.length,
        axis=axis,
        rows=marked(rows, axis),
        notes=(*shared, *notes),
    )

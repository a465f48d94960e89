"""The command that tries many recipes: on the cores of this machine, or on a cluster."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

import bertprune as bp

from ..errors import BertpruneError, ExportError, RecipeError
from ..files import check_place
from .console import print_json, progress_bar
from .evaluate import Tokenizer
from .options import (
    CheckpointName,
    DataFile,
    Json,
    LabelColumn,
    Limit,
    MethodFiles,
    PairColumn,
    Revision,
    Sample,
    Seed,
    TextColumn,
    build_calibration,
    build_recipe,
    load_methods,
    load_recipe,
    path_option,
    with_flags,
)
from .pictures import Picture, check_picture, write_file, write_picture

_SEVERAL = ("method", "fraction", "count", "scope", "granularity")
"""The flags of a recipe that may be given more than once; a sweep tries all their combinations."""
_CONNECT = 15
"""Seconds to reach a cluster, and its first worker."""


def _sweep(
    source: CheckpointName,
    data: DataFile,
    recipes: Any,
    calibration: Any,
    out: Annotated[Path | None, path_option("--out", "DIR", "Keep the results there, and go on with those.")] = None,
    text: TextColumn = None,
    text_pair: PairColumn = None,
    label: LabelColumn = None,
    limit: Limit = None,
    sample: Sample = None,
    tokenizer: Tokenizer = None,
    seed: Seed = 0,
    speed: Annotated[bool, typer.Option("--speed", help="Time each model too, one at a time.")] = False,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="How many processes (the cores).", show_default=False)
    ] = None,
    dask: Annotated[
        str | None,
        typer.Option("--dask", metavar="ADDRESS", help="The scheduler of a Dask cluster.", show_default=False),
    ] = None,
    figure: Picture = None,
    csv: Annotated[Path | None, path_option("--csv", "FILE", "Write the table.")] = None,
    json: Json = False,
    revision: Revision = None,
) -> None:
    """Try many recipes, and mark the best at each size."""
    check_picture(figure)
    check_place(csv, ExportError)
    _check_executor(workers, dask)
    with progress_bar("reading") as progress, _executor(workers, dask) as executor:
        found = bp.sweep(
            bp.Checkpoint.open(source, revision=revision), recipes, data, calibration=calibration, out=out, seed=seed,
            text=text, text_pair=text_pair, label=label, limit=limit, sample=sample, tokenizer=tokenizer,
            speed=speed, executor=executor, progress=progress,
        )  # fmt: skip
    refused = [row.error for row in found.rows if row.error]
    if refused and len(refused) == len(found.rows) - 1:
        raise refused[0]
    write_picture(found.figure, figure)
    write_file(csv, found.table.to_csv)
    if json:
        print_json(found.to_dict())
    else:
        print(found.to_text())


def _check_executor(workers: int | None, dask: str | None) -> None:
    """Refuse flags before the long work. Raises BertpruneError."""
    if workers is not None and dask is not None:
        raise BertpruneError("--workers are of this machine, --dask of a cluster: give one", code="cli.two_executors")


@contextmanager
def _executor(workers: int | None, dask: str | None) -> Iterator[Any]:
    """Give what does the work: a number of processes, or a cluster for as long as the block runs."""
    if dask is None:
        yield workers
        return
    try:
        from distributed import Client
    except ImportError:
        sentence = "--dask needs Dask: pip install 'bertprune[cluster]'"
        raise BertpruneError(sentence, code="cli.no_dask") from None
    try:
        client = Client(dask, timeout=_CONNECT, set_as_default=False)
        client.wait_for_workers(1, timeout=_CONNECT)
    except (OSError, ValueError, TimeoutError) as error:
        sentence = "--dask {address}: no scheduler with a worker answers there ({reason})"
        reason = type(error).__name__
        raise BertpruneError(sentence, code="cli.no_cluster", address=dask, reason=reason) from None
    with client:
        yield client.get_executor()


def build_recipes(recipe: list[Path] | None = None, methods_file: MethodFiles = None, **flags: Any) -> dict[str, Any]:
    """Build the recipes of a sweep by name: those of the files, and one for each combination of the other flags.

    A combination that no step can have stays an error, which the sweep shows in its row. Raises RecipeError.
    """
    load_methods(methods_file)
    found: dict[str, Any] = {str(file): load_recipe(file) for file in recipe or ()}
    several = {name: flags.pop(name) or [None] for name in _SEVERAL}
    for values in product(*several.values()):
        chosen = dict(zip(several, values, strict=True))
        words = " ".join(f"--{flag} {value}" for flag, value in chosen.items() if value is not None)
        found |= _one(words, flags | chosen)
    if not found:
        sentence = "no recipes: give --recipe FILE, or --method and --fraction or --count, each once or more"
        raise RecipeError(sentence, code="cli.no_recipes")
    return found


def _one(words: str, flags: dict[str, Any]) -> dict[str, Any]:
    """Build the recipe of one combination; nothing where no flag is given. Raises RecipeError for a wrong flag."""
    try:
        recipe = build_recipe(**flags)
    except RecipeError as error:
        if error.code.startswith("cli."):
            raise
        return {words: error}
    return {} if recipe is None else {str(recipe.steps[0]): recipe}


def _several(parameter: inspect.Parameter) -> inspect.Parameter:
    """Let a flag be given more than once."""
    kind, option = get_args(parameter.annotation)
    return parameter.replace(annotation=Annotated[list[get_args(kind)[0]] | None, option])  # type: ignore[misc]


build_recipes.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
    [
        _several(one) if name in ("recipe", *_SEVERAL) else one
        for name, one in inspect.signature(build_recipe, eval_str=True).parameters.items()
    ]
)


COMMANDS = {"sweep": with_flags(_sweep, {"recipes": build_recipes, "calibration": build_calibration})}

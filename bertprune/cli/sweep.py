"""The command that tries many recipes: on the cores of this machine, or on a cluster."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

import bertprune as bp

from ..errors import BertpruneError
from .console import print_json, progress_bar
from .evaluate import Tokenizer
from .grid_flags import build_recipes
from .options import (
    CheckpointName,
    DataFile,
    Json,
    LabelColumn,
    Limit,
    PairColumn,
    Revision,
    Seed,
    TextColumn,
    build_calibration,
    path_option,
    with_flags,
)
from .pictures import Picture, check_picture, write_file, write_picture

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
    _check_executor(workers, dask)
    with progress_bar("reading") as progress, _executor(workers, dask) as executor:
        found = bp.sweep(
            bp.Checkpoint.open(source, revision=revision), recipes, data, calibration=calibration, out=out, seed=seed,
            text=text, text_pair=text_pair, label=label, limit=limit, tokenizer=tokenizer, speed=speed,
            executor=executor, progress=progress,
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


COMMANDS = {"sweep": with_flags(_sweep, {"recipes": build_recipes, "calibration": build_calibration})}

"""The command that measures what each part of a model bears."""

from pathlib import Path
from typing import Annotated, Any

import typer

import bertprune as bp

from ..errors import DataError, RecipeError, shortened
from ..files import check_regular, name_of, reason_of
from .console import print_json, progress_bar
from .options import CheckpointName, Json, MethodFiles, Revision, Seed, load_methods, path_option, with_recipe_flags
from .values import parse_names


@with_recipe_flags
def scan(
    source: CheckpointName,
    calibration: Any,
    granularity: Annotated[
        str, typer.Option("--granularity", metavar="NAMES", help="What is pruned: neuron, head, element.")
    ] = "neuron,head",
    method: Annotated[str, typer.Option("--method", metavar="NAME", help="The score that says what goes.")] = "obs",
    reconstruct: Annotated[
        bool, typer.Option("--reconstruct/--no-reconstruct", help="Whether what stays makes up for what goes.")
    ] = True,
    levels: Annotated[
        str | None,
        typer.Option("--levels", metavar="SHARES", help="The shares that go, such as 0.25,0.5.", show_default=False),
    ] = None,
    file: Annotated[
        Path | None, path_option("--file", "FILE.json", "Keep the scan here; go on from what it holds.")
    ] = None,
    figure: Annotated[Path | None, path_option("--figure", "FILE.png", "Draw the drift over the levels.")] = None,
    methods_file: MethodFiles = None,
    seed: Seed = 0,
    json: Json = False,
    revision: Revision = None,
) -> None:
    """Measure what each part of a model bears, pruned alone."""
    load_methods(methods_file)
    given: dict[str, Any] = {} if levels is None else {"levels": _shares(levels)}
    with progress_bar("reading") as progress:
        found = bp.scan(
            bp.Checkpoint.open(source, revision=revision), calibration,
            granularity=parse_names([granularity], "--granularity"), method=method, reconstruct=reconstruct,
            seed=seed, file=file, progress=progress, **given,
        )  # fmt: skip
    if figure is not None:
        _draw(found, figure)
    if json:
        print_json(found.model_dump(mode="json", exclude_none=True))
    else:
        print(found.to_text())


def _shares(text: str) -> list[float]:
    try:
        return [float(share) for share in parse_names([text], "--levels")]
    except ValueError:
        raise RecipeError(
            "--levels {given!r}: give shares above 0 and at most 1, such as 0.25,0.5",
            code="cli.levels", given=shortened(text),
        ) from None  # fmt: skip


def _draw(found: "bp.Scan", path: Path) -> None:
    check_regular(path, DataError)
    try:
        path.write_bytes(bp.figures.png(found.figure()))
    except OSError as error:
        raise DataError(
            "{file} cannot be written: {reason}", code="cli.figure", file=name_of(path), reason=reason_of(error)
        ) from None


COMMANDS = {"scan": scan}

"""The command that measures what each part of a model bears."""

from pathlib import Path
from typing import Annotated, Any

import typer

import bertprune as bp

from ..errors import RecipeError, shortened
from .console import print_json, progress_bar
from .options import CheckpointName, Json, MethodFiles, Revision, Seed, load_methods, path_option, with_recipe_flags
from .pictures import Picture, check_picture, write_picture
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
    figure: Picture = None,
    methods_file: MethodFiles = None,
    seed: Seed = 0,
    json: Json = False,
    revision: Revision = None,
) -> None:
    """Measure what each part of a model bears, pruned alone."""
    load_methods(methods_file)
    check_picture(figure)
    given: dict[str, Any] = {} if levels is None else {"levels": _shares(levels)}
    with progress_bar("reading") as progress:
        found = bp.scan(
            bp.Checkpoint.open(source, revision=revision), calibration,
            granularity=parse_names([granularity], "--granularity"), method=method, reconstruct=reconstruct,
            seed=seed, file=file, progress=progress, **given,
        )  # fmt: skip
    write_picture(found.figure, figure)
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


COMMANDS = {"scan": scan}

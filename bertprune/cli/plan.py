"""The command that turns a budget into a recipe."""

from json import loads as loads_json
from pathlib import Path
from typing import Annotated, Any

import typer

import bertprune as bp

from ..errors import RecipeError
from ..files import check_place
from .console import Table, print_json, progress_bar
from .options import CheckpointName, Json, Revision, Seed, path_option, with_recipe_flags


def _budget(flag: str, metavar: str, text: str) -> Any:
    panel = "A budget, one of these"
    return typer.Option(flag, metavar=metavar, help=text, rich_help_panel=panel, show_default=False)


@with_recipe_flags
def plan(
    source: CheckpointName,
    calibration: Any,
    macs: Annotated[float | None, _budget("--macs", "SHARE", "Of the encoder's multiply-accumulates.")] = None,
    sparsity: Annotated[float | None, _budget("--sparsity", "SHARE", "Of the weights in the layers that go.")] = None,
    bytes_: Annotated[int | None, _budget("--bytes", "N", "Of the file of the weights in the small form.")] = None,
    drift: Annotated[float | None, _budget("--drift", "D", "How far the answers may drift.")] = None,
    loads: Annotated[
        str, typer.Option("--loads", metavar="any|plain", help="What loads the small form: plain transformers alone.")
    ] = "any",
    out: Annotated[Path | None, path_option("--out", "FILE", "The recipe to write, YAML or JSON.")] = None,
    rounds: Annotated[int, typer.Option("--rounds", min=0, help="How often the best allocation is changed.")] = 4,
    seconds: Annotated[
        float | None, typer.Option("--seconds", help="Try no more changes after so long.", show_default=False)
    ] = None,
    seed: Seed = 0,
    json: Json = False,
    revision: Revision = None,
) -> None:
    """Turn a budget into a recipe, and say what it will give."""
    check_place(out, RecipeError)
    with progress_bar("reading") as progress:
        from ..plans.budget import check_loads  # loads torch

        kind = check_loads(loads)
        recipe = bp.plan(
            bp.Checkpoint.open(source, revision=revision), macs=macs, sparsity=sparsity, bytes=bytes_, drift=drift,
            calibration=calibration, loads=kind, seed=seed, rounds=rounds, seconds=seconds, progress=progress,
        )  # fmt: skip
    if out is not None:
        recipe.save(out)
    if json:
        print_json(loads_json(recipe.to_json()))
        return
    Table.of(("", "step"), list(enumerate(recipe.steps, 1)), numbers=("",)).print()
    print(f"forecast: {recipe.forecast}")
    if out is not None:
        print(f"wrote {out}")


COMMANDS = {"plan": plan}

"""Commands that prune and write: preview, prune, export."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import ExportError
from ..parallel import Progress
from ..recipe import Recipe
from .arguments import Json, Overwrite, Revision, Seed, Source, open_checkpoint
from .bar import progress_bar
from .console import Table, bytes_of, percent, print_json
from .options import needed, with_recipe

if TYPE_CHECKING:
    from ..exports.write import ExportResult
    from ..runs.run import PruningRun

FormName = Annotated[
    str,
    typer.Option("--form", metavar="baked|masked", help="Plain weights that load anywhere, or hooks and masks kept."),
]


@with_recipe
def preview(source: Source, recipe: Recipe | None, json: Json = False, revision: Revision = None) -> None:
    """Show what a recipe matches and what would go; reads no weight."""
    recipe = needed(recipe)
    with progress_bar("reading"):
        from ..runs.run import preview as look_ahead

        seen = look_ahead(open_checkpoint(source, revision), recipe)
    if json:
        print_json(seen.to_dict())
        return
    columns = ("step", "tensors", "weights", "goes at least", "goes at most")
    rows = [
        (at, step.step, len(step.targets), f"{step.weights:,}", f"{step.removed[0]:,}", f"{step.removed[1]:,}")
        for at, step in enumerate(seen.steps, 1)
    ]
    Table.of(("", *columns), rows, numbers=columns[1:]).print()


@with_recipe
def prune(
    source: Source,
    recipe: Recipe | None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="The folder to write.", show_default=False)
    ] = None,
    seed: Seed = 0,
    form: FormName = "baked",
    overwrite: Overwrite = False,
    as_python: Annotated[
        bool, typer.Option("--as-python", help="Print a script that does the same; --out may then be left out.")
    ] = False,
    ours: Annotated[
        bool, typer.Option("--ours", help="With --as-python: in bertprune rather than plain torch.")
    ] = False,
    json: Json = False,
    revision: Revision = None,
) -> None:
    """Prune a checkpoint and write the result as a folder."""
    recipe = needed(recipe)
    if out is None and not as_python:
        raise ExportError("nowhere to write to: give --out DIR (or --as-python for a script alone)")
    if ours and not as_python:
        raise ExportError("--ours: says how --as-python is to be written; give both, or neither")
    if json and as_python:
        raise ExportError("--json and --as-python: both print to the same place; give one of them")
    with progress_bar("reading") as progress:
        run, result = _prune(source, revision, recipe, seed, out, form, overwrite, progress)
    if as_python:
        print(run.as_python(ours), end="")
    elif json:
        print_json(_summary(run, result))
    else:
        _show(run, result)


def _prune(
    source: str,
    revision: str | None,
    recipe: Recipe,
    seed: int,
    out: Path | None,
    form: str,
    overwrite: bool,
    progress: Progress,
) -> "tuple[PruningRun, ExportResult | None]":
    from ..exports.write import export, form_of, refuse
    from ..runs.run import prune as run_recipe

    checkpoint, kind = open_checkpoint(source, revision), form_of(form)
    if out is not None:
        refuse(checkpoint, out, overwrite)  # before the long work, not after it
    half = 0.5 if out else 1.0
    run = run_recipe(checkpoint, recipe, seed, progress=lambda share, words: progress(half * share, words))
    if out is None:
        return run, None
    return run, export(run, out, kind, overwrite, progress=lambda share, words: progress(half + half * share, words))


def _summary(run: "PruningRun", result: "ExportResult | None") -> dict[str, Any]:
    steps = [
        {
            "step": str(done.step),
            "tensors": len(done.tensors),
            "alive_before": done.alive_before,
            "removed": done.removed,
        }
        for done in run.steps
    ]
    return {
        "checkpoint": run.checkpoint.name,
        "seed": run.seed,
        "steps": steps,
        "sparsity": run.report.to_dict(),
        "export": result and written(result),
    }


def written(result: "ExportResult") -> dict[str, Any]:
    """Say what was written as plain data."""
    return {
        "path": str(result.path),
        "form": result.form,
        "bytes": result.bytes,
        "files": result.files,
        "checked": result.checked,
    }


def _show(run: "PruningRun", result: "ExportResult | None") -> None:
    columns = ("step", "tensors", "alive before", "removed")
    rows = [(done.step, len(done.tensors), f"{done.alive_before:,}", f"{done.removed:,}") for done in run.steps]
    Table.of(columns, rows, numbers=columns[1:]).print()
    total = run.report.total
    print(f"masked {total.masked:,} of {total.size:,} in the pruned tensors ({percent(total.sparsity)})")
    if result is not None:
        show_written(result)


def show_written(result: "ExportResult") -> None:
    """Tell what was written, and how large it really is."""
    print(
        f"wrote {result.path} ({result.form}): {bytes_of(result.bytes)}, {result.checked} tensors read back and equal"
    )
    for name, size in result.files.items():
        print(f"  {name}: {bytes_of(size)}")


def export(
    masked: Annotated[Path, typer.Argument(metavar="MASKED", help="A folder in masked form.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The folder to write.")],
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Turn a masked folder into a baked one, which loads anywhere."""
    with progress_bar("reading") as progress:
        from ..checkpoint.masked import is_masked
        from ..exports.write import export_folder

        if not is_masked(masked):
            raise ExportError(f"{masked}: not a folder in masked form; `bertprune prune --form masked` writes one")
        result = export_folder(masked, out, overwrite=overwrite, progress=progress)
    if json:
        print_json(written(result))
    else:
        show_written(result)


COMMANDS = {"preview": preview, "prune": prune, "export": export}

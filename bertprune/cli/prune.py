"""Commands that prune and write: preview, prune, export."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import bertprune as bp

from ..errors import ExportError
from ..parallel import part_of
from ..recipe import Recipe
from .console import Table, byte_size, percent, print_json, print_run_notes, print_script, progress_bar
from .options import CheckpointName, Json, Overwrite, Revision, Seed, require, with_recipe_flags
from .values import parse_path, parse_source

if TYPE_CHECKING:
    from ..exports.write import ExportResult
    from ..pruning.preview import StepPreview

_LOADER = {
    "plain": "transformers alone",
    "bertprune": "transformers and bertprune beside it",
    "anywhere": "onnxruntime",
}
"""What a model loads with, in words."""

FormName = Annotated[
    str,
    typer.Option(
        "--form",
        metavar="baked|masked|small|onnx",
        help="Plain weights that load anywhere, weights with hooks and masks, smaller matrices, or these as ONNX.",
    ),
]
DtypeName = Annotated[
    str | None,
    typer.Option(
        "--dtype",
        metavar="float32|float16|bfloat16",
        help="The dtype of the weights; the source's if left out.",
        show_default=False,
    ),
]
QuantizeName = Annotated[
    str | None, typer.Option("--quantize", metavar="int8", help="With --form onnx: in 8 bits.", show_default=False)
]


@with_recipe_flags
def preview(source: CheckpointName, recipe: Recipe | None, json: Json = False, revision: Revision = None) -> None:
    """Show what a recipe would prune; reads no weights."""
    recipe = require(recipe)
    with progress_bar("reading"):
        found = bp.preview(bp.Checkpoint.open(source, revision=revision), recipe)
    if json:
        print_json(found.to_dict())
        return
    columns = ("step", "tensors", "weights", "pruned at least", "pruned at most")
    rows = [
        (at, step.step, len(step.targets), f"{step.weights:,}", f"{step.removed[0]:,}", f"{step.removed[1]:,}")
        for at, step in enumerate(found.steps, 1)
    ]
    Table.of(("", *columns), rows, numbers=columns[1:]).print()
    if found.loads and any(map(_is_smaller, found.steps)):
        print(f"exported with --form small it loads with {_LOADER[found.loads]}")
    if any(step.needs_texts for step in found.steps):
        print("needs calibration texts: give prune --calibrate FILE (the demos bring their own)")


def _is_smaller(seen: "StepPreview") -> bool:
    """Return whether a step prunes what the small form takes out."""
    return seen.step.granularity in ("neuron", "head") or bp.methods()[seen.step.method].removes != "element"


@with_recipe_flags
def prune(
    source: CheckpointName,
    recipe: Recipe | None,
    calibration: Any,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="The folder to write.", show_default=False, parser=parse_path),
    ] = None,
    seed: Seed = 0,
    form: FormName = "baked",
    dtype: DtypeName = None,
    quantize: QuantizeName = None,
    overwrite: Overwrite = False,
    as_python: Annotated[
        bool, typer.Option("--as-python", help="Print a script that does the same; --out is then optional.")
    ] = False,
    ours: Annotated[
        bool, typer.Option("--ours", help="With --as-python: use bertprune rather than plain torch.")
    ] = False,
    json: Json = False,
    revision: Revision = None,
) -> None:
    """Prune a checkpoint and write the result as a folder."""
    recipe = require(recipe)
    _check_outputs(out, as_python, ours, json)
    with progress_bar("reading") as progress:
        from ..exports.folder import check_target
        from ..exports.precision import check_precision
        from ..exports.write import check_form

        checkpoint, kind = bp.Checkpoint.open(source, revision=revision), check_form(form)
        precision = check_precision(kind, dtype, quantize, None)
        if out is not None:
            check_target(out, overwrite, checkpoint.paths)  # before the long work
        half = 0.5 if out else 1.0
        run = bp.prune(checkpoint, recipe, seed, calibration=calibration, progress=part_of(progress, 0.0, half))
        result = None
        if out is not None:
            result = bp.export(
                run, out, kind, overwrite, part_of(progress, half, 1.0),
                dtype=precision.dtype, quantize=precision.quantize, texts=calibration if precision.drifts else None,
            )  # fmt: skip
    print_run_notes(run)
    if as_python:
        print_script(run.as_python(ours))
    elif json:
        print_json(_summary(run, result))
    else:
        _print_steps(run)
        if result is not None:
            _print_export(result)


def _check_outputs(out: Path | None, as_python: bool, ours: bool, json: bool) -> None:
    """Refuse flags that leave nothing to do or contradict each other. Raises ExportError."""
    if out is None and not as_python:
        raise ExportError("no output folder: give --out DIR (or --as-python for a script only)", code="cli.no_out")
    if ours and not as_python:
        raise ExportError("--ours changes what --as-python prints; give both, or neither", code="cli.ours_alone")
    if json and as_python:
        raise ExportError("--json and --as-python both print to stdout; give one of them", code="cli.two_outputs")


def _summary(run: "bp.PruningRun", result: "ExportResult | None") -> dict[str, Any]:
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
        "notes": list(run.notes),
        "sparsity": run.report.to_dict(),
        "export": result and _written(result),
    }


def _written(result: "ExportResult") -> dict[str, Any]:
    return {
        "path": str(result.path),
        "form": result.form,
        "bytes": result.bytes,
        "files": result.files,
        "checked": result.checked,
        "loads": result.loads,
        "drift": result.drift and asdict(result.drift),
    }


def _print_steps(run: "bp.PruningRun") -> None:
    columns = ("step", "tensors", "alive before", "pruned")
    rows = [(done.step, len(done.tensors), f"{done.alive_before:,}", f"{done.removed:,}") for done in run.steps]
    Table.of(columns, rows, numbers=columns[1:]).print()
    total = run.report.total
    if not total.size:  # only layers or tokens, which are gone
        print(f"the model has {run.report.model.size:,} parameters left")
        return
    print(f"pruned {total.masked:,} of {total.size:,} weights in the selected tensors ({percent(total.sparsity)})")


def _print_export(result: "ExportResult") -> None:
    equal = f"{result.checked} tensors read back, all equal" if result.checked else "run by onnxruntime, and compared"
    print(f"wrote {result.path} ({result.form}): {byte_size(result.bytes)}; {equal}")
    if result.drift is not None:
        print(f"drift of its answers: {result.drift}")
    if result.form in ("small", "onnx") or result.loads != "plain":
        print(f"loads with {_LOADER[result.loads]}")
    for name, bytes_ in result.files.items():
        print(f"  {name}: {byte_size(bytes_)}")


def export(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A model with its masks; any for small, onnx and --dtype.",
            parser=parse_source,
        ),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The folder to write.", parser=parse_path)],
    form: FormName = "baked",
    dtype: DtypeName = None,
    quantize: QuantizeName = None,
    texts: Annotated[
        Path | None,
        typer.Option(
            "--texts",
            metavar="FILE",
            help="Texts to tell the drift of int8 or half precision.",
            show_default=False,
            parser=parse_path,
        ),
    ] = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Write a model in another form or precision."""
    with progress_bar("reading") as progress:
        from ..exports.precision import check_precision
        from ..exports.write import check_form

        kind = check_form(form)
        given = check_precision(kind, dtype, quantize, texts)
        result = bp.export(
            source, out, kind, overwrite, progress, dtype=given.dtype, quantize=given.quantize, texts=given.texts
        )
    if json:
        print_json(_written(result))
    else:
        _print_export(result)


COMMANDS = {"preview": preview, "prune": prune, "export": export}

"""Commands that measure what pruning cost and gained: on a file of texts, on one sentence, and in time."""

from typing import Annotated, Any

import typer

import bertprune as bp

from ..recipe import Recipe
from .console import print_json, print_run_notes, progress_bar
from .options import (
    CheckpointName,
    DataFile,
    Json,
    LabelColumn,
    Limit,
    PairColumn,
    Revision,
    Sample,
    Seed,
    TextColumn,
    with_recipe_flags,
)
from .values import parse_source

Baseline = Annotated[
    str | None,
    typer.Option(
        "--baseline", metavar="SOURCE", help="The checkpoint to compare with.", show_default=False, parser=parse_source
    ),
]
Tokenizer = Annotated[
    str | None,
    typer.Option(
        "--tokenizer",
        metavar="SOURCE",
        help="A checkpoint whose tokenizer to use.",
        show_default=False,
        parser=parse_source,
    ),
]
MaxLength = Annotated[
    int | None, typer.Option("--max-length", min=1, help="Cut texts after this many tokens.", show_default=False)
]


def evaluate(
    source: CheckpointName,
    data: DataFile,
    baseline: Baseline = None,
    tokenizer: Tokenizer = None,
    text: TextColumn = None,
    text_pair: PairColumn = None,
    label: LabelColumn = None,
    limit: Limit = None,
    sample: Sample = None,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Texts per batch.")] = 64,
    max_length: MaxLength = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Measure what pruning cost, on the same texts before and after."""
    with progress_bar("reading") as progress:
        report = bp.evaluate(
            source,
            data,
            baseline=baseline,
            tokenizer=tokenizer,
            text=text,
            text_pair=text_pair,
            label=label,
            limit=limit,
            sample=sample,
            seed=seed,
            batch_size=batch_size,
            max_length=max_length,
            progress=progress,
        )
    _print(report, json)


@with_recipe_flags
def try_text(
    source: CheckpointName,
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help="A sentence; put the mask token where a word is to be guessed.")
    ],
    recipe: Recipe | None,
    calibration: Any,
    pair: Annotated[
        str | None, typer.Option("--pair", metavar="TEXT", help="A second sentence.", show_default=False)
    ] = None,
    baseline: Baseline = None,
    tokenizer: Tokenizer = None,
    top: Annotated[int, typer.Option("--top", min=1, max=100, help="Candidates for each blank.")] = 5,
    max_length: MaxLength = None,
    seed: Seed = 0,
    json: Json = False,
    revision: Revision = None,
) -> None:
    """Try one sentence on the model before and after pruning."""
    with progress_bar("reading") as progress:
        checkpoint = bp.Checkpoint.open(source, revision=revision)
        pruned = (
            None if recipe is None else bp.prune(checkpoint, recipe, seed, calibration=calibration, progress=progress)
        )
        report = bp.try_text(
            pruned or checkpoint,
            text,
            text_pair=pair,
            baseline=baseline,
            tokenizer=tokenizer,
            top=top,
            max_length=max_length,
        )
    if pruned is not None:
        print_run_notes(pruned)
    _print(report, json)


def speed(
    source: CheckpointName,
    against: Annotated[
        str | None,
        typer.Option(
            "--against", metavar="OTHER", help="The model to compare with.", show_default=False, parser=parse_source
        ),
    ] = None,
    texts: Annotated[
        str | None,
        typer.Option(
            "--texts",
            metavar="FILE",
            help='Texts to time, or "samples"; made-up ones if left out.',
            show_default=False,
            parser=parse_source,
        ),
    ] = None,
    tokenizer: Tokenizer = None,
    rounds: Annotated[int, typer.Option("--rounds", min=2, help="How often each model runs each batch.")] = 30,
    json: Json = False,
) -> None:
    """Measure size and speed, beside another model on the same texts."""
    with progress_bar("reading") as progress:
        report = bp.speed(source, against=against, texts=texts, tokenizer=tokenizer, rounds=rounds, progress=progress)
    _print(report, json)


def _print(report: "bp.QualityReport | bp.SpeedReport | bp.TextReport", json: bool) -> None:
    if json:
        print_json(report.to_dict())
    else:
        print(report.to_text())


COMMANDS = {"evaluate": evaluate, "speed": speed, "try": try_text}

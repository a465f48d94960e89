"""Commands that measure what pruning cost: on a file of texts, and on one sentence."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

import bertprune as bp

from ..recipe import Recipe
from .console import print_json, progress_bar
from .options import Json, Revision, Seed, open_source, with_recipe_flags

if TYPE_CHECKING:
    from ..checkpoint.masked import MaskedFolder

Pruned = Annotated[str, typer.Argument(metavar="SOURCE", help="A folder from `bertprune prune`, or a checkpoint.")]
Baseline = Annotated[
    str | None,
    typer.Option("--baseline", metavar="SOURCE", help="The checkpoint to compare with.", show_default=False),
]
Tokenizer = Annotated[
    str | None,
    typer.Option("--tokenizer", metavar="SOURCE", help="A checkpoint whose tokenizer to use.", show_default=False),
]
MaxLength = Annotated[
    int | None, typer.Option("--max-length", min=1, help="Cut texts after this many tokens.", show_default=False)
]

Report = TypeVar("Report", "bp.QualityReport", "bp.TextReport")


def _column(flag: str, what: str) -> Any:
    text = f"The column with the {what}, where its name is unusual."
    return typer.Option(flag, metavar="COLUMN", help=text, show_default=False)


def evaluate(
    source: Pruned,
    data: Annotated[
        str, typer.Option("--data", metavar="FILE", help="CSV, TSV or JSONL with texts, or the word samples.")
    ],
    baseline: Baseline = None,
    tokenizer: Tokenizer = None,
    text: Annotated[str | None, _column("--text", "texts")] = None,
    text_pair: Annotated[str | None, _column("--text-pair", "second texts")] = None,
    label: Annotated[str | None, _column("--label", "labels")] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Use only the first rows.", show_default=False)
    ] = None,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Texts per batch.")] = 64,
    max_length: MaxLength = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Measure what pruning cost, on the same texts before and after."""
    with progress_bar("reading") as progress:
        after, before = open_source(source), _open_baseline(baseline)
        report = bp.evaluate(
            _model(after),
            data,
            baseline=_model(before),
            tokenizer=tokenizer or _tokenizer(after),
            text=text,
            text_pair=text_pair,
            label=label,
            limit=limit,
            seed=seed,
            batch_size=batch_size,
            max_length=max_length,
            progress=progress,
        )
    _print(_named(report, after, before), json)


@with_recipe_flags
def try_text(
    source: Pruned,
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help="A sentence; put the mask token where a word is to be guessed.")
    ],
    recipe: Recipe | None,
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
        after: Any
        before = _open_baseline(baseline)
        if recipe is None:
            after = open_source(source, revision)
        else:
            checkpoint = bp.Checkpoint.open(source, revision=revision)
            after = bp.prune(checkpoint, recipe, seed, progress=progress)
        report = bp.try_text(
            _model(after),
            text,
            text_pair=pair,
            baseline=_model(before),
            tokenizer=tokenizer or _tokenizer(after),
            top=top,
            max_length=max_length,
        )
    _print(_named(report, after, before), json)


def _open_baseline(baseline: str | None) -> "bp.Checkpoint | MaskedFolder | None":
    return None if baseline is None else open_source(baseline)


def _is_masked(opened: Any) -> bool:
    """Return whether a source is a masked export."""
    return opened is not None and not isinstance(opened, bp.Checkpoint | bp.PruningRun)


def _model(opened: Any) -> Any:
    return opened.model() if _is_masked(opened) else opened


def _tokenizer(opened: Any) -> Any:
    return opened.checkpoint.tokenizer() if _is_masked(opened) else None


def _named(report: Report, after: Any, before: Any) -> Report:
    """Put the names of masked exports into a report, which knows only the classes of their models."""
    names = {"after_name": after, "before_name": before}
    return replace(report, **{field: one.checkpoint.name for field, one in names.items() if _is_masked(one)})


def _print(report: "bp.QualityReport | bp.TextReport", json: bool) -> None:
    if json:
        print_json(report.to_dict())
    else:
        print(report.to_text())


COMMANDS = {"evaluate": evaluate, "try": try_text}

"""Commands that tell what pruning cost: on many texts, and on one of one's own."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..recipe import Recipe
from .arguments import Json, Revision, Seed, open_checkpoint, open_model
from .bar import progress_bar
from .console import print_json
from .options import with_recipe

if TYPE_CHECKING:
    from ..evaluation.quality import QualityReport

Pruned = Annotated[str, typer.Argument(metavar="SOURCE", help="What `bertprune prune` wrote, or a checkpoint.")]
Baseline = Annotated[
    str | None, typer.Option("--baseline", metavar="SOURCE", help="What to compare with.", show_default=False)
]
Tokenizer = Annotated[
    str | None, typer.Option("--tokenizer", metavar="SOURCE", help="Another tokenizer.", show_default=False)
]
MaxLength = Annotated[
    int | None, typer.Option("--max-length", min=1, help="Tokens after which texts are cut.", show_default=False)
]


def _column(name: str, what: str) -> Any:
    return typer.Option(
        name, metavar="COLUMN", help=f"The column with {what}, if called unusually.", show_default=False
    )


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
        int | None, typer.Option("--limit", min=1, help="The first rows only.", show_default=False)
    ] = None,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Texts a batch.")] = 64,
    max_length: MaxLength = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Measure what pruning cost, on the same texts before and after."""
    columns = {"text": text, "text_pair": text_pair, "label": label}
    rest = {"limit": limit, "batch_size": batch_size, "max_length": max_length, "seed": seed}
    report = _evaluate(source, data, baseline, tokenizer, {**columns, **rest})
    if json:
        print_json(report.to_dict())
    else:
        print(report.to_text())


def _evaluate(
    source: str, data: str, baseline: str | None, tokenizer: str | None, options: dict[str, Any]
) -> "QualityReport":
    with progress_bar("reading") as progress:
        from ..evaluation.quality import evaluate as measure

        model, tokenizer = _opened(source, None, tokenizer)
        before = _compared(baseline)
        report = measure(model, data, baseline=before, tokenizer=tokenizer, progress=progress, **options)
    return replace(report, **_names(source, baseline))


def _opened(source: str, revision: str | None, tokenizer: Any) -> tuple[Any, Any]:
    """Open a checkpoint, or a masked folder's model with its own tokenizer; only a checkpoint has a revision."""
    from ..checkpoint.masked import is_masked, open_masked

    if revision is not None or not is_masked(source):
        return open_checkpoint(source, revision), tokenizer
    opened = open_masked(source)
    return opened.model(), tokenizer or opened.checkpoint.tokenizer()


def _compared(baseline: str | None) -> Any:
    from ..checkpoint.masked import is_masked

    return open_model(baseline, None) if baseline and is_masked(baseline) else baseline


def _names(source: str, baseline: str | None) -> dict[str, Any]:
    """Name masked folders, whose models are handed over bare, in a report."""
    from ..checkpoint.masked import is_masked

    said = {"after_name": source, "before_name": baseline}
    return {field: Path(folder).name for field, folder in said.items() if folder and is_masked(folder)}


@with_recipe
def try_text(
    source: Pruned,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="A sentence; with the mask token to fill a blank in.")],
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
    """Ask both models about a sentence of your own."""
    with progress_bar("reading") as progress:
        from ..evaluation.sentence import try_text as ask

        model: Any
        if recipe is not None:
            from ..runs.run import prune

            model = prune(open_checkpoint(source, revision), recipe, seed, progress=progress)
        else:
            model, tokenizer = _opened(source, revision, tokenizer)
        before = _compared(baseline)
        report = ask(model, text, text_pair=pair, baseline=before, tokenizer=tokenizer, top=top, max_length=max_length)
    report = replace(report, **_names(source, baseline))
    if json:
        print_json(report.to_dict())
    else:
        print(report.to_text())


COMMANDS = {"evaluate": evaluate, "try": try_text}

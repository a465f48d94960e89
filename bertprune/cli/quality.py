"""The command that tells what pruning cost."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from .arguments import Json, Seed, open_checkpoint, open_model
from .bar import progress_bar
from .output import print_json

if TYPE_CHECKING:
    from ..evaluation.quality import QualityReport

Pruned = Annotated[str, typer.Argument(metavar="SOURCE", help="What `bertprune prune` wrote, or a checkpoint.")]


def _column(name: str, what: str) -> Any:
    return typer.Option(
        name, metavar="COLUMN", help=f"The column with {what}, if called unusually.", show_default=False
    )


def evaluate(
    source: Pruned,
    data: Annotated[
        str, typer.Option("--data", metavar="FILE", help="CSV, TSV or JSONL with texts, or the word samples.")
    ],
    baseline: Annotated[
        str | None, typer.Option("--baseline", metavar="SOURCE", help="What to compare with.", show_default=False)
    ] = None,
    tokenizer: Annotated[
        str | None, typer.Option("--tokenizer", metavar="SOURCE", help="Another tokenizer.", show_default=False)
    ] = None,
    text: Annotated[str | None, _column("--text", "texts")] = None,
    text_pair: Annotated[str | None, _column("--text-pair", "second texts")] = None,
    label: Annotated[str | None, _column("--label", "labels")] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="The first rows only.", show_default=False)
    ] = None,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Texts a batch.")] = 64,
    max_length: Annotated[
        int | None, typer.Option("--max-length", min=1, help="Tokens after which texts are cut.", show_default=False)
    ] = None,
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
        from ..exports.masked import is_masked, open_masked

        before: Any = open_model(baseline, None) if baseline and is_masked(baseline) else baseline
        if not is_masked(source):
            model: Any = open_checkpoint(source, None)
            return measure(model, data, baseline=before, tokenizer=tokenizer, progress=progress, **options)
        opened = open_masked(source)
        chosen = tokenizer or opened.checkpoint.tokenizer()
        model = opened.model()
        return measure(model, data, baseline=before, tokenizer=chosen, progress=progress, **options)


COMMANDS = {"evaluate": evaluate}

"""The command line of the demo's training."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import torch
import typer

from demo_training.data import read_reviews
from demo_training.smoke import smoke
from demo_training.stages import Settings, run, with_epochs

SAMPLES = Path(__file__).resolve().parent.parent / "bertprune" / "demo" / "samples.csv"
OUT = Path("build/demo")


def main(
    data: Annotated[
        Path | None,
        typer.Option(help="Reviews: document<TAB>label, with a header line.", exists=True, dir_okay=False),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the checkpoints and the training state.")] = OUT,
    smoke_only: Annotated[bool, typer.Option("--smoke", help="Run everything in seconds on synthetic data.")] = False,
    threads: Annotated[int, typer.Option(help="Number of torch threads.")] = 1,
    seed: Annotated[int, typer.Option(help="Seed of the split, the weights and the batches.")] = 0,
    mlm_epochs: Annotated[float, typer.Option(help="Epochs of masked-language pre-training.")] = 3,
    epochs: Annotated[float, typer.Option(help="Epochs of fine-tuning.")] = 2,
) -> None:
    """Train the demo checkpoints from labelled reviews; an interrupted run resumes when it is started again."""
    torch.set_num_threads(threads)
    settings = Settings(out=out, seed=seed, samples=SAMPLES if SAMPLES.exists() else None)
    settings = with_epochs(settings, mlm_epochs, epochs)
    if smoke_only:
        with TemporaryDirectory() as folder:
            smoke(replace(settings, out=_smoke_folder(out, Path(folder))))
    elif data:
        run(settings, read_reviews(data))
    else:
        raise typer.BadParameter("give --data, or --smoke to run without data", param_hint="--data")


def _smoke_folder(out: Path, temporary: Path) -> Path:
    """Choose where a smoke run writes: a temporary folder unless a new one is given, never over a real run's files."""
    if out == OUT:
        return temporary
    if out.exists() and any(out.iterdir()):
        raise typer.BadParameter(f"{out} contains files; a smoke run needs a new folder", param_hint="--out")
    return out

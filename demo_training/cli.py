"""The command line of the training."""

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
        typer.Option(help="Reviews: document<TAB>label, below a header.", exists=True, dir_okay=False),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the checkpoints and the state of the run.")] = OUT,
    smoke_only: Annotated[bool, typer.Option("--smoke", help="Try everything in seconds, no data.")] = False,
    threads: Annotated[int, typer.Option(help="Threads that torch may use.")] = 1,
    seed: Annotated[int, typer.Option(help="Seed of the split, the weights and the order.")] = 0,
    mlm_epochs: Annotated[float, typer.Option(help="Epochs of masked-language pre-training.")] = 3,
    epochs: Annotated[float, typer.Option(help="Epochs of fine-tuning.")] = 2,
) -> None:
    """Train the demo checkpoints from labelled reviews; a killed run goes on when started again."""
    torch.set_num_threads(threads)
    settings = Settings(out=out, seed=seed, samples=SAMPLES if SAMPLES.exists() else None)
    settings = with_epochs(settings, mlm_epochs, epochs)
    if smoke_only:
        with TemporaryDirectory() as folder:
            smoke(replace(settings, out=_for_smoke(out, Path(folder))))
    elif data:
        run(settings, read_reviews(data))
    else:
        raise typer.BadParameter("give --data, or --smoke to try without", param_hint="--data")


def _for_smoke(out: Path, passing: Path) -> Path:
    """Choose where a smoke run writes: nowhere lasting unless a folder is given, and never among a real run's files."""
    if out == OUT:
        return passing
    if out.exists() and any(out.iterdir()):
        raise typer.BadParameter(f"{out} holds files; a smoke run wants a new folder", param_hint="--out")
    return out

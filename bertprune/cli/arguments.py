"""Arguments and options that several commands share, and what they open."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from torch import nn

    from ..checkpoint import Checkpoint

Source = Annotated[str, typer.Argument(metavar="SOURCE", help="A checkpoint: demo, a folder, a file or a Hub id.")]
Either = Annotated[str, typer.Argument(metavar="SOURCE", help="A checkpoint, or what `bertprune prune` wrote.")]
Revision = Annotated[
    str | None, typer.Option("--revision", help="A branch, tag or commit of a Hub id.", show_default=False)
]
Seed = Annotated[int, typer.Option("--seed", help="The seed of everything random.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an earlier export at the same place.")]


def open_checkpoint(source: str, revision: str | None) -> "Checkpoint":
    """Open a checkpoint by its headers. Raises CheckpointError."""
    from ..checkpoint import Checkpoint

    return Checkpoint.open(source, revision=revision)


def open_model(source: str, revision: str | None) -> "nn.Module":
    """Load a checkpoint's model, or an export's with its hooks and masks. Raises CheckpointError."""
    return open_noted(source, revision)[0]


def open_noted(source: str, revision: str | None) -> "tuple[nn.Module, tuple[str, ...]]":
    """Load a model together with what the reader should know of where it comes from. Raises CheckpointError."""
    from ..checkpoint.masked import is_masked, open_masked

    if is_masked(source):
        return open_masked(source).model(), ()
    checkpoint = open_checkpoint(source, revision)
    return checkpoint.model(), checkpoint.facts.notes


def open_skeleton(source: str, revision: str | None) -> "nn.Module":
    """Get a model to look at whose weights nobody needs; reads headers only where that is enough."""
    from ..checkpoint.masked import is_masked, open_masked

    return open_masked(source).model() if is_masked(source) else open_checkpoint(source, revision).skeleton()

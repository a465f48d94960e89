"""The command that pushes an export to the Hugging Face Hub."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

import bertprune as bp

from ..errors import first_names
from .console import byte_size, print_json, print_note, progress_bar
from .options import Json
from .values import parse_path


def push(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="An export, or what save_pretrained wrote.", parser=parse_path)
    ],
    repository: Annotated[str, typer.Argument(metavar="ORG/NAME", help="The name on the Hub; yours or an org's.")],
    private: Annotated[bool, typer.Option("--private", help="Create a private repository.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what a repository of that name holds.")
    ] = False,
    json: Json = False,
) -> None:
    """Push an export to the Hub with your own login."""
    with progress_bar("reading") as progress:
        from ..checkpoint.loading import quietly  # loads torch

        with quietly():  # the Hub's client has bars of its own
            result = bp.push(folder, repository, private=private, overwrite=overwrite, progress=progress)
    if json:
        print_json({**asdict(result), "bytes": result.bytes})
        return
    kind = "private" if result.private else "public"
    print(f"pushed {len(result.files)} files, {byte_size(result.bytes)}, to {result.address} ({kind})")
    if result.left_out:
        print_note(f"note: not part of the model, so not pushed: {first_names(result.left_out)}")
    if result.removed:
        print_note(f"note: no longer there, but in the history: {first_names(result.removed)}")


COMMANDS = {"push": push}

"""All commands by their names."""

from typing import Annotated

import typer

from .. import __version__
from . import evaluate, inspect, page, prune

_ABOUT = "Prune BERT and its relatives: choose, mask, rank, report, evaluate, export."
_SOURCES = "SOURCE is demo, demo-mlm, kobert-shape, a folder, a .safetensors file beside its config.json, or a Hub id."


def _version(wanted: bool) -> None:
    if wanted:
        print(f"bertprune {__version__}")
        raise typer.Exit


def assemble(pretty: bool) -> typer.Typer:
    """Build the command line; `pretty` draws the help with rich, for terminals."""
    shell = typer.Typer(
        help=_ABOUT,
        epilog=_SOURCES,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="rich" if pretty else None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @shell.callback()
    def root(
        version: Annotated[
            bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
        ] = False,
    ) -> None:
        pass

    for module in (inspect, prune, evaluate, page):
        for name, command in module.COMMANDS.items():
            shell.command(name)(command)
    return shell

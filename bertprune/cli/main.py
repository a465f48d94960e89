"""Run the command line; anything wrong with the input becomes one line on stderr and exit code 2."""

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import typer

import bertprune

from ..errors import BertpruneError, BertpruneWarning
from . import evaluate, inspect, page, plan, prune, push, scan, sweep
from .console import print_note
from .streams import Stream, safe_streams

# typer's and click's usage errors share one base class, which older typers take from click and newer ones define
_UsageError: Any = typer.BadParameter.__mro__[2]

_ABOUT = "Prune BERT and its relatives: choose, mask, rank, report, evaluate, export."
_SOURCES = "SOURCE is demo, demo-mlm, kobert-shape, a folder, a .safetensors file next to its config.json, or a Hub id."
_NOT_WRITTEN, _WRONG_INPUT, _INTERRUPTED = 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 output not written, 2 wrong input, 130 interrupted."""
    with safe_streams() as out, _one_line_warnings():
        code = _run(None if arguments is None else list(arguments))
        return code or _check_written(out)


def _check_written(out: Stream) -> int:
    """Report lost output, and return the exit code; a reader that stops early, such as `head`, needs no message."""
    out.flush()
    if out.error is None:
        return 0
    if not isinstance(out.error, BrokenPipeError):
        print_note(f"error: stdout: {out.error.strerror or out.error}")
    return _NOT_WRITTEN


def _run(arguments: list[str] | None) -> int:
    try:
        command = typer.main.get_command(_build(pretty=sys.stdout.isatty()))
        code = command.main(arguments, prog_name="bertprune", standalone_mode=False)
    except BertpruneError as error:
        return _fail(str(error))
    except _UsageError as error:
        return _fail_usage(error)
    except (KeyboardInterrupt, typer.Abort):
        code = _INTERRUPTED
    if code == _INTERRUPTED:
        print_note("interrupted")
    return code if isinstance(code, int) else 0


def _build(pretty: bool) -> typer.Typer:
    """Build the command line; `pretty` draws the help with rich, for terminals."""
    shell = typer.Typer(
        help=_ABOUT,
        epilog=_SOURCES,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="rich" if pretty else None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        callback=_root,
    )
    for module in (inspect, scan, plan, prune, evaluate, sweep, push, page):
        for name, command in module.COMMANDS.items():
            shell.command(name)(command)
    return shell


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"bertprune {bertprune.__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def _fail(sentence: str) -> int:
    print_note(f"error: {' '.join(sentence.split())}")
    return _WRONG_INPUT


def _fail_usage(error: Any) -> int:
    sentence = error.format_message()
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        print_note(sentence)
        return _WRONG_INPUT
    hint = f" (see {context.command_path} --help)" if context is not None else ""
    return _fail(sentence[:1].lower() + sentence[1:].rstrip(".") + hint)


@contextmanager
def _one_line_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        usual = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *rest: Any, **more: Any) -> None:
            if issubclass(category, BertpruneWarning):
                print_note(f"warning: {message}")
            else:
                usual(message, category, *rest, **more)

        warnings.showwarning = show
        warnings.simplefilter("always", BertpruneWarning)
        yield

"""Start the command line, and turn everything that a user got wrong into one line and exit code 2."""

import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import typer

from ..errors import BertpruneError, BertpruneWarning
from .commands import assemble
from .console import say

# typer's and click's usage errors share one root, which older typers take from click and newer ones carry themselves
_UsageProblem: Any = typer.BadParameter.__mro__[2]

WRONG_INPUT, INTERRUPTED = 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 2 wrong input, 130 interrupted."""
    with _warnings_in_one_line():
        try:
            code = _run(None if arguments is None else list(arguments))
            sys.stdout.flush()
            return code
        except BrokenPipeError:
            # the reader, such as `head`, has seen enough; without this Python complains again at exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1


def _run(arguments: list[str] | None) -> int:
    try:
        command = typer.main.get_command(assemble(pretty=sys.stdout.isatty()))
        code = command.main(arguments, prog_name="bertprune", standalone_mode=False)
    except BertpruneError as error:
        return _fail(str(error))
    except _UsageProblem as error:
        return _usage(error)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    if code == INTERRUPTED:
        say("interrupted")
    return code if isinstance(code, int) else 0


def _fail(words: str) -> int:
    say(f"error: {' '.join(words.split())}")
    return WRONG_INPUT


def _usage(error: Any) -> int:
    words = error.format_message()
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        say(words)
        return WRONG_INPUT
    hint = f" (see {context.command_path} --help)" if context is not None else ""
    return _fail(words[:1].lower() + words[1:].rstrip(".") + hint)


@contextmanager
def _warnings_in_one_line() -> Iterator[None]:
    with warnings.catch_warnings():
        usual = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *rest: Any, **more: Any) -> None:
            if issubclass(category, BertpruneWarning):
                say(f"warning: {message}")
            else:
                usual(message, category, *rest, **more)

        warnings.showwarning = show
        warnings.simplefilter("always", BertpruneWarning)
        yield

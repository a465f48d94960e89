"""The command that starts the page."""

import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

import bertprune

from ..errors import BertpruneError
from .options import MethodFiles, load_methods

ROOT = Path(bertprune.__file__).parent.parent
"""Where the page is in a source tree: next to the package. pip does not install it."""


def app(
    host: Annotated[str | None, typer.Option("--host", help="The address to listen on.", show_default=False)] = None,
    port: Annotated[
        int | None, typer.Option("--port", min=1, max=65535, help="The port to listen on.", show_default=False)
    ] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open a browser.")] = False,
    methods_file: MethodFiles = None,
) -> None:
    """Start the page and open it in the browser."""
    start = find_page()
    load_methods(methods_file)
    try:
        start(host, port, not no_browser)
    except OSError as error:
        sentence = "the page cannot listen on {host}, port {port}: {reason}"
        given = {"host": host or "this machine", "port": port or "any", "reason": error.strerror or str(error)}
        raise BertpruneError(sentence, code="cli.cannot_listen", **given) from None


def find_page() -> Callable[[str | None, int | None, bool], None]:
    """Find the function that starts the page. Raises BertpruneError."""
    if not (ROOT / "app" / "main.py").is_file():
        sentence = "the page is not part of an installed bertprune: get the source, and run `make app` there"
        raise BertpruneError(sentence, code="cli.no_page")
    if find_spec("gradio") is None:
        raise BertpruneError("the page needs gradio: pip install 'gradio>=6.31,<7'", code="cli.no_gradio")
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    start: Callable[[str | None, int | None, bool], None] = import_module("app.main").main
    return start


COMMANDS = {"app": app}

"""The command that starts the page."""

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

import bertprune

from ..errors import BertpruneError
from .options import load_methods

_ROOT = Path(bertprune.__file__).parent.parent
"""Where the page lies in a source tree: beside the package. It is no part of what pip installs."""


def app(
    host: Annotated[str | None, typer.Option("--host", help="The address to listen at.", show_default=False)] = None,
    port: Annotated[
        int | None, typer.Option("--port", min=1, max=65535, help="The port to listen at.", show_default=False)
    ] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open a browser.")] = False,
    methods_file: Annotated[
        list[Path] | None, typer.Option("--methods", metavar="FILE.py", help="Methods of your own.", show_default=False)
    ] = None,
) -> None:
    """Start the page; it opens in the browser."""
    start = _page()
    load_methods(methods_file)
    try:
        start(host, port, not no_browser)
    except OSError as error:
        where = f"{host or 'this machine'}, port {port or 'any'}"
        raise BertpruneError(f"the page cannot listen at {where}: {error}") from None


def _page() -> Any:
    """Find the function that starts the page. Raises BertpruneError."""
    if not (_ROOT / "app" / "main.py").is_file():
        raise BertpruneError("the page is not part of an installed bertprune: get the source, and run `make app` there")
    if find_spec("gradio") is None:
        raise BertpruneError("the page needs gradio: pip install 'gradio>=6.31,<7'")
    if str(_ROOT) not in sys.path:
        sys.path.insert(0, str(_ROOT))
    return import_module("app.main").main


COMMANDS = {"app": app}

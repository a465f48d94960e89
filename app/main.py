"""Start the page: `python app/main.py`, or `bertprune app`."""

import os
import signal
import socket
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))
# The folder of a script comes first, where `html.py` would hide Python's own `html`.
sys.path[:] = [one for one in sys.path if Path(one).resolve() != ROOT / "app"]
# Before gradio and the Hub's client are imported: no telemetry.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("DISABLE_TELEMETRY", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from app import runtime  # noqa: E402
from app.settings import Settings  # noqa: E402

_SESSIONS = 500
"""Sessions that Gradio keeps something of."""
_KEPT = (600, 2700)
"""Seconds: how often Gradio checks for old uploads, and how old they may become."""
_POLLING = 0.02
"""Seconds between two looks at an empty queue; Gradio's own thousandth keeps a twelfth of a core busy all the time."""
_TIDYING = 300.0
"""Seconds between two checks for files of old sessions."""
_PORTS = 100
"""How many ports are tried where none is asked for, as Gradio does."""
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""Addresses that stand for every address of this machine, and one of those that reach it."""


def main(host: str | None = None, port: int | None = None, open_browser: bool = True, *, block: bool = True) -> str:
    """Serve the page and return its address; with `block`, serve until interrupted.

    A hosted page listens at every address on the port that its host names; a local one only on this machine.
    Raises OSError where it cannot listen.
    """
    settings = Settings.from_environment()
    if settings.hosted:  # a token of the Space would open its owner's models to everybody
        os.environ["HF_HUB_DISABLE_IMPLICIT_TOKEN"] = "1"
    host, port = place_to_listen(host or ("0.0.0.0" if settings.hosted else "127.0.0.1"), port)
    runtime.share_heaps()
    for name in ("GRADIO_TEMP_DIR", "TORCHINDUCTOR_CACHE_DIR"):  # removed when the page stops
        os.environ.setdefault(name, str(runtime.place() / name.lower()))
    import matplotlib.pyplot  # noqa: F401  gradio sets its backend around every handler, which fails while it is half imported

    from app.errors import upload_limit
    from app.i18n import LANGUAGES, for_gradio
    from app.page import scripts, styles, theme

    store = make_store(settings)
    store.keep_tidying(_TIDYING)
    page = build(settings, store)
    page.queue(default_concurrency_limit=8, max_size=settings.max_queue)
    page._queue.sleep_when_free = _POLLING
    _, address, _ = page.launch(
        server_name=host,
        server_port=port,
        inbrowser=open_browser and not settings.hosted,
        prevent_thread_lock=True,
        theme=theme(),
        css=styles(),
        head=f"<script>{scripts()}</script>",
        i18n=for_gradio({code: {"limit_upload": upload_limit(code, settings)} for code in LANGUAGES}),
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        show_error=False,
        max_file_size=settings.max_upload,
        enable_monitoring=False,
        mcp_server=find_spec("mcp") is not None,
        state_session_capacity=_SESSIONS,
        quiet=settings.hosted,
    )
    runtime.warm_up()
    if block:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # how a host stops the page; the same as Ctrl+C
        page.block_thread()
    return address


def make_store(settings: Settings) -> Any:
    """Make what all visitors share."""
    from app.store import Store

    return Store(settings)


def build(settings: Settings | None = None, store: Any = None) -> Any:
    """Make the page; `settings` come from the environment by default."""
    import gradio as gr

    from app.api import VERBS, publish
    from app.events import connect
    from app.page import lay_out

    settings = settings or Settings.from_environment()
    store = store or make_store(settings)
    with gr.Blocks(title="bertprune", analytics_enabled=False, fill_width=True, delete_cache=_KEPT) as blocks:
        publish(store)  # first, so that the API gets its names
        connect(lay_out(settings), blocks, store)
    blocks.space_id = None  # Gradio's header of a Space would ask other hosts
    for event in blocks.fns.values():  # Gradio's sign-in brings one of its own
        if event.api_name not in VERBS:
            event.api_visibility = "private"
    return blocks


def place_to_listen(host: str, port: int | None = None) -> tuple[str, int]:
    """Return the host as Gradio takes it and the port, or the first free one. Raises OSError."""
    name = host.removeprefix("[").removesuffix("]")
    first = int(os.environ.get("GRADIO_SERVER_PORT", "7860"))
    _try(name, 0)  # otherwise every port would be blamed in turn
    for one in range(first, first + _PORTS) if port is None else (port,):
        try:
            _try(name, one)
            return f"[{name}]" if ":" in name else name, one
        except OSError as error:
            reason = error
    raise reason


def _try(host: str, port: int) -> None:
    """Listen on a host and port, and reach it, for a moment."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except UnicodeError as error:  # a label that is too long
        raise OSError(str(error)) from None
    with socket.create_server(address, family=family) as server:
        reached = server.getsockname()
        socket.create_connection((_ANYWHERE.get(reached[0], reached[0]), reached[1]), timeout=5).close()


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        sys.exit(f"error: the page cannot start: {error.strerror or error}")

"""Start the page: `python app/main.py`, or `bertprune app`."""

import json
import os
import signal
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))
# Before gradio and the Hub's client are imported: no telemetry.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("DISABLE_TELEMETRY", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from app import folders, memory, warm  # noqa: E402
from app.listen import place_to_listen  # noqa: E402
from app.settings import Settings  # noqa: E402

_SESSIONS = 500
"""Sessions whose state is kept; each takes about a megabyte."""
_POLLING = 0.02
"""Seconds between two looks at an empty queue; Gradio's own thousandth keeps a twelfth of a core busy all the time."""
_TIDYING = 300.0
"""Seconds between two checks for files of old sessions."""


def main(host: str | None = None, port: int | None = None, open_browser: bool = True, *, block: bool = True) -> str:
    """Serve the page and return its address; with `block`, serve until interrupted.

    A hosted page listens at every address on the port that its host names; a local one only on this machine.
    Raises OSError where it cannot listen.
    """
    settings = Settings.from_environment()
    host, port = place_to_listen(host or ("0.0.0.0" if settings.hosted else "127.0.0.1"), port)
    memory.share_heaps()
    for name in ("GRADIO_TEMP_DIR", "TORCHINDUCTOR_CACHE_DIR"):  # removed when the page stops
        os.environ.setdefault(name, str(folders.place() / name.lower()))
    import matplotlib.pyplot  # noqa: F401  gradio sets its backend around every handler, which fails while it is half imported

    from app import ui
    from app.i18n import LANGUAGES, for_gradio, gradio_texts
    from app.limits import upload_limit
    from app.session import Shelf
    from app.theme import static, theme

    shelf = Shelf(settings)
    shelf.keep_tidying(_TIDYING)
    page = ui.build(settings, shelf)
    page.queue(default_concurrency_limit=8, max_size=settings.max_queue)
    page._queue.sleep_when_free = _POLLING
    _, address, _ = page.launch(
        server_name=host,
        server_port=port,
        inbrowser=open_browser and not settings.hosted,
        prevent_thread_lock=True,
        theme=theme(),
        css=static("page.css"),
        head=f"<script>{static('page.js')}{static('theirs.js')}translate({json.dumps(gradio_texts())});</script>",
        i18n=for_gradio({code: {"limit_upload": upload_limit(code, settings)} for code in LANGUAGES}),
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        show_error=False,
        max_file_size=settings.max_upload,
        enable_monitoring=False,
        state_session_capacity=_SESSIONS,
        quiet=settings.hosted,
    )
    warm.start()
    if block:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # how a host stops the page; the same as Ctrl+C
        page.block_thread()
    return address


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        sys.exit(f"error: the page cannot start: {error.strerror or error}")

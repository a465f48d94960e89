"""Start the page: `python app/main.py`, or `bertprune app`."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))
# Before gradio and the Hub's client are imported: nothing calls home.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("DISABLE_TELEMETRY", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from app import warm  # noqa: E402
from app.settings import Settings  # noqa: E402


def main(host: str | None = None, port: int | None = None, open_browser: bool = True, *, block: bool = True) -> str:
    """Serve the page and return its address; with `block`, serve until interrupted.

    A hosted page listens at every address on the port that its host names; a local one at this machine alone.
    """
    import matplotlib.pyplot  # noqa: F401  gradio sets its backend around every handler, and half imported that fails

    from app import ui
    from app.i18n import for_gradio
    from app.theme import static, theme

    settings = Settings.from_environment()
    page = ui.build(settings)
    page.queue(default_concurrency_limit=8, max_size=settings.max_queue)
    _, address, _ = page.launch(
        server_name=host or ("0.0.0.0" if settings.hosted else "127.0.0.1"),
        server_port=port or None,
        inbrowser=open_browser and not settings.hosted,
        prevent_thread_lock=True,
        theme=theme(),
        css=static("page.css"),
        head=f"<script>{static('page.js')}</script>",
        i18n=for_gradio(),
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        show_error=False,
        max_file_size=settings.max_upload,
        enable_monitoring=False,
        quiet=settings.hosted,
    )
    warm.start()
    if block:
        page.block_thread()
    return address


if __name__ == "__main__":
    main()

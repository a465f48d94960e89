"""Serve the page for the tests, in a process of its own.

SIGUSR1 ends every session, as hours of inactivity would. While there is a file `hold` in its folder, no run goes on.
"""

import signal
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]


def main(port: int) -> None:
    """Serve until terminated."""
    sys.path.insert(0, str(ROOT))
    from tests.app import quick_gradio  # noqa: F401

    # isort: split
    from app import main as page
    from app import ui
    from app.session import Shelf

    pages: list[Any] = []
    build = ui.build
    ui.build = lambda *given: pages.append(build(*given)) or pages[-1]  # type: ignore[func-returns-value]
    prune = Shelf.run

    def run(self: Shelf, done: Any, progress: Any = None) -> Any:
        report = progress or self.timed()
        while Path("hold").exists():
            report(0.5, "held")
            time.sleep(0.05)
        return prune(self, done, report)

    Shelf.run = run  # type: ignore[method-assign]
    signal.signal(signal.SIGUSR1, lambda *_: pages[0].app.state_holder.session_data.clear())
    page.main("127.0.0.1", port, open_browser=False)


if __name__ == "__main__":
    main(int(sys.argv[1]))

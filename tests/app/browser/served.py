"""Serve the page for the tests, in a process of its own.

SIGUSR1 ends every visit, as hours of inactivity would. While there is a file `hold` in its folder, no run goes on.
A plan is what is found at once.
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
    from app.settings import Settings
    from app.store import Store
    from app.tabs import search

    stores: list[Store] = []
    prune = Store.run

    def make_store(settings: Settings) -> Store:
        stores.append(Store(settings))
        return stores[0]

    def run(self: Store, key: Any, progress: Any = None) -> Any:
        report = progress or self.timed()
        while Path("hold").exists() and key.recipe.steps and progress is not None:
            report(0.5, "held")
            time.sleep(0.05)
        return prune(self, key, report)

    search.SECONDS = 0.1  # type: ignore[assignment]
    page.make_store = make_store
    Store.run = run  # type: ignore[method-assign]
    signal.signal(signal.SIGUSR1, lambda *_: stores[0].visitors.forget())
    page.main("127.0.0.1", port, open_browser=False)


if __name__ == "__main__":
    main(int(sys.argv[1]))

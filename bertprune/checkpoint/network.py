"""What talking to the Hub needs: an end to every wait, and progress without a bar on the terminal."""

import threading
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from ..errors import CheckpointError
from ..progress import Progress

T = TypeVar("T")


class Unreachable(CheckpointError):
    """The Hub did not answer, or not in time."""


def part_of(progress: Progress, number: int, of: int) -> Progress:
    """Return a progress for one of several files, in the scale of them all."""
    return lambda share, words: progress((number + share) / of, words)


def bar_class(file: str, progress: Progress, raised: list[BaseException]) -> Any:
    """Make a progress bar class that shows nothing, and tells `progress` how much of the file is here."""
    from huggingface_hub.utils.tqdm import tqdm

    class Bar(tqdm):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **{**kwargs, "disable": True})  # type: ignore[no-untyped-call]
            self.done = float(kwargs.get("initial") or 0)

        def update(self, n: float | None = 1) -> None:
            self.done += n or 0
            try:
                progress(min(1.0, self.done / self.total) if self.total else 0.0, f"downloading {file}")
            except BaseException as error:
                raised.append(error)
                raise

    return Bar


def within(seconds: float, call: Callable[[], T]) -> T:
    """Return what `call` returns, or raise TimeoutError; a name look-up has no timeout of its own."""
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(call())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError
    return results[0]


def cached_ids(most: int = 5) -> tuple[str, ...]:
    """Return some ids of the Hub whose config is in the local cache."""
    from huggingface_hub import constants

    folders = sorted(Path(constants.HF_HUB_CACHE).glob("models--*"))
    named = (folder.name for folder in folders if any(folder.glob("snapshots/*/config.json")))
    return tuple(name.removeprefix("models--").replace("--", "/", 1) for name in islice(named, most))

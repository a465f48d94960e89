"""What talking to the Hub needs: an end to every wait, and progress without a bar on the terminal."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from ..errors import CheckpointError
from ..parallel import Progress

T = TypeVar("T")


class Unreachable(CheckpointError):
    """The Hub did not answer, or not in time."""


def part_of(progress: Progress, number: int, of: int) -> Progress:
    """Return a progress for one of several files, in the scale of them all."""
    return lambda share, words: progress((number + share) / of, words)


@dataclass
class Transfer:
    """How far a download is, and whether anybody still waits for it."""

    done: float = 0.0
    total: float = 0.0
    given_up: bool = False

    @property
    def share(self) -> float:
        """The share that is here, from 0 to 1."""
        return min(1.0, self.done / self.total) if self.total else 0.0


def bar_class(transfer: Transfer) -> Any:
    """Make a progress bar class that shows nothing, and notes how much is here; it ends what was given up."""
    from huggingface_hub.utils.tqdm import tqdm

    class Bar(tqdm):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **{**kwargs, "disable": True})  # type: ignore[no-untyped-call]
            transfer.done, transfer.total = float(kwargs.get("initial") or 0), float(kwargs.get("total") or 0)

        def update(self, n: float | None = 1) -> None:
            transfer.done += n or 0
            if transfer.given_up:
                raise InterruptedError

    return Bar


def attended(call: Callable[[], T], transfer: Transfer, patience: float, tell: Callable[[float], None]) -> T:
    """Return what `call` returns; raise TimeoutError when nothing comes for `patience` seconds.

    The call runs in a thread of its own, so that what `tell` raises ends the wait at once.
    """
    outcome: list[T] = []
    failure: list[Exception] = []
    thread = threading.Thread(target=_into, args=(call, outcome, failure), daemon=True)
    thread.start()
    seen, since = -1.0, time.monotonic()
    try:
        while thread.is_alive():
            if transfer.done != seen:
                seen, since = transfer.done, time.monotonic()
                tell(transfer.share)
            elif time.monotonic() - since > patience:
                raise TimeoutError
            thread.join(0.05)
    except BaseException:
        transfer.given_up = True
        raise
    if failure:
        raise failure[0]
    return outcome[0]


def _into(call: Callable[[], T], outcome: list[T], failure: list[Exception]) -> None:
    try:
        outcome.append(call())
    except Exception as error:
        failure.append(error)


def within(seconds: float, call: Callable[[], T]) -> T:
    """Return what `call` returns, or raise TimeoutError; a name look-up has no timeout of its own."""
    results: list[T] = []
    errors: list[Exception] = []
    thread = threading.Thread(target=_into, args=(call, results, errors), daemon=True)
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

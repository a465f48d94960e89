"""Timeouts for Hub calls, and their progress without a bar on the terminal."""

import errno
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from ..errors import CheckpointError, Message

CONNECT_TIMEOUT = 2.5
"""Seconds in which the Hub must have answered once; without an answer it counts as unreachable."""
SMALL_FILE_TIMEOUT = 20.0
"""Seconds for a config, headers or a tokenizer, once the Hub has answered."""
STALL_TIMEOUT = 15.0
"""Seconds without data after which the download of a large file is given up."""
MOST_CLOSED = 5
"""How many times a call is repeated when another thread closed its connection."""

T = TypeVar("T")


class Unreachable(CheckpointError):
    """The Hub did not answer, or not in time."""


@dataclass
class Transfer:
    """The progress of a download, and whether it was cancelled."""

    done: float = 0.0
    total: float = 0.0
    cancelled: bool = False

    @property
    def share(self) -> float:
        """Return the share that has arrived, from 0 to 1."""
        return min(1.0, self.done / self.total) if self.total else 0.0


def bar_class(transfer: Transfer) -> Any:
    """Make a progress bar class that shows nothing and records how much has arrived; it ends a cancelled download."""
    from huggingface_hub.utils.tqdm import tqdm

    class Bar(tqdm):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **{**kwargs, "disable": True})  # type: ignore[no-untyped-call]
            transfer.done, transfer.total = float(kwargs.get("initial") or 0), float(kwargs.get("total") or 0)

        def update(self, n: float | None = 1) -> None:
            transfer.done += n or 0
            if transfer.cancelled:
                raise InterruptedError

    return Bar


def with_timeout(seconds: float, call: Callable[[], T]) -> T:
    """Return what `call` returns, or raise TimeoutError; a name look-up has no timeout of its own."""
    return _in_thread(call).result(seconds)


def uncut(call: Callable[[], T]) -> T:
    """Return what a call to the Hub returns, made once more if its connection broke.

    The Hub's client is shared by all threads, and is closed under the others as soon as one of them cannot connect.
    Where several cannot, that happens again and again, and does not mean that this call cannot connect.
    """
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError

    failed = 0
    while True:
        try:
            return call()
        except (HfHubHTTPError, EntryNotFoundError, InterruptedError):  # an answer, no answer at all, or cancelled
            raise
        except Exception as error:
            failed += 1
            if failed > (MOST_CLOSED if _was_closed(error) else 1):
                raise


def _was_closed(error: BaseException | None) -> bool:
    """Return whether the client, or the connection that a call waited for, was closed by another thread."""
    while error is not None:
        if isinstance(error, OSError) and error.errno == errno.EBADF:
            return True
        if isinstance(error, RuntimeError) and "closed" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def no_connection(error: BaseException) -> Message | None:
    """Say that there is no connection, if a call to the Hub failed for that reason; None otherwise."""
    cause: BaseException | None = error
    while cause is not None and type(cause).__name__ != "ConnectError":  # of the client's own library, which changes
        cause = cause.__cause__ or cause.__context__
    return Message("there is no connection to it", code="checkpoint.no_connection") if cause is not None else None


def watched(call: Callable[[], T], transfer: Transfer, seconds: float, report: Callable[[float], None]) -> T:
    """Return what a download returns; raise TimeoutError when no data arrives for `seconds`.

    The download runs in a thread of its own, so that an exception from `report` ends the wait at once.
    """
    future = _in_thread(call)
    seen, since = -1.0, time.monotonic()
    try:
        while not future.done():
            if transfer.done != seen:
                seen, since = transfer.done, time.monotonic()
                report(transfer.share)
            elif time.monotonic() - since > seconds:
                raise TimeoutError
            wait([future], 0.05)
    except BaseException:
        transfer.cancelled = True
        raise
    return future.result()


def _in_thread(call: Callable[[], T]) -> "Future[T]":
    """Run a call in a daemon thread: one that hangs must not keep the process from ending, as a pool's would."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except Exception as error:
            future.set_exception(error)

    threading.Thread(target=run, name="hub", daemon=True).start()
    return future


def cached_ids(most: int = 5) -> tuple[str, ...]:
    """Return some Hub ids whose config is in the local cache; `scan_cache_dir` would look at every file of it."""
    from huggingface_hub import constants

    folders = sorted(Path(constants.HF_HUB_CACHE).glob("models--*"))
    named = (folder.name for folder in folders if any(folder.glob("snapshots/*/config.json")))
    return tuple(name.removeprefix("models--").replace("--", "/", 1) for name in islice(named, most))

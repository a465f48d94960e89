"""Spread the tasks of a sweep over an executor: processes of our own, a cluster, or any other."""

import os
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from typing import Any

from joblib.externals.loky import ProcessPoolExecutor, cpu_count

from ..errors import BertpruneError, BertpruneWarning, kind_of
from ..scores.method import describe_exception
from .measure import Outcome, Task, measure

_TICK = 0.2
"""Seconds after which a caller can cancel, though no task has ended."""
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_DIED = ("KilledWorker",)
"""What Dask raises where the workers of a task die again and again."""


class Processes:
    """Processes of our own, which share the cores; they are made anew when one of them has died."""

    def __init__(self, count: int) -> None:
        """Say how many; they start with the first task."""
        self.at_once = count
        self._threads = str(max(1, int(cpu_count()) // count))
        self._pool: Any = None

    def submit(self, task: Task) -> "Future[Outcome]":
        """Start a task."""
        if self._pool is None:
            threads = dict.fromkeys(_THREADS, self._threads)
            self._pool = ProcessPoolExecutor(self.at_once, initializer=_begin, initargs=(os.getpid(),), env=threads)
        try:
            started: Future[Outcome] = self._pool.submit(measure, task)
        except BrokenExecutor as error:  # found out before any of its tasks
            started = Future()
            started.set_exception(error)
        return started

    def close(self) -> None:
        """End them, with what they are doing."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, kill_workers=True)
        self._pool = None


class Given:
    """An executor of the caller's, which is left as it is."""

    def __init__(self, executor: Executor, tasks: int) -> None:
        """Give it all tasks at once: it knows how many it can do."""
        self.at_once = tasks
        self._executor = executor

    def submit(self, task: Task) -> "Future[Outcome]":
        """Start a task. Raises BertpruneError where the executor takes none."""
        try:
            return self._executor.submit(measure, task)
        except RuntimeError as error:
            raise _down(describe_exception(error)) from None

    def close(self) -> None:
        """Do nothing: it is the caller's."""


def workers_for(executor: Any, tasks: int, timed: bool) -> Processes | Given:
    """Return who does the tasks. Raises BertpruneError for what is no executor."""
    if isinstance(executor, Executor):
        return Given(executor, tasks)
    if executor is None:
        return Processes(1 if timed else min(int(cpu_count()), tasks))
    if isinstance(executor, int) and not isinstance(executor, bool) and executor > 0:
        return Processes(executor)
    raise BertpruneError(
        "executor is {kind}: expected a number of processes, or a concurrent.futures.Executor such as"
        " client.get_executor() of Dask",
        code="sweep.executor_kind", kind=kind_of(executor),
    )  # fmt: skip


def spread(
    tasks: Mapping[str, Task], workers: Processes | Given, tick: Callable[[], None]
) -> Generator[tuple[str, Outcome]]:
    """Yield the outcome of each task as it comes, by its key; `tick` is called all the while, and may raise to cancel.

    Tasks whose process died are tried once more, one at a time, so that each process that dies then is that of its
    own task. Raises BertpruneError where the executor has stopped.
    """
    waiting, suspects, running = deque(tasks), deque[str](), dict[Future[Outcome], str]()
    alone: str | None = None
    try:
        while waiting or suspects or running:
            while waiting and len(running) < workers.at_once:
                key = waiting.popleft()
                running[workers.submit(tasks[key])] = key
            if suspects and not running:
                alone = suspects.popleft()
                running[workers.submit(tasks[alone])] = alone
            tick()
            wait(running, _TICK, FIRST_COMPLETED)
            done = [future for future in running if future.done()]  # `wait` overlooks some that were cancelled
            if isinstance(workers, Processes) and any(map(_broke, done)):
                done = list(wait(running).done)  # all that ran there ends with it
                workers.close()
            for future in done:
                key = running.pop(future)
                if isinstance(workers, Processes) and _broke(future) and key != alone:
                    suspects.append(key)
                else:
                    yield key, _outcome(future)
    finally:
        for future in running:
            future.cancel()
        workers.close()


def _begin(parent: int) -> None:
    """Set up a process: our warnings are for nobody there, and it ends when its sweep has been killed."""
    warnings.simplefilter("ignore", BertpruneWarning)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _broke(future: "Future[Outcome]") -> bool:
    return not future.cancelled() and isinstance(future.exception(), BrokenExecutor)


def _outcome(future: "Future[Outcome]") -> Outcome:
    if future.cancelled():
        raise _down("its tasks were cancelled")
    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, BrokenExecutor) or type(error).__name__ in _DIED:
        return BertpruneError(
            "a worker died, perhaps for lack of memory ({reason})",
            code="sweep.worker_died", reason=describe_exception(error),
        )  # fmt: skip
    return BertpruneError("a worker failed: {reason}", code="sweep.worker_failed", reason=describe_exception(error))


def _down(reason: str) -> BertpruneError:
    return BertpruneError(
        "the executor has stopped ({reason}): give one that runs; with out=, what is finished is kept",
        code="sweep.executor_down", reason=reason,
    )  # fmt: skip

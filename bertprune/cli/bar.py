"""Show how far work is, on a terminal only."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ..parallel import Progress, silent


@contextmanager
def progress_bar(words: str) -> Iterator[Progress]:
    """Draw a bar on stderr while the block runs, and wipe it after; draw nothing where stderr is no terminal."""
    if not sys.stderr.isatty():
        yield silent
        return
    from rich.console import Console
    from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    # stdout may be a pipe: rich must not carry it over to the terminal of stderr
    with Bar(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False) as bar:
        task = bar.add_task(words, total=None)

        def show(share: float, now: str) -> None:
            bar.update(task, total=1.0, completed=share, description=now or words)

        yield show

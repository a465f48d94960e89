"""Make a folder appear whole or not at all."""

import errno
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..errors import ExportError

MARK = "bertprune"
"""The key of `report.json` by which an export of ours is known."""

_PREFIX = ".bertprune-"
_REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the file system is read-only",
    errno.ENAMETOOLONG: "the name is too long",
    errno.ENOTDIR: "a part of its path is a file",
}


@contextmanager
def appearing(out: Path, overwrite: bool, sources: Sequence[Path] = ()) -> Iterator[Path]:
    """Give a hidden folder beside `out` to write into; rename it to `out` if the block succeeds, else remove it.

    A process killed inside the block leaves at most a folder named `.bertprune-…`, which is in nobody's way.
    With `overwrite` an earlier export of ours steps aside first and is back if anything fails.

    Raises ExportError for a target that may not be written, and for every OSError inside the block.
    """
    made: list[Path] = []
    temporary = out.parent / f"{_PREFIX}{secrets.token_hex(6)}"
    try:
        check_target(out, overwrite, sources)
        made = _make_parents(out.parent)
        temporary.mkdir()
        yield temporary
        _take_place(temporary, out, overwrite)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        _unmake(made)
        if isinstance(error, OSError):
            raise ExportError(f"{out}: cannot be written ({reason(error)})") from None
        raise


def reason(error: OSError) -> str:
    """Say in a few words what the system had against it."""
    return _REASONS.get(error.errno or 0) or (error.strerror or str(error)).lower()


def check_target(out: Path, overwrite: bool, sources: Sequence[Path] = ()) -> None:
    """Refuse a target that is not ours to write. Raises ExportError."""
    for source in sources:
        if source.resolve().is_relative_to(out.resolve()):
            raise ExportError(f"{out}: holds the source checkpoint, which is never written; choose another folder")
    if not os.path.lexists(out):
        return
    if out.is_symlink() or not out.is_dir():
        kind = "a link" if out.is_symlink() else "a file"
        raise ExportError(f"{out}: is {kind}, not a folder; choose a name that is free")
    if not overwrite:
        raise ExportError(f"{out}: exists already; choose another name, or overwrite it (overwrite=True, --overwrite)")
    if foreign := sorted({path.name for path in out.iterdir()} - _files_of(out)):
        more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
        raise ExportError(f"{out}: holds {foreign[0]}{more}, which no export of ours wrote; choose another name")


def _files_of(folder: Path) -> set[str]:
    """Name the files that our report says were written here; none where it is not ours."""
    try:
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        return set(report["files"]) if MARK in report else set()
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return set()


def _make_parents(folder: Path) -> list[Path]:
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(exist_ok=True)
    return missing


def _unmake(folders: Sequence[Path]) -> None:
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:
            return


def _take_place(temporary: Path, out: Path, overwrite: bool) -> None:
    check_target(out, overwrite)
    if not out.exists():
        temporary.rename(out)
        return
    aside = out.parent / f"{_PREFIX}{secrets.token_hex(6)}"
    out.rename(aside)
    try:
        temporary.rename(out)
    except BaseException:
        aside.rename(out)
        raise
    shutil.rmtree(aside, ignore_errors=True)

"""Write a folder as a whole or not at all."""

import errno
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..checkpoint.sentence_modules import is_sentence_folder
from ..errors import ExportError, Message, first_names

REPORT_KEY = "bertprune"
"""The key of `report.json` that marks an export of ours."""

_PREFIX = ".bertprune-"
_REASONS = {
    errno.ENOSPC: Message("the disk is full", code="exports.disk_full"),
    errno.EDQUOT: Message("the disk quota is used up", code="exports.quota"),
    errno.EROFS: Message("the file system is read-only", code="exports.read_only"),
    errno.ENAMETOOLONG: Message("the name is too long", code="exports.name_too_long"),
    errno.ENOTDIR: Message("a part of its path is a file", code="exports.path_through_file"),
}


@contextmanager
def atomic_folder(out: Path, overwrite: bool, sources: Sequence[Path] = ()) -> Iterator[Path]:
    """Give a hidden folder next to `out` to write into; rename it to `out` if the block succeeds, else remove it.

    A process killed inside the block leaves at most a folder named `.bertprune-…`. With `overwrite` an earlier export
    is moved aside first, and moved back if anything fails; killed at that moment, it leaves both under such names.

    Raises ExportError for a target that may not be written, and for every OSError inside the block.
    """
    check_target(out, overwrite, sources)
    created: list[Path] = []
    temporary = _unused_name_next_to(out)
    try:
        created = _make_parents(out.parent)
        temporary.mkdir()
        yield temporary
        check_target(out, overwrite)
        _replace(out, temporary)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        _remove_empty(created)
        if isinstance(error, OSError):
            raise _not_writable(out, error) from None
        raise


def check_target(out: Path, overwrite: bool, sources: Sequence[Path] = ()) -> None:
    """Refuse a target that is taken, or not an earlier export, or holds a source, or is in its folder."""
    try:
        _refuse_source(out, sources)
        if os.path.lexists(out):
            _refuse_existing(out, overwrite)
    except OSError as error:
        raise _not_writable(out, error) from None
    except ValueError as error:
        sentence = "{out!r}: not a valid name for a folder ({reason})"
        raise ExportError(sentence, code="exports.bad_name", out=str(out), reason=str(error)) from None


def _refuse_source(out: Path, sources: Sequence[Path]) -> None:
    folder = out.resolve()  # a ValueError where no path can have that name
    if any(source.resolve().is_relative_to(folder) for source in sources):
        sentence = "{out}: contains the source checkpoint, which is never overwritten; choose another folder"
        raise ExportError(sentence, code="exports.target_has_source", out=str(out))
    if any(folder.is_relative_to(home.resolve()) for source in sources for home in _homes(source)):
        sentence = "{out}: is inside a sentence-transformers folder, which is exported whole; choose another folder"
        raise ExportError(sentence, code="exports.target_in_source", out=str(out))


def _homes(source: Path) -> list[Path]:
    """Return the folders of sentence-transformers that a weight file is in: whatever they hold is exported with it."""
    return [folder for folder in (source.parent, source.parent.parent) if is_sentence_folder(folder)]


def _refuse_existing(out: Path, overwrite: bool) -> None:
    if out.is_symlink():
        sentence = "{out}: is a link, not a folder; choose an unused name"
        raise ExportError(sentence, code="exports.target_is_link", out=str(out))
    if not out.is_dir():
        sentence = "{out}: is a file, not a folder; choose an unused name"
        raise ExportError(sentence, code="exports.target_is_file", out=str(out))
    if not overwrite:
        sentence = "{out}: already exists; choose another name, or overwrite it (overwrite=True, --overwrite)"
        raise ExportError(sentence, code="exports.target_exists", out=str(out))
    if other := sorted(files_in(out).keys() - exported_files(out)):
        sentence = "{out}: contains {files}, not written by an export; choose another name"
        raise ExportError(sentence, code="exports.target_has_files", out=str(out), files=first_names(other, most=1))


def files_in(folder: Path) -> dict[str, Path]:
    """Return what is in a folder, by its path from there: files, links, and empty folders. Raises OSError."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        inner = files_in(path) if path.is_dir() and not path.is_symlink() else {}
        found |= {f"{path.name}/{name}": at for name, at in inner.items()} or {path.name: path}
    return found


def exported_files(folder: Path) -> set[str]:
    """Return the files that our report lists; none where there is no report of ours."""
    report_file = folder / "report.json"
    try:
        if not report_file.is_file():
            return set()
        report = json.loads(report_file.read_text(encoding="utf-8"))
        return set(report["files"]) if REPORT_KEY in report else set()
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return set()


def _not_writable(out: Path, error: OSError) -> ExportError:
    sentence = "{out}: cannot be written ({reason})"
    return ExportError(sentence, code="exports.not_writable", out=str(out), reason=reason_for(error))


def reason_for(error: OSError) -> Message | str:
    """Return why nothing can be written, in words that the reader knows."""
    return _REASONS.get(error.errno or 0) or (error.strerror or str(error)).lower()


def _unused_name_next_to(out: Path) -> Path:
    return out.parent / f"{_PREFIX}{secrets.token_hex(6)}"


def _make_parents(folder: Path) -> list[Path]:
    """Create the folders that are missing, and return them, the innermost first."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(exist_ok=True)
    return missing


def _remove_empty(folders: Sequence[Path]) -> None:
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:
            return


def _replace(out: Path, new: Path) -> None:
    """Rename `new` to `out`; an earlier export there is removed, or moved back if the renaming fails."""
    if not out.exists():
        new.rename(out)
        return
    aside = _unused_name_next_to(out)
    out.rename(aside)
    try:
        new.rename(out)
    except BaseException:
        aside.rename(out)
        raise
    shutil.rmtree(aside, ignore_errors=True)

"""What may be read as a file: a regular one, since a pipe or a device can keep its reader waiting forever."""

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from .errors import BertpruneError, Message, shortened

_KINDS: tuple[tuple[Callable[[int], bool], Message], ...] = (
    (stat.S_ISDIR, Message("a folder", code="files.folder")),
    (stat.S_ISFIFO, Message("a named pipe", code="files.pipe")),
    (stat.S_ISSOCK, Message("a socket", code="files.socket")),
)
_DEVICE = Message("a device", code="files.device")


def name_of(path: Path) -> str:
    """Return a file's name for a message, without its folder; a name may be long, or hold what cannot be printed."""
    name = path.name or str(path)
    return shortened("".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in name))


def check_regular(path: Path, error: type[BertpruneError]) -> None:
    """Refuse what exists and is not a regular file, before anything waits for it. A link counts as what it points to.

    What cannot be examined is left to the code that reads it, which has errors of its own. Raises `error`.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return
    if stat.S_ISREG(mode):
        return
    kind = next((name for is_kind, name in _KINDS if is_kind(mode)), _DEVICE)
    raise error("{file} is {kind}: expected a regular file", code="files.not_regular", file=name_of(path), kind=kind)


def check_place(path: Path | None, error: type[BertpruneError]) -> None:
    """Refuse a file that will not be written for want of its folder, before the long work. Raises `error`."""
    if path is None:
        return
    check_regular(path, error)
    if not path.parent.is_dir():
        raise error(
            "{file}: cannot be written, because there is no folder {folder}",
            code="files.no_folder", file=shortened(str(path), 100), folder=shortened(str(path.parent), 100),
        )  # fmt: skip


def reason_of(error: OSError | ValueError) -> str:
    """Return why a file cannot be read or written, in the words of the system."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def os_error_in(error: Exception) -> OSError | None:
    """Restore the system's error, of which libraries in Rust only write the number into their message."""
    digits = str(error).partition("(os error ")[2].partition(")")[0]
    return OSError(int(digits), os.strerror(int(digits))) if digits.isdecimal() else None


def from_home(path: str | Path, error: type[BertpruneError]) -> Path:
    """Replace a leading `~` by the home folder. Raises `error` where there is no such user."""
    try:
        return Path(path).expanduser() if str(path).startswith("~") else Path(path)
    except RuntimeError:
        raise error("{path}: no such user", code="files.no_user", path=shortened(str(path), 100)) from None


def write_whole(path: Path, text: str, error: type[BertpruneError]) -> None:
    """Write a text file as a whole: whoever reads it meanwhile, or after a crash, sees the old one. Raises `error`."""
    check_regular(path, error)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    except (OSError, ValueError) as reason:
        with suppress(OSError, ValueError):
            beside.unlink(missing_ok=True)
        raise error(
            "{file} cannot be written: {reason}", code="files.unwritable", file=name_of(path), reason=reason_of(reason)
        ) from None

"""Standard streams in any state: closed, full, without a reader, or in an encoding that lacks letters."""

import codecs
import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

_IN_ASCII = {"→": "->", "×": "x", "±": "+/-", "–": "-", "…": "...", "≤": "<=", "≥": ">=", "·": "|", "“": '"', "”": '"'}
"""Signs that ASCII can write too; other letters that an encoding lacks become escapes such as `\\ucc44`."""


class Stream(io.TextIOBase):
    """A text stream that never fails: letters that its encoding lacks are written in ASCII, the first error is kept.

    Work that is under way is worth more than what it prints: a checkpoint is written even if nobody reads the output.
    """

    def __init__(self, under: Any) -> None:
        """Write to a stream, or to none where it is closed."""
        self.under = under
        self.error: OSError | None = None

    @property
    def encoding(self) -> str | None:  # type: ignore[override]
        """The encoding of the stream below."""
        return getattr(self.under, "encoding", None)

    def write(self, text: str) -> int:
        """Write a text as far as the stream takes it."""
        with self._keeping_errors():
            if self.under is None:
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))
            self.under.write(self._encodable(text))
        return len(text)

    def flush(self) -> None:
        """Flush the stream."""
        if self.under is not None:
            with self._keeping_errors():
                self.under.flush()

    def isatty(self) -> bool:
        """Return whether it is a terminal."""
        return self.under is not None and bool(self.under.isatty())

    def fileno(self) -> int:
        """Return the number of the open file below. Raises io.UnsupportedOperation where there is none."""
        return int(super().fileno() if self.under is None else self.under.fileno())

    def close(self) -> None:
        """Leave the stream below open."""

    def _encodable(self, text: str) -> str:
        if self.encoding is None:
            return text
        try:  # a C locale passes the bytes of paths through as surrogates
            text.encode(self.encoding, "surrogateescape" if self.under.errors == "surrogateescape" else "strict")
            return text
        except UnicodeEncodeError:
            return text.encode(self.encoding, "bertprune.ascii").decode(self.encoding)

    @contextmanager
    def _keeping_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.error = self.error or error
            with suppress(OSError), Path(os.devnull).open("wb") as nowhere:
                os.dup2(nowhere.fileno(), self.fileno())  # what is still in buffers must not fail at exit


@contextmanager
def safe_streams() -> Iterator[Stream]:
    """Make stdout and stderr safe to write to; gives stdout, whose `error` tells whether all was written."""
    _occupy_closed()
    out, err = Stream(sys.stdout), Stream(sys.stderr)
    sys.stdout, sys.stderr = out, err
    try:
        yield out
    finally:
        out.flush()
        err.flush()
        sys.stdout, sys.stderr = out.under, err.under


def is_unicode(stream: Any) -> bool:
    """Return whether a stream is written in UTF-8, as JSON and Python files are."""
    return codecs.lookup(getattr(stream, "encoding", None) or "utf-8").name == "utf-8"


def _occupy_closed() -> None:
    """Open the null device under the numbers of closed streams, so that no other file gets them."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        continue
    os.close(number)


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    written = (_IN_ASCII.get(letter) or letter.encode("ascii", "backslashreplace").decode() for letter in lacking)
    return "".join(written), error.end


codecs.register_error("bertprune.ascii", _in_ascii)

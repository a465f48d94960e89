"""What the surroundings allow: a page for oneself, or a page that anybody may send anything to."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

MIB = 1024**2
GIB = 1024**3


@dataclass(frozen=True)
class Settings:
    """The limits of one running page."""

    hosted: bool = False
    """Strangers may visit: no field reads a path of this machine."""
    max_upload: int = 4 * GIB
    max_unpacked: int = 8 * GIB
    max_files: int = 200
    max_parameters: int = 2_000_000_000
    """Judged from a checkpoint's headers, before any weight is read."""
    max_steps: int = 200
    max_rows: int = 5_000
    """Labelled texts in one evaluation."""
    session_seconds: int | None = None
    """How long a visitor's files are kept after the last change; None for as long as the page is open."""
    max_queue: int = 64
    """Requests that may wait at once."""
    cache_bytes: int = 6 * GIB
    """Weights and masks kept for all visitors together."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> "Settings":
        """Tell from the variables that Hugging Face Spaces sets whether the page is hosted."""
        environ = os.environ if environ is None else environ
        if environ.get("SPACE_ID") or environ.get("SYSTEM") == "spaces":
            return cls.for_strangers()
        return cls()

    @classmethod
    def for_strangers(cls) -> "Settings":
        """Give the limits of a small machine that is shared by everybody."""
        return cls(
            hosted=True,
            max_upload=600 * MIB,
            max_unpacked=1200 * MIB,
            max_files=60,
            max_parameters=250_000_000,
            max_steps=40,
            max_rows=1_000,
            session_seconds=3600,
            cache_bytes=3 * GIB,
        )

"""The limits of the page: for its user alone, or for anybody who may send anything to it."""

import os
from collections.abc import Mapping
from pathlib import Path

import yaml
from pydantic import BaseModel, ByteSize, ConfigDict, Field

GIB = 1024**3
SPACE = Path(__file__).resolve().parent.parent / "space.yaml"


class Settings(BaseModel):
    """The limits of one running page; the defaults are those of a page on one's own machine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hosted: bool = False
    """Anybody may visit, so no field reads a path of this machine."""
    home: str | None = None
    """Where the page can be cloned from to run it locally; None where it runs locally already."""
    max_upload: ByteSize = ByteSize(4 * GIB)
    max_unpacked: ByteSize = ByteSize(8 * GIB)
    max_files: int = Field(default=200, ge=1)
    max_parameters: int = Field(default=2_000_000_000, ge=1)
    """Checked in a checkpoint's headers, before any weight is read or downloaded."""
    max_steps: int = Field(default=200, ge=1)
    max_rows: int = Field(default=5_000, ge=1)
    """Labelled texts in one evaluation."""
    max_seconds: float | None = Field(default=None, gt=0)
    """How long one piece of work may run; None for no limit."""
    max_queue: int = Field(default=64, ge=1)
    """Requests that may wait at once."""
    session_seconds: int | None = Field(default=None, gt=0)
    """How long a visitor's files are kept after their last use; None for as long as the page runs."""
    cache_bytes: ByteSize = ByteSize(6 * GIB)
    """Weights and masks kept for all visitors together."""
    cache_entries: int = Field(default=400, ge=1)
    """Checkpoints, runs, previews and figures kept for all visitors together."""

    @property
    def max_stored(self) -> int:
        """The bytes of the largest weight files that are downloaded: every parameter in double precision."""
        return 8 * self.max_parameters

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> "Settings":
        """Choose the limits by the variables that Hugging Face Spaces sets where the page is hosted."""
        environ = os.environ if environ is None else environ
        if environ.get("SPACE_ID") or environ.get("SYSTEM") == "spaces":
            return cls.for_strangers(environ.get("SPACE_ID"))
        return cls()

    @classmethod
    def for_strangers(cls, space: str | None = None) -> "Settings":
        """Read from `space.yaml` the limits of a small machine that everybody shares."""
        limits = yaml.safe_load(SPACE.read_text(encoding="utf-8"))["limits"]
        home = f"https://huggingface.co/spaces/{space}" if space else "https://huggingface.co/spaces/…"
        return cls(hosted=True, home=home, **limits)

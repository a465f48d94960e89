"""What tests of pushing have in common."""

from pathlib import Path
from typing import Any

import bertprune as bp
from bertprune.errors import Message
from tests.stand_in_hub import RIGHT

NAME = "me/tiny"


def push(folder: Any, name: Any = NAME, **options: Any) -> Any:
    return bp.push(folder, name, **{"token": RIGHT, **options})


def contents(folder: Path) -> dict[str, bytes]:
    """Read all files of a folder, by their paths from there."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def codes(error: Any) -> tuple[str, str]:
    """Return the codes of an error and of what it says is left."""
    left = error.values.get("left")
    return error.code, left.code.removeprefix("exports.push_left_") if isinstance(left, Message) else ""

"""Strict reading of small JSON files that strangers wrote, and messages that give no path away."""

import json
import re
from pathlib import Path
from typing import Any

from ..errors import CheckpointError, shortened

LARGEST_JSON = 2 * 1024 * 1024
_PATH = re.compile(r"(?:[A-Za-z]:)?(?:[\\/][^\s'\"`,;:()\\/]+)+[\\/]?")


def reason(error: BaseException) -> str:
    """Return the first line of an error's message, shortened, with every path cut to its last part.

    Where that line only announces, the last one goes with it; a KeyError says no more than the key.
    """
    lines = str(error).strip().splitlines() or [type(error).__name__]
    told = (lines[0], *lines[1:][-1:]) if lines[0].endswith((":", "(")) else lines[:1]
    said = " ".join(line.strip() for line in told)
    text = _PATH.sub(lambda found: re.split(r"[\\/]", found[0].rstrip("\\/"))[-1], said)
    return shortened(f"{text} is not known" if isinstance(error, KeyError) else text, 200)


def read_object(path: Path, called: str) -> dict[str, Any]:
    """Read a JSON file that must hold one object without repeated keys; `called` names it in errors."""
    try:
        if path.stat().st_size > LARGEST_JSON:
            raise CheckpointError(f"{called} is larger than {LARGEST_JSON >> 20} MiB; a real one takes kilobytes")
        return parse_object(path.read_bytes(), called)
    except OSError as error:
        raise CheckpointError(f"{called} cannot be read: {error.strerror or reason(error)}") from None


def parse_object(data: bytes, called: str) -> dict[str, Any]:
    """Parse bytes as one JSON object without repeated keys."""
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_once)
    except CheckpointError as error:
        raise CheckpointError(f"{called} {error}") from None
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{called} is not JSON: {reason(error)}") from None
    if not isinstance(value, dict):
        raise CheckpointError(f"{called} holds a {type(value).__name__}; one JSON object is expected")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    for key, value in pairs:
        if key in seen:
            raise CheckpointError(f"gives the key {key[:80]!r} twice; each may be there once")
        seen[key] = value
    return seen

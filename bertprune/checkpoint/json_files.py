"""Strict reading of small JSON files from untrusted sources, and error messages that reveal no path."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

from ..errors import CheckpointError, Message, shortened
from ..files import check_regular

LARGEST_JSON = 2 * 1024 * 1024
"""In bytes; a config of today takes kilobytes."""
_PATH = re.compile(r"(?:[A-Za-z]:)?(?:[\\/][^\s'\"`,;:()\\/]+)+[\\/]?")


def first_line(error: BaseException) -> str | Message:
    """Return the first line of an error's message, shortened, with every path cut to its last part.

    The last line is added where the first only announces it; a KeyError's message is only the key.
    """
    lines = str(error).strip().splitlines() or [type(error).__name__]
    kept = (lines[0], *lines[1:][-1:]) if lines[0].endswith((":", "(")) else lines[:1]
    joined = " ".join(line.strip() for line in kept)
    text = _PATH.sub(lambda found: re.split(r"[\\/]", found[0].rstrip("\\/"))[-1], joined)
    if isinstance(error, KeyError):
        return Message("{key} is unknown", code="checkpoint.unknown_key", key=shortened(text, 180))
    return shortened(text, 200)


def unreadable(file: str, error: Exception) -> CheckpointError:
    """Return the error for a file that the system or its format's library cannot read."""
    reason = (error.strerror if isinstance(error, OSError) else None) or first_line(error)
    return CheckpointError("{file} cannot be read: {reason}", code="checkpoint.unreadable", file=file, reason=reason)


def folder_config(folder: Path, name: str) -> dict[str, Any]:
    """Read config.json of a folder; raises CheckpointError."""
    check_regular(folder / "config.json", CheckpointError)
    if not (folder / "config.json").is_file():
        raise no_config(name)
    return read_object(folder / "config.json", f"{name}: config.json")


def no_config(name: str) -> CheckpointError:
    """Return the error for weights without a config."""
    return CheckpointError(
        "{name} has no config.json next to its weights; that file names the model class to build",
        code="checkpoint.no_config", name=name,
    )  # fmt: skip


def read_object(path: Path, label: str) -> dict[str, Any]:
    """Read a JSON file that must hold one object without repeated keys; `label` names it in errors."""
    return parse_object(_bytes(path, label), label)


def read_list(path: Path, label: str) -> list[Any]:
    """Read a JSON file that must hold one list; `label` names it in errors."""
    value = _parse(_bytes(path, label), label)
    if not isinstance(value, list):
        raise CheckpointError(
            "{file} holds a {kind}: expected one JSON list",
            code="checkpoint.not_a_list", file=label, kind=type(value).__name__,
        )  # fmt: skip
    return value


def _bytes(path: Path, label: str) -> bytes:
    check_regular(path, CheckpointError)
    try:
        if path.stat().st_size > LARGEST_JSON:
            raise CheckpointError(
                "{file} is larger than {most} MiB: expected a few kilobytes",
                code="checkpoint.json_too_large", file=label, most=LARGEST_JSON >> 20,
            )  # fmt: skip
        return path.read_bytes()
    except OSError as error:
        raise unreadable(label, error) from None


def parse_object(data: bytes, label: str) -> dict[str, Any]:
    """Parse bytes as one JSON object without repeated keys, at any depth; `label` names them in errors."""
    value = _parse(data, label)
    if not isinstance(value, dict):
        raise CheckpointError(
            "{file} holds a {kind}: expected one JSON object",
            code="checkpoint.not_an_object", file=label, kind=type(value).__name__,
        )  # fmt: skip
    return value


def _parse(data: bytes, label: str) -> Any:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        fields = dict(pairs)
        if len(fields) < len(pairs):
            (key, _), *_ = Counter(key for key, _ in pairs).most_common(1)
            raise CheckpointError(
                "{file} contains the key {key!r} twice; a key may appear only once",
                code="checkpoint.repeated_key", file=label, key=shortened(key, 80),
            )  # fmt: skip
        return fields

    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        reason = first_line(error)
        raise CheckpointError(
            "{file} is not JSON: {reason}", code="checkpoint.not_json", file=label, reason=reason
        ) from None

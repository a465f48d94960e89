"""What the library says in English, said in the visitor's language: its lines known by their wording."""

import json
import re
from functools import cache
from pathlib import Path

_PLACE = re.compile(r"\{(\w+)\}")
_LONGEST = 1000
"""Characters of a line that is still compared: what a visitor entered is part of it, and may be made to be slow."""


def retold(language: str, line: str) -> str:
    """Put a line of the library in a language; one that is not known there stays as it is."""
    if len(line) > _LONGEST:
        return line
    for pattern, told in _lines(language).items():
        if found := pattern.fullmatch(line):
            return told.format(**found.groupdict())
    return line


@cache
def _lines(language: str) -> dict[re.Pattern[str], str]:
    """Read how the lines are worded, and what they are in the language; the first that fits counts."""
    path = Path(__file__).with_name(f"retelling.{language}.json")
    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return {_pattern(line): told for line, told in known.items()}


def _pattern(line: str) -> re.Pattern[str]:
    """Turn a line with {places} into a pattern."""
    text, *rest = _PLACE.split(line)
    places = zip(rest[::2], rest[1::2], strict=True)
    return re.compile(re.escape(text) + "".join(f"(?P<{name}>.+?){re.escape(after)}" for name, after in places))

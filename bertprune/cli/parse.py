"""Turn the words of a command line into the values of a step."""

import json
import math
import re
from collections.abc import Iterable

from ..errors import RecipeError
from ..recipe import Option

MAX_LAYER = 999
"""No encoder is deeper; a longer range is a slip of the finger."""

_WORDS: dict[str, Option] = {
    "true": True,
    "false": False,
    "null": None,
    "none": None,
    "inf": math.inf,
    "+inf": math.inf,
    "infinity": math.inf,
    "-inf": -math.inf,
    "-infinity": -math.inf,
}


def names_of(given: Iterable[str], flag: str) -> tuple[str, ...]:
    """Split repeated and comma-separated names into one tuple, in order and without doubles. Raises RecipeError."""
    names: dict[str, None] = {}
    for text in given:
        found = [name.strip() for name in text.split(",") if name.strip()]
        if not found:
            # left out it means everything; an empty variable in a shell must not mean that
            raise RecipeError(f"{flag} {text!r}: names nothing; name something, or leave it out")
        names |= dict.fromkeys(found)
    return tuple(names)


def layers_of(given: Iterable[str]) -> tuple[int, ...]:
    """Read layer numbers and ranges, such as `0,2-4`, both ends included. Raises RecipeError."""
    return tuple(sorted({layer for name in names_of(given, "--layer") for layer in _range_of(name)}))


def _range_of(text: str) -> range:
    found = re.fullmatch(r"(\d+)(?:-(\d+))?", text, re.ASCII)
    if not found:
        raise RecipeError(f"--layer {text!r}: not a layer; give numbers and ranges counted from zero, such as 0,2-4")
    first, last = int(found[1]), int(found[2] or found[1])
    if last < first:
        raise RecipeError(f"--layer {text!r}: the range runs backwards; write it as {last}-{first}")
    if last > MAX_LAYER:
        raise RecipeError(f"--layer {text!r}: no encoder has that many layers; the largest number is {MAX_LAYER}")
    return range(first, last + 1)


def fraction_of(text: str | None) -> float | None:
    """Read `--fraction`; whether it lies between 0 and 1 is for the step to say. Raises RecipeError."""
    try:
        return None if text is None else float(text)
    except ValueError:
        raise RecipeError(f"--fraction {text!r}: not a number; give the share that goes (0 < f <= 1)") from None


def count_of(text: str | None) -> int | None:
    """Read `--count`; whether there are so many is for the step to say. Raises RecipeError."""
    if text is None or re.fullmatch(r"[+-]?\d{1,18}", text, re.ASCII):
        return None if text is None else int(text)
    raise RecipeError(f"--count {text!r}: not a whole number; give how many go (1 or more)")


def options_of(given: Iterable[str]) -> dict[str, Option]:
    """Read `key=value` words: numbers, inf, true, false and null become what they say. Raises RecipeError."""
    options: dict[str, Option] = {}
    for text in given:
        key, equals, value = text.partition("=")
        key = key.strip()
        if not equals or not key:
            raise RecipeError(f"--option {text!r}: not a setting; write it as key=value, such as n=2")
        if key in options:
            raise RecipeError(f"--option {key}: given twice; give it once")
        options[key] = value_of(value.strip(), key)
    return options


def value_of(text: str, key: str) -> Option:
    """Read one value as JSON would, with a few more ways to write infinity; all else is text. Raises RecipeError."""
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if re.fullmatch(r"[+-]?\d+", text, re.ASCII):
        return int(text)
    if re.fullmatch(r"[+-]?(\d+\.\d*|\.?\d+)([eE][+-]?\d+)?", text, re.ASCII):
        return float(text)
    if text[:1] in ('"', "[", "{"):
        return _quoted(text, key)
    return text


def _quoted(text: str, key: str) -> str:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, str):
        raise RecipeError(f"--option {key}={text}: neither a number, true, false, null, inf nor text")
    return value

"""Parse the arguments of a command line into the values of a step."""

import json
import math
import re
from collections.abc import Iterable
from pathlib import Path

from ..errors import BertpruneError, RecipeError, shortened
from ..files import from_home
from ..safe_yaml import plainer
from ..step import Option

MAX_LAYER = 999
"""No encoder is deeper; a larger number is a typing error."""

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


def parse_source(given: str) -> str:
    """Replace a leading `~`, which shells leave in `--out=~/x`, by the home folder. Raises BertpruneError."""
    return str(from_home(given, BertpruneError)) if given.startswith("~") else given


def parse_path(given: str) -> Path:
    """Read a path, as `parse_source` does. Raises BertpruneError."""
    return Path(parse_source(given))


def parse_names(given: Iterable[str], flag: str) -> tuple[str, ...]:
    """Split repeated and comma-separated names into one tuple, in order and without duplicates. Raises RecipeError."""
    names: dict[str, None] = {}
    for text in given:
        found = [name.strip() for name in text.split(",") if name.strip()]
        if not found:
            # a flag that is left out means everything; an empty shell variable must not
            raise _wrong(flag, text, "contains no names; give one or omit the flag", "cli.no_names")
        names |= dict.fromkeys(found)
    return tuple(names)


def parse_layers(given: Iterable[str]) -> tuple[int, ...]:
    """Read layer numbers and ranges, such as `0,2-4`, both ends included. Raises RecipeError."""
    return tuple(sorted({layer for name in parse_names(given, "--layer") for layer in _parse_range(name)}))


def _parse_range(text: str) -> range:
    found = re.fullmatch(r"(\d+)(?:-(\d+))?", text, re.ASCII)
    if not found:
        wrong = "not a layer; give numbers and ranges counted from zero, such as 0,2-4"
        raise _wrong("--layer", text, wrong, "cli.not_a_layer")
    first, last = int(found[1]), int(found[2] or found[1])
    if last < first:
        wrong = "the range runs backwards; write it as {last}-{first}"
        raise _wrong("--layer", text, wrong, "cli.layers_backwards", first=first, last=last)
    if last > MAX_LAYER:
        wrong = "no encoder has that many layers; the largest number is {most}"
        raise _wrong("--layer", text, wrong, "cli.too_many_layers", most=MAX_LAYER)
    return range(first, last + 1)


def parse_fraction(text: str | None) -> float | None:
    """Read `--fraction`; the step checks that it lies between 0 and 1. Raises RecipeError."""
    if text is None or _is_float(text):
        return None if text is None else float(text)
    raise _wrong("--fraction", text, "not a number; give the share to prune (0 < f <= 1)", "cli.not_a_fraction")


def parse_count(text: str | None) -> int | None:
    """Read `--count`; the step checks that there are as many. Raises RecipeError."""
    if text is None or re.fullmatch(r"[+-]?(0|[1-9]\d{0,17})", text, re.ASCII):
        return None if text is None else int(text)
    raise _wrong("--count", text, "not a whole number; give how many to prune (1 or more)", "cli.not_a_count")


def parse_options(given: Iterable[str]) -> dict[str, Option]:
    """Read `key=value` arguments: numbers, inf, true, false and null become values. Raises RecipeError."""
    options: dict[str, Option] = {}
    for text in given:
        key, equals, value = text.partition("=")
        key = key.strip()
        if not equals or not key:
            raise _wrong("--option", text, "not a setting; write it as key=value, such as n=2", "cli.not_a_setting")
        if key in options:
            raise _wrong("--option", key, "given twice; give it once", "cli.option_twice")
        options[key] = parse_value(value.strip(), key)
    return options


def parse_value(text: str, key: str) -> Option:
    """Read one value as JSON does, with more ways to write infinity; anything else is text. Raises RecipeError."""
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if (instead := plainer(text)) is not None:
        wrong = "can be read in several ways; write {plainer}, or put it in quotes if it is text"
        raise _wrong("--option", f"{key}={text}", wrong, "cli.unclear_value", plainer=instead)
    if re.fullmatch(r"[+-]?\d+", text, re.ASCII):
        return int(text)
    if _is_float(text):
        if math.isinf(float(text)):
            raise _wrong(
                "--option", f"{key}={text}", "too large for a number; write inf if it is meant", "cli.too_large"
            )
        return float(text)
    if text[:1] in ('"', "[", "{"):
        return _parse_quoted(text, key)
    return text


def _is_float(text: str) -> bool:
    return re.fullmatch(r"[+-]?(\d+\.\d*|\.?\d+)([eE][+-]?\d+)?", text, re.ASCII) is not None


def _parse_quoted(text: str, key: str) -> str:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, str):
        wrong = "neither a number, true, false, null, inf nor text"
        raise _wrong("--option", f"{key}={text}", wrong, "cli.not_a_value")
    return value


def _wrong(flag: str, text: str | None, sentence: str, code: str, **values: object) -> RecipeError:
    """Build the error for the value of a flag."""
    given = shortened(str(text))
    return RecipeError("{flag} {given!r}: " + sentence, code=code, flag=flag, given=given, **values)

"""Parse the text of a recipe, which may be hostile, into plain data in bounded time."""

import json
from typing import Any

import yaml

from .errors import Message, RecipeError, shortened

MAX_BYTES = 64_000
"""Characters; longer texts are refused before parsing."""
MAX_DEPTH = 16
"""Levels of nesting; parsing stops where YAML gets deeper."""
_LONG_NUMBER = Message("a number has more than 64 bits; the limit is 64", code="yaml.long_number")


def from_json(text: str) -> Any:
    """Parse JSON. Raises RecipeError with the line of the mistake."""
    _check_length(text)
    try:
        return _refuse_long_numbers(json.loads(text, object_pairs_hook=_once))
    except (ValueError, RecursionError) as error:
        raise RecipeError("the recipe is not valid JSON: {reason}", code="recipe.json", reason=_reason(error)) from None


def from_yaml(text: str) -> Any:
    """Parse YAML without anchors or tags. Raises RecipeError with the line of the mistake."""
    _check_length(text)
    try:
        return _refuse_long_numbers(yaml.load(text, Loader=_Strict))
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        raise RecipeError("the recipe is not valid YAML: {reason}", code="recipe.yaml", reason=_reason(error)) from None


def _once(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    """Make a mapping. Raises ValueError for a repeated key, one of whose values would be lost."""
    seen: set[str] = set()
    for key, _ in pairs:
        if str(key) in seen:
            raise ValueError(
                Message("{key!r} is given twice; give it once", code="yaml.repeated_key", key=shortened(str(key)))
            )
        seen.add(str(key))
    return dict(pairs)


class _Strict(yaml.SafeLoader):  # type: ignore[misc]
    """PyYAML's safe loader, with anchors, aliases and tags refused, which YAML bombs are made of."""

    depth = 0

    def get_event(self) -> yaml.Event:
        """Refuse anchors, aliases, tags and deep nesting. Raises ValueError."""
        event = super().get_event()
        line = event.start_mark.line + 1
        self.depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if self.depth > MAX_DEPTH:  # the scanner's time grows with the square of the depth
            raise ValueError(
                Message(
                    "nested too deep; the limit is {most} levels (line {line})",
                    code="yaml.depth", most=MAX_DEPTH, line=line,
                )
            )  # fmt: skip
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise ValueError(
                Message("anchors and aliases are not allowed (line {line})", code="yaml.anchor", line=line)
            )
        if getattr(event, "tag", None):
            raise ValueError(Message("tags are not allowed (line {line})", code="yaml.tag", line=line))
        return event

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Refuse merge keys and repeated keys. Raises ValueError."""
        if any(key.tag == "tag:yaml.org,2002:merge" for key, _ in node.value):
            line = node.start_mark.line + 1
            raise ValueError(Message("merge keys are not allowed (line {line})", code="yaml.merge", line=line))
        _once([(key.value, None) for key, _ in node.value if isinstance(key, yaml.ScalarNode)])


def _refuse_long_numbers(value: Any) -> Any:
    """Return plain data as it is. Raises ValueError for a whole number of more than 64 bits."""
    if isinstance(value, int) and abs(value) >= 2**64:
        raise ValueError(_LONG_NUMBER)
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _refuse_long_numbers(inner)
    return value


def _check_length(text: str) -> None:
    if len(text) > MAX_BYTES:
        raise RecipeError(
            "the recipe is too long; the limit is {most:,} characters", code="recipe.long", most=MAX_BYTES
        )


def _reason(error: Exception) -> str | Message:
    """Describe a parse error in one line; PyYAML does so in several, and calls the text "<unicode string>"."""
    if error.args and isinstance(error.args[0], Message):
        return error.args[0]
    if "integer string conversion" in str(error):  # Python's own limit, of thousands of digits
        return _LONG_NUMBER
    mark = getattr(error, "problem_mark", None)
    if mark is not None:
        return Message(
            "line {line}, column {column}: {reason}",
            code="yaml.syntax", line=mark.line + 1, column=mark.column + 1, reason=getattr(error, "problem", ""),
        )  # fmt: skip
    return " ".join(str(error).split()).replace(' in "<unicode string>"', "")

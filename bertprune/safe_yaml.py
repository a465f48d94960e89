"""From the text of a recipe, which anybody may have written, to plain data, in bounded time."""

import json
from typing import Any

import yaml

from .errors import RecipeError, shortened

MAX_BYTES = 64_000
"""No honest recipe is longer; a longer text is refused before it is parsed."""
MAX_DEPTH = 16
"""No honest recipe is nested deeper; YAML that is, is refused where it gets there."""
_LONG_NUMBER = "a number has more than 64 bits, which no recipe needs"


def from_json(text: str) -> Any:
    """Parse JSON. Raises RecipeError with the line of the mistake."""
    _check_length(text)
    try:
        return _of_bounded_numbers(json.loads(text, object_pairs_hook=_once))
    except (ValueError, RecursionError) as error:
        raise RecipeError(f"the recipe is not valid JSON: {_mistake(error)}") from None


def from_yaml(text: str) -> Any:
    """Parse YAML without anchors or tags. Raises RecipeError with the line of the mistake."""
    _check_length(text)
    try:
        return _of_bounded_numbers(yaml.load(text, Loader=_Strict))
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        raise RecipeError(f"the recipe is not valid YAML: {_mistake(error)}") from None


def _once(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    """Make a mapping; raises ValueError where it gives a key twice, as one of the two would be lost."""
    seen: set[str] = set()
    for key, _ in pairs:
        if str(key) in seen:
            raise ValueError(f"{shortened(str(key))!r} is given twice; each may be there once")
        seen.add(str(key))
    return dict(pairs)


class _Strict(yaml.SafeLoader):  # type: ignore[misc]
    """YAML's own reader without its machinery for sharing and typing nodes: a recipe has no use for it, a bomb has."""

    depth = 0

    def get_event(self) -> yaml.Event:
        """Stop at an event that no recipe needs."""
        event = super().get_event()
        line = f"line {event.start_mark.line + 1}"
        self.depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if self.depth > MAX_DEPTH:  # the scanner's time grows with the square of the depth
            raise ValueError(f"nested deeper than {MAX_DEPTH} levels, which no recipe needs ({line})")
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise ValueError(f"anchors and aliases are not allowed ({line})")
        if getattr(event, "tag", None):
            raise ValueError(f"tags are not allowed ({line})")
        return event

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Refuse what would be merged in, or be lost."""
        if any(key.tag == "tag:yaml.org,2002:merge" for key, _ in node.value):
            raise ValueError(f"merge keys are not allowed (line {node.start_mark.line + 1})")
        _once([(key.value, None) for key, _ in node.value if isinstance(key, yaml.ScalarNode)])


def _of_bounded_numbers(value: Any) -> Any:
    """Return plain data as it is; raises ValueError for a whole number that nobody could even print."""
    if isinstance(value, int) and abs(value) >= 2**64:
        raise ValueError(_LONG_NUMBER)
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _of_bounded_numbers(inner)
    return value


def _check_length(text: str) -> None:
    if len(text) > MAX_BYTES:
        raise RecipeError(f"the recipe is longer than {MAX_BYTES:,} characters, which no recipe needs")


def _mistake(error: Exception) -> str:
    """Say where and what, in one line; PyYAML's own words take several, and call the text "<unicode string>"."""
    if "integer string conversion" in str(error):  # Python's own limit, of thousands of digits
        return _LONG_NUMBER
    mark = getattr(error, "problem_mark", None)
    if mark is not None:
        return f"line {mark.line + 1}, column {mark.column + 1}: {getattr(error, 'problem', '')}"
    return " ".join(str(error).split()).replace(' in "<unicode string>"', "")

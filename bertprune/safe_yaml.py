"""Parse the text of a recipe, which may be hostile, into plain data in bounded time.

YAML reads some plain words differently from most people: `010` as 8, `1:30` as 90, `yes` as a bool, `5e-1` as text.
Numbers that have one meaning are read as numbers here; words that have several are refused, with what to write instead.
"""

import json
import re
from typing import Any, ClassVar

import yaml

from .errors import Message, RecipeError, shortened

MAX_BYTES = 64_000
"""Characters; longer texts are refused before parsing."""
MAX_DEPTH = 16
"""Levels of nesting; parsing stops where YAML gets deeper."""
_DECIMAL = Message("a plain decimal number", code="yaml.decimal")
_WORDS = {"yes": "true", "on": "true", "no": "false", "off": "false", "none": "null", "~": "null"}
_BASES = ("x", "o", "b")
_LONG_NUMBER = Message("a number has more than 64 bits; the limit is 64", code="yaml.long_number")


def from_json(text: str) -> Any:
    """Parse JSON. Raises RecipeError with the line of the mistake."""
    _check_length(text)
    try:
        return _refuse_long_numbers(json.loads(text, object_pairs_hook=_once))
    except (ValueError, RecursionError) as error:
        raise RecipeError(
            "the recipe is not valid JSON: {reason}", code="recipe.json", reason=_describe_mistake(error, text)
        ) from None


def from_yaml(text: str) -> Any:
    """Parse YAML without anchors or tags. Raises RecipeError with the line of the mistake."""
    _check_length(text)
    try:
        return _refuse_long_numbers(yaml.load(text, Loader=_Strict))
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        raise RecipeError(
            "the recipe is not valid YAML: {reason}", code="recipe.yaml", reason=_describe_mistake(error, text)
        ) from None


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


def plainer(text: str) -> str | Message | None:
    """Return what to write instead of a word that is read in several ways; None where it is read in one."""
    if not _UNCLEAR.match(text):
        return None
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if ":" in text or len(text) > 20:  # base 60, or too long to convert
        return _DECIMAL
    digits = text.replace("_", "")
    sign, bare = digits[: -len(digits.lstrip("+-"))], digits.lstrip("+-")
    return sign + (str(int(bare, 0)) if bare[1:2].lower() in _BASES else re.sub(r"^0+(?=\d)", "", bare))


_UNCLEAR = re.compile(
    r"""( (?i: yes | no | on | off | none ) | ~
    | [-+]? ( 0\d+ | 0[xX]_*[\da-fA-F][\da-fA-F_]* | 0[oO]_*[0-7][0-7_]* | 0[bB]_*[01][01_]*
            | \d[\d_]* (:[0-5]?\d)+ (\.[\d_]*)?
            | \d+_[\d_]* (\.[\d_]*)? ([eE][-+]?\d+)? )
    )\Z""",
    re.ASCII | re.VERBOSE,
)
_PLAIN = {
    "null": r"(null|Null|NULL|)\Z",
    "bool": r"(true|True|TRUE|false|False|FALSE)\Z",
    "int": r"[-+]?(0|[1-9]\d*)\Z",
    "float": r"([-+]?(\d+\.\d*|\.\d+)([eE][-+]?\d+)?|[-+]?\d+[eE][-+]?\d+|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))\Z",
    "merge": r"<<\Z",
}
_UNCLEAR_TAG = "unclear"
_RESOLVERS = [(_UNCLEAR_TAG, _UNCLEAR)]
_RESOLVERS += [(f"tag:yaml.org,2002:{name}", re.compile(pattern, re.ASCII)) for name, pattern in _PLAIN.items()]


class _Strict(yaml.SafeLoader):  # type: ignore[misc]
    """PyYAML's safe loader, with anchors, aliases and tags refused, which YAML bombs are made of."""

    yaml_implicit_resolvers: ClassVar[dict[Any, Any]] = {None: _RESOLVERS}
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
        if isinstance(event, yaml.AliasEvent):
            raise ValueError(
                Message(
                    "aliases are not allowed (line {line}); put a glob in quotes: {glob!r}",
                    code="yaml.alias", line=line, glob=shortened(f"*{event.anchor}"),
                )
            )  # fmt: skip
        if getattr(event, "anchor", None):
            raise ValueError(Message("anchors are not allowed (line {line})", code="yaml.anchor", line=line))
        if getattr(event, "tag", None):
            raise ValueError(Message("tags are not allowed (line {line})", code="yaml.tag", line=line))
        return event

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Refuse merge keys and repeated keys. Raises ValueError."""
        if any(key.tag == "tag:yaml.org,2002:merge" for key, _ in node.value):
            line = node.start_mark.line + 1
            raise ValueError(Message("merge keys are not allowed (line {line})", code="yaml.merge", line=line))
        _once([(key.value, None) for key, _ in node.value if isinstance(key, yaml.ScalarNode)])


def _refuse_unclear(loader: _Strict, node: yaml.ScalarNode) -> None:
    given, line = shortened(node.value), node.start_mark.line + 1
    raise ValueError(
        Message(
            "{given!r} can be read in several ways (line {line}); write {plainer}, or put it in quotes if it is text",
            code="yaml.unclear", given=given, line=line, plainer=plainer(node.value),
        )
    )  # fmt: skip


_Strict.add_constructor(_UNCLEAR_TAG, _refuse_unclear)


class Dumper(yaml.SafeDumper):  # type: ignore[misc]
    """PyYAML's safe dumper, which also quotes what `from_yaml` would not read as text."""

    yaml_implicit_resolvers: ClassVar[dict[Any, Any]] = {**yaml.SafeDumper.yaml_implicit_resolvers, None: _RESOLVERS}


def _refuse_long_numbers(value: Any) -> Any:
    """Return plain data as it is. Raises ValueError for a whole number of more than 64 bits."""
    if isinstance(value, int) and abs(value) >= 2**64:
        raise ValueError(_LONG_NUMBER)
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _refuse_long_numbers(inner)
    return value


def _check_length(text: Any) -> None:
    if not isinstance(text, str):
        raise RecipeError(
            "the text of a recipe must be a string, not {kind}; Recipe.load reads a file",
            code="recipe.no_text", kind=type(text).__name__,
        )  # fmt: skip
    if len(text) > MAX_BYTES:
        raise RecipeError(
            "the recipe is too long; the limit is {most:,} characters", code="recipe.long", most=MAX_BYTES
        )


def _describe_mistake(error: Exception, text: str) -> str | Message:
    """Describe a parse error in one line; PyYAML does so in several, and calls the text "<unicode string>"."""
    if error.args and isinstance(error.args[0], Message):
        return error.args[0]
    if "integer string conversion" in str(error):  # Python's own limit, of thousands of digits
        return _LONG_NUMBER
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return " ".join(str(error).split()).replace(' in "<unicode string>"', "")
    syntax = Message(
        "line {line}, column {column}: {reason}",
        code="yaml.syntax", line=mark.line + 1, column=mark.column + 1, reason=getattr(error, "problem", ""),
    )  # fmt: skip
    glob = _glob_without_quotes(text.split("\n")[mark.line : mark.line + 1])
    if glob is None:
        return syntax
    return Message("{error}; put a glob in quotes: {glob!r}", code="yaml.glob", error=syntax, glob=shortened(glob))


def _glob_without_quotes(lines: list[str]) -> str | None:
    """Find what may be meant as a glob in lines of YAML, where `*` and `{` begin something else."""
    bare = _QUOTED.sub(" ", " ".join(lines))
    return next((glob for glob in _GLOB.findall(bare) if "*" in glob or "{" in glob), None)


_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_GLOB = re.compile(r"(?:[\w.*?]|\{[\w,.*]*\})+")

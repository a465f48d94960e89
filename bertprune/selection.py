"""Selections: which tensors of a model a step prunes."""

import re
import sys
from functools import reduce
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StrictStr

from .errors import Message, shortened
from .validation import FrozenModel, as_integer

Role = Literal[
    "embeddings.word",
    "embeddings.position",
    "embeddings.token_type",
    "attention.query",
    "attention.key",
    "attention.value",
    "attention.output",
    "ffn.intermediate",
    "ffn.output",
    "pooler",
    "head",
]
"""The parts of a transformer encoder of a known family."""


def as_tuple(value: Any) -> Any:
    """Convert a single value to a tuple of one, and lists to a tuple; a class is refused, with the name to write."""
    value = value.tolist() if type(value).__module__ == "numpy" and hasattr(value, "tolist") else value
    value = tuple(value) if isinstance(value, list | tuple | range) else value
    for one in value if isinstance(value, tuple) else (value,):
        if isinstance(one, type):
            raise ValueError(
                Message("should be a name such as {name!r}, not a class", code="field.class", name=one.__name__)
            )
    return (value,) if isinstance(value, str | int | FrozenModel) else value


def _as_layers(value: Any) -> Any:
    """Convert layers as `as_tuple` does; ranges as in the shell are refused with the list to write."""
    if isinstance(value, str) and _RANGES.fullmatch(value):
        ranges = [part.split("-") for part in value.replace(" ", "").split(",")]
        numbers = [number for ends in ranges for number in range(int(ends[0]), int(ends[-1]) + 1)]
        raise ValueError(
            Message(
                "should be a list of integers: write {numbers} for {given!r}",
                code="field.layer_range", numbers=str(numbers), given=value,
            )
        )  # fmt: skip
    return as_tuple(value)


_RANGES = re.compile(r"\s*\d{1,2}(\s*-\s*\d{1,2})?(\s*,\s*\d{1,2}(\s*-\s*\d{1,2})?)*\s*", re.ASCII)
Names = Annotated[tuple[StrictStr, ...], BeforeValidator(as_tuple)]
LayerNumber = Annotated[int, Field(strict=True, ge=0), BeforeValidator(as_integer)]


class Selection(FrozenModel):
    """Select the tensors that a step prunes: those that meet every given condition. An empty field is no condition.

    Example:
        >>> import bertprune as bp
        >>> queries = bp.Selection(roles="attention.query", layers=[0, 1])
        >>> step = bp.Step(method="l1_unstructured", fraction=0.5, select=queries)
        >>> bp.preview("demo", step).steps[0].targets[0]
        'bert.encoder.layer.0.attention.self.query.weight'
    """

    roles: Annotated[tuple[Role, ...], BeforeValidator(as_tuple)] = ()
    """Parts of the encoder, such as `attention.query`, known for the encoder families that the README lists."""
    layers: Annotated[tuple[LayerNumber, ...], BeforeValidator(_as_layers)] = ()
    """Encoder layers, counted from zero."""
    types: Names = ()
    """Class names of modules, such as `Linear`."""
    include: Names = ()
    """Globs over module paths; `*` crosses dots, braces list alternatives, the base-model prefix may be left out."""
    exclude: Names = ()
    """Globs over module paths to leave out."""
    tensor: StrictStr = Field(default="weight", min_length=1)
    """The parameter's name within its module."""

    def __str__(self) -> str:
        """Describe the selection in one line, as tables show it."""
        return str(selection_in_words(self))


def describe(selection: Selection) -> Message:
    """Describe a selection in a message of at most a few lines; where nothing is selected by, as every tensor."""
    if words := _conditions(selection, most=100):
        return _joined([*words, *_tensor(selection)])
    return Message("every {tensor}", code="selection.every", tensor=shortened(selection.tensor))


def selection_in_words(selection: Selection) -> Message:
    """Write a selection as `str` does, in a message that can be translated."""
    conditions = _conditions(selection) or [Message("everything", code="selection.everything")]
    return _joined([*conditions, *_tensor(selection)])


def _conditions(selection: Selection, most: int = sys.maxsize) -> list[Message]:
    fields = ("roles", "layers", "types", "include", "exclude")
    names = {field: shortened(",".join(map(str, getattr(selection, field))), most) for field in fields}
    conditions = (
        Message("roles {names}", code="selection.roles", names=names["roles"]),
        Message("layers {names}", code="selection.layers", names=names["layers"]),
        Message("types {names}", code="selection.types", names=names["types"]),
        Message("include {names}", code="selection.include", names=names["include"]),
        Message("exclude {names}", code="selection.exclude", names=names["exclude"]),
    )
    return [condition for condition in conditions if condition.values["names"]]


def _tensor(selection: Selection) -> list[Message]:
    named = Message("tensor {name}", code="selection.tensor", name=shortened(selection.tensor))
    return [] if selection.tensor == "weight" else [named]


def _joined(words: list[Message]) -> Message:
    return reduce(lambda one, other: Message("{one}; {other}", code="selection.both", one=one, other=other), words)

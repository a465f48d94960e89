"""Selections: which tensors of a model a step prunes."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StrictStr

from .errors import Message, shortened
from .validation import FrozenModel

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
    """Convert a single one to a tuple of one."""
    if isinstance(value, str | int | FrozenModel) and not isinstance(value, bool):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


Names = Annotated[tuple[StrictStr, ...], BeforeValidator(as_tuple)]
LayerNumber = Annotated[int, Field(strict=True, ge=0)]


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
    layers: Annotated[tuple[LayerNumber, ...], BeforeValidator(as_tuple)] = ()
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
        conditions = _conditions(self) or ["everything"]
        return "; ".join(conditions) + ("" if self.tensor == "weight" else f"; tensor {self.tensor}")


def describe(selection: Selection) -> str | Message:
    """Describe a selection in a message that can be translated."""
    if not _conditions(selection):
        return Message("every {tensor}", code="selection.every", tensor=shortened(selection.tensor))
    return shortened(str(selection), 300)


def _conditions(selection: Selection) -> list[str]:
    fields = {name: getattr(selection, name) for name in ("roles", "layers", "types", "include", "exclude")}
    return [f"{name} {','.join(map(str, value))}" for name, value in fields.items() if value]

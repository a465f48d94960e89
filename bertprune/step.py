"""Steps: one act of pruning, its method, amount, scope and selection, as data."""

import math
import re
from collections.abc import Mapping
from operator import index
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    field_serializer,
    field_validator,
    model_validator,
)

from .errors import Message, RecipeError, kind_of
from .selection import Selection, selection_in_words
from .validation import FrozenModel, as_integer

ScopeName = Literal["local", "row", "global"]
Kind = Literal["element", "slice", "row", "column", "pattern", "block", "neuron", "head", "layer", "token"]
"""What is pruned together: `pattern` is N:M, and `slice` is along the option `dim` of torch's structured methods."""
Option = StrictBool | StrictInt | StrictFloat | StrictStr | None

_GRANULARITY = re.compile(
    r"(?P<kind>element|row|column|neuron|head|layer|token)|(?P<kept>\d{1,4}):(?P<of>\d{1,4})|block:(?P<height>\d{1,5})x(?P<width>\d{1,5})"
)
_USUAL_METHODS = {"layer": "layer_change", "token": "token_count"}
"""The method where a step names none, by granularity."""
_INFINITIES = {"inf": math.inf, "infinity": math.inf, "-inf": -math.inf, "-infinity": -math.inf}


def parse_granularity(text: str) -> tuple[Kind, tuple[int, ...]] | None:
    """Return the kind of a granularity and its numbers: N and M, or the rows and columns of a block; None for none."""
    match = _GRANULARITY.fullmatch(text)
    if match is None:
        return None
    if match["kind"]:
        return match["kind"], ()  # type: ignore[return-value]
    if match["kept"]:
        kept, of = int(match["kept"]), int(match["of"])
        return ("pattern", (kept, of)) if 0 < kept < of else None
    size = int(match["height"]), int(match["width"])
    return ("block", size) if min(size) > 0 else None


def _as_selection(value: Any) -> Any:
    """Accept a glob, or a list of globs, in place of a selection that includes them."""
    return {"include": value} if isinstance(value, str | list | tuple) else value


class ReadOnly(dict[str, Option]):
    """The options of a step, which cannot be changed: masks, hash and recipe belong together."""

    def _refuse(self, *args: Any, **given: Any) -> Any:
        raise TypeError("the options of a step cannot be changed; make another step, as with step.model_copy(update=…)")

    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        """Let pickle and copy build it from a plain dict."""
        return ReadOnly, (dict(self),)


class Step(FrozenModel):
    """Describe one pruning step: a method, an amount, a scope and a selection.

    Example:
        >>> import bertprune as bp
        >>> step = bp.Step(method="ln_structured", count=8, options={"dim": 1}, select="encoder.layer.0.*")
        >>> print(step)
        ln_structured 8 local, dim=1 on include encoder.layer.0.*
    """

    method: StrictStr = Field(min_length=1)
    """A registered method's name; `bertprune.methods()` lists them. With granularity `layer` or `token`
    it may be left out."""
    fraction: Annotated[float, Field(strict=True, gt=0, le=1)] | None = None
    """The share to prune of what is still alive (0 < f ≤ 1); give this or `count`."""
    count: Annotated[int, BeforeValidator(as_integer), Field(strict=True, ge=1)] | None = None
    """How many to prune, of what the granularity says: in each tensor or layer (`local`), in each row (`row`), or in
    total (`global`)."""
    scope: ScopeName = "local"
    """`local`: each tensor is ranked by itself, or each layer for neurons and heads. `row`: each output row by itself.
    `global`: all selected tensors are ranked together."""
    granularity: StrictStr | None = None
    """What goes together: `element`, `row`, `column`, `2:4` or any N:M (keeps N of each M along the input; then neither
    fraction nor count), `block:RxC`, `neuron`, `head`, `layer` (a whole layer of the encoder) and `token` (a word of
    the vocabulary, with its tokenizer), which are removed at once; the method's own by default."""
    reconstruct: StrictBool = False
    """Whether what stays is solved anew on the calibration texts to make up for what goes, layer by layer; it is kept
    where that lowers the drift of the model's output on texts that were held back."""
    select: Annotated[Selection, BeforeValidator(_as_selection)] = Selection()
    """The tensors to prune; a glob or a list of globs is short for `Selection(include=…)`."""
    options: Mapping[StrictStr, Option] = Field(default_factory=ReadOnly)
    """The method's own options, checked against the method when the recipe is applied or previewed."""

    @model_validator(mode="before")
    @classmethod
    def _usual_method(cls, data: Any) -> Any:
        given = data.get("granularity") if isinstance(data, Mapping) and "method" not in data else None
        usual = _USUAL_METHODS.get(given) if isinstance(given, str) else None
        return data if usual is None else {"method": usual, **data}

    @field_validator("options")
    @classmethod
    def _infinities_from_text(cls, options: Mapping[str, Option]) -> dict[str, Option]:
        if any(isinstance(value, float) and math.isnan(value) for value in options.values()):
            raise ValueError(Message("an option must not be NaN", code="field.nan_option"))
        return ReadOnly(
            (key, _INFINITIES.get(value.lower(), value) if isinstance(value, str) else value)
            for key, value in sorted(options.items())
        )

    @field_serializer("options")
    def _infinities_to_text(self, options: Mapping[str, Option]) -> dict[str, Option]:
        infinite = (math.inf, -math.inf)
        return {key: str(value) if value in infinite else value for key, value in options.items()}

    @field_validator("granularity")
    @classmethod
    def _known_granularity(cls, text: str | None) -> str | None:
        if text is not None and parse_granularity(text) is None:
            raise ValueError(
                Message(
                    "should be element, row, column, neuron, head, layer, token, N:M such as 2:4, or block:RxC such as"
                    " block:4x4",
                    code="field.granularity",
                )
            )
        return text

    @property
    def is_pattern(self) -> bool:
        """Whether the granularity is N:M, which is its own amount."""
        return self.granularity is not None and ":" in self.granularity and not self.granularity.startswith("block")

    @model_validator(mode="after")
    def _one_amount(self) -> Self:
        if self.is_pattern:
            if self.fraction is not None or self.count is not None:
                raise ValueError(
                    Message(
                        "give neither fraction nor count with {granularity}, which says how many stay",
                        code="field.pattern_amount",
                        granularity=self.granularity,
                    )
                )
        elif (self.fraction is None) == (self.count is None):
            raise ValueError(
                Message(
                    "give either fraction (0 < f ≤ 1) or count (an integer ≥ 1), and not both", code="field.one_amount"
                )
            )
        return self

    def __hash__(self) -> int:
        options = tuple(self.options.items())
        how = (self.method, self.fraction, self.count, self.scope, self.granularity, self.reconstruct)
        return hash((*how, self.select, options))

    @property
    def amount(self) -> int | float | None:
        """The count or the fraction, whichever is given, as torch's functions take it."""
        return self.fraction if self.count is None else self.count

    def amount_of(self, alive: int) -> int:
        """Compute how many entries or slices to prune, rounded as in torch (half to even).

        Args:
            alive: An integer, how many entries or slices are alive.

        Returns:
            `count`, or `fraction` of `alive`, as an integer; `count` may be more than `alive`.

        Raises:
            RecipeError: `alive` is not an integer.

        Example:
            >>> import bertprune as bp
            >>> bp.Step(method="l1_unstructured", fraction=0.3).amount_of(589_824)
            176947
        """
        try:
            whole = index(alive)
        except TypeError:
            kind = kind_of(alive)
            raise RecipeError("`alive` must be an integer, not {kind}", code="recipe.alive", kind=kind) from None
        return self.count if self.count is not None else round((self.fraction or 0.0) * whole)

    def __str__(self) -> str:
        """Describe the step in one line, as the tables do."""
        return str(step_in_words(self))


_SCOPES: dict[ScopeName, Message] = {
    "local": Message("local", code="step.local"),
    "row": Message("row", code="step.row_scope"),
    "global": Message("global", code="step.global"),
}
_GRANULARITIES = {
    "element": Message("element", code="step.element"),
    "row": Message("row", code="step.row"),
    "column": Message("column", code="step.column"),
    "neuron": Message("neuron", code="step.neuron"),
    "head": Message("head", code="step.head"),
    "layer": Message("layer", code="step.layer"),
    "token": Message("token", code="step.token"),
}
_RECONSTRUCTED = Message(", reconstructed", code="step.reconstructed")


def step_in_words(step: Step) -> Message:
    """Write a step as `str` does, in a message that can be translated."""
    how = {
        "method": step.method,
        "amount": _amount(step),
        "adjusted": _RECONSTRUCTED if step.reconstruct else "",
        "options": "".join(f", {key}={value}" for key, value in step.options.items()),
        "select": selection_in_words(step.select),
    }
    if step.is_pattern or step.granularity in ("layer", "token"):  # which have one scope
        return Message("{method} {amount}{adjusted}{options} on {select}", code="step.by_pattern", **how)
    scope = _SCOPES[step.scope]
    return Message("{method} {amount} {scope}{adjusted}{options} on {select}", code="step.words", scope=scope, **how)


def _amount(step: Step) -> Message | str:
    """Write how many of what; N:M is both."""
    if step.fraction is not None:
        amount = "1.0" if step.fraction == 1 else f"{step.fraction:.4g}"  # a 1 would be a count
    else:
        amount = "" if step.count is None else f"{step.count:,}"
    if step.granularity is None:
        return amount
    together = _GRANULARITIES.get(step.granularity, step.granularity)
    return Message("{amount} {together}", code="step.amount", amount=amount, together=together) if amount else together

"""Steps: one act of pruning, its method, amount, scope and selection, as data."""

import math
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
from .selection import Selection
from .validation import FrozenModel, as_integer

ScopeName = Literal["local", "global"]
Option = StrictBool | StrictInt | StrictFloat | StrictStr | None

_INFINITIES = {"inf": math.inf, "infinity": math.inf, "-inf": -math.inf, "-infinity": -math.inf}


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
    """A registered method's name; `bertprune.methods()` lists them."""
    fraction: Annotated[float, Field(strict=True, gt=0, le=1)] | None = None
    """The share to prune of what is still alive (0 < f ≤ 1); give this or `count`."""
    count: Annotated[int, BeforeValidator(as_integer), Field(strict=True, ge=1)] | None = None
    """How many to prune: entries, or slices for structured methods; in each tensor (local) or in total (global)."""
    scope: ScopeName = "local"
    """`local`: each tensor is ranked by itself. `global`: all selected tensors are ranked together."""
    select: Annotated[Selection, BeforeValidator(_as_selection)] = Selection()
    """The tensors to prune; a glob or a list of globs is short for `Selection(include=…)`."""
    options: Mapping[StrictStr, Option] = Field(default_factory=ReadOnly)
    """The method's own options, checked against the method when the recipe is applied or previewed."""

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

    @model_validator(mode="after")
    def _one_amount(self) -> Self:
        if (self.fraction is None) == (self.count is None):
            raise ValueError(
                Message(
                    "give either fraction (0 < f ≤ 1) or count (an integer ≥ 1), and not both", code="field.one_amount"
                )
            )
        return self

    def __hash__(self) -> int:
        return hash((self.method, self.fraction, self.count, self.scope, self.select, tuple(self.options.items())))

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
        share = "1.0" if self.fraction == 1 else f"{self.fraction or 0:.4g}"  # a 1 would be a count
        amount = share if self.count is None else f"{self.count:,}"
        options = "".join(f", {key}={value}" for key, value in self.options.items())
        return f"{self.method} {amount} {self.scope}{options} on {self.select}"

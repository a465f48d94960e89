"""Frozen data models that report what is wrong with their input in one line."""

from collections.abc import Mapping
from functools import reduce
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from .errors import Message, RecipeError, shortened, shown

_MOST_PROBLEMS = 8  # in one message
_OWN_WORDS = {"extra_forbidden": "is not a field", "missing": "is missing"}
"""What we say instead of pydantic, by the type of the problem."""

if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass
else:
    ModelMetaclass = type(BaseModel)


class _OneLine(ModelMetaclass):
    """Raise pydantic's report as one line from the outermost call, which knows the whole location."""

    def __call__(cls, *args: Any, **data: Any) -> Any:
        if args:
            fields: Mapping[str, Any] = cls.model_fields  # type: ignore[attr-defined]
            raise RecipeError(
                "{model} takes its fields by name: {fields}",
                code="recipe.positional", model=cls.__name__, fields=", ".join(fields),
            )  # fmt: skip
        try:
            return super().__call__(**data)
        except ValidationError as error:
            raise _in_one_line(cls.__name__, error) from None


class FrozenModel(BaseModel, metaclass=_OneLine):
    """An immutable model without unknown fields; invalid input raises a RecipeError of one line."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def model_validate(cls, obj: Any, **kwargs: Any) -> Self:
        """Build the model from plain data; see pydantic. Raises RecipeError."""
        try:
            return super().model_validate(obj, **kwargs)
        except ValidationError as error:
            raise _in_one_line(cls.__name__, error) from None


def describe_problem(detail: Mapping[str, Any]) -> Message:
    """Convert one problem that pydantic found to a message without location; its code is `field.` and its type."""
    if isinstance(message := getattr(detail.get("ctx", {}).get("error"), "args", (None,))[0], Message):
        return message  # one of our own validators raised ValueError(Message(…))
    context = {key: value for key, value in detail.get("ctx", {}).items() if isinstance(value, str | int | float)}
    text = _OWN_WORDS.get(detail["type"], detail["msg"].removeprefix("Input "))
    return Message("{text}", code=f"field.{detail['type']}", text=text, **context)


def _in_one_line(model: str, error: ValidationError) -> RecipeError:
    """Convert pydantic's report to one line: where, what is wrong, what was given."""
    details = error.errors(include_url=False)
    problems = {str(problem): problem for problem in map(_located, details[:_MOST_PROBLEMS])}
    if len(details) > _MOST_PROBLEMS:
        more = Message("and {more} more", code="recipe.more_problems", more=len(details) - _MOST_PROBLEMS)
        problems[str(more)] = more
    joined = reduce(
        lambda one, other: Message("{one}; {other}", code="recipe.problems", one=one, other=other), problems.values()
    )
    return RecipeError("{model}: {problem}", code="recipe.invalid", model=model.lower(), problem=joined)


def _located(detail: Mapping[str, Any]) -> Message:
    """Describe a problem with its location and the given value."""
    steps = (str(p) if isinstance(p, int) or p.isidentifier() else shortened(repr(p)) for p in detail["loc"])
    where, problem = ".".join(steps)[:200], describe_problem(detail)
    if where:
        problem = Message("{where}: {problem}", code="recipe.field", where=where, problem=problem)
    if detail["type"] in ("missing", "value_error"):
        return problem
    given = shown(detail["input"])
    return Message("{problem} (got {given})", code="recipe.given", problem=problem, given=given)

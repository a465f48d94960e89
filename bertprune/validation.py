"""Frozen data models that report what is wrong with their input in one line."""

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import index
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from .errors import Message, RecipeError, shortened, shown

_MOST_PROBLEMS = 8  # in one message
_OWN_WORDS = {
    "dict_type": "should be a mapping of names to values",
    "extra_forbidden": "is not a field",
    "mapping_type": "should be a mapping of names to values",
    "missing": "is missing",
    "model_type": "should be a mapping of names to values",
    "string_too_short": "should not be empty",
    "tuple_type": "should be a list",
}
"""What we say instead of pydantic, by the type of the problem."""
_PLAIN_VALUE = Message("should be a number, a text, true, false or null", code="field.plain_value")
_CHOICES = ("bool", "int", "float", "str", "none")
"""How pydantic names the types that an option may have."""

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
    if "expected" in context:
        context["expected"] = str(context["expected"]).replace(" or ", ", ")  # a list in any language
    text = _OWN_WORDS.get(detail["type"], detail["msg"].removeprefix("Input "))
    return Message("{text}", code=f"field.{detail['type']}", text=text, **context)


def _in_one_line(model: str, error: ValidationError) -> RecipeError:
    """Convert pydantic's report to one line: where, what is wrong, what was given."""
    details = _one_for_each_value(error.errors(include_url=False))
    problems = {str(problem): problem for problem in map(_located, details[:_MOST_PROBLEMS])}
    if len(details) > _MOST_PROBLEMS:
        more = Message("and {more} more", code="recipe.more_problems", more=len(details) - _MOST_PROBLEMS)
        problems[str(more)] = more
    joined = reduce(
        lambda one, other: Message("{one}; {other}", code="recipe.problems", one=one, other=other), problems.values()
    )
    return RecipeError("{model}: {problem}", code="recipe.invalid", model=model.lower(), problem=joined)


def _one_for_each_value(details: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Keep one problem of a value that may have several types, for each of which pydantic has one."""
    kept: dict[Any, Mapping[str, Any]] = {}
    for detail in details:
        one = detail
        if detail["loc"][-1:] and detail["loc"][-1] in _CHOICES and "options" in detail["loc"][:-1]:
            one = {**detail, "loc": detail["loc"][:-1], "type": "other", "ctx": {"error": ValueError(_PLAIN_VALUE)}}
        kept.setdefault((one["loc"], one["type"]), one)
    return list(kept.values())


def _located(detail: Mapping[str, Any]) -> Message:
    """Describe a problem with its location and the given value."""
    where, problem = _place(detail["loc"]), describe_problem(detail)
    if where:
        problem = Message("{where}: {problem}", code="recipe.field", where=where, problem=problem)
    if detail["type"] in ("missing", "value_error"):
        return problem
    given = shown(detail["input"])
    return Message("{problem} (got {given})", code="recipe.given", problem=problem, given=given)


def _place(loc: Sequence[str | int]) -> str | Message:
    """Name a location: steps are counted from one, as everywhere, and items of other lists are shown by their value."""
    named = [part for part in loc if not isinstance(part, int)]
    field = ".".join(part if part.isidentifier() else shortened(repr(part)) for part in named)[:200]
    if loc[:1] != ("steps",) or len(loc) < 2:
        return field
    step = Message("step {step}", code="place.step", step=int(loc[1]) + 1)
    if len(named) == 1:
        return step
    return Message("{step}, {field}", code="recipe.step_field", step=step, field=field.removeprefix("steps."))


def as_integer(value: Any) -> Any:
    """Convert whole numbers of any type, such as NumPy's, to an int; leave everything else to be refused."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        return value
    try:
        return index(value)
    except Exception:  # an array of several, a tensor without values
        return value

"""A method's options: the keyword arguments of its rule as a strict pydantic model."""

import inspect
import types
import warnings
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, create_model

from ..errors import RecipeError, shortened

OF_TEXTS = frozenset({"inputs", "gradients", "after"})
"""Keyword arguments that hold what calibration texts tell."""
FROM_ENGINE = frozenset({"generator", "mask", "amount"}) | OF_TEXTS
"""Keyword arguments that the engine fills in; every other one is an option of the method."""
_OF_PYDANTIC = ("model_config", "model_dump", "model_fields", "model_json_schema")
_VALUES = (bool, int, float, str, type(None))
"""What an option of a step can hold."""


def options_model(name: str, rule: Callable[..., Any]) -> type[BaseModel]:
    """Turn the rule's keyword parameters into a strict pydantic model. Raises RecipeError for what no step can give."""
    init: Callable[..., Any] = rule.__init__ if inspect.isclass(rule) else rule
    hints = get_type_hints(init, include_extras=True)
    fields: dict[str, Any] = {}
    for parameter in _options(init):
        hint = hints.get(parameter.name, Any)
        if not _is_plain(hint):
            raise RecipeError(
                "{method}: the option {argument} is annotated {annotation}, and a step gives options as bool, int,"
                " float, str or None: annotate it as one of these, a Literal, or a union of them",
                code="method.annotation", method=name, argument=parameter.name,
                annotation=shortened(inspect.formatannotation(hint)),
            )  # fmt: skip
        fields[parameter.name] = (hint, ... if parameter.default is parameter.empty else parameter.default)
    for field in fields:  # pydantic would drop them unseen, or needs the name itself
        if field.startswith("_") or field in _OF_PYDANTIC:
            raise ValueError(f"{field} cannot be the name of an option")
    config = ConfigDict(strict=True, extra="forbid", frozen=True, protected_namespaces=())
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # an option may be called copy or json: nobody calls these of a model of options
        return create_model(f"{name}_options", __config__=config, **fields)


def _options(function: Callable[..., Any]) -> Iterator[inspect.Parameter]:
    """Yield the parameters after the first that are neither the engine's nor a collection of others."""
    for parameter in list(inspect.signature(function).parameters.values())[1:]:
        collects = parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
        if parameter.name not in FROM_ENGINE and not collects:
            yield parameter


def _is_plain(hint: Any) -> bool:
    """Return whether a value of a step's options can be of a type."""
    origin = get_origin(hint)
    if origin is Annotated:
        return _is_plain(get_args(hint)[0])
    if origin is Literal:
        return all(isinstance(value, _VALUES) for value in get_args(hint))
    if origin in (Union, types.UnionType):
        return all(map(_is_plain, get_args(hint)))
    return hint is Any or any(hint is kind for kind in _VALUES)

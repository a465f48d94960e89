"""Refuse a method that could never run when it is registered, rather than in the middle of a run."""

import inspect
from collections.abc import Mapping
from typing import Any, get_args

from torch.nn.utils.prune import BasePruningMethod

from ..errors import RecipeError, shown
from ..step import Kind, ScopeName
from .method import Method, Removes
from .options import FROM_ENGINE, OF_TEXTS

_NEEDED_OPTIONS: Mapping[str, str] = {"slice": "dim"}
"""The option that a granularity needs of its methods."""
_BY_PLACE = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def check_name(name: Any) -> None:
    """Refuse what is not the name of a method. Raises RecipeError."""
    if inspect.isfunction(name) or inspect.isclass(name):
        raise RecipeError(
            "@bp.method needs a name: write @bp.method({name!r})", code="method.no_brackets", name=name.__name__
        )
    if not isinstance(name, str) or not name.isidentifier():
        raise RecipeError("a method's name must be an identifier, not {name}", code="method.name", name=shown(name))


def check_words(name: str, removes: Any, scopes: Any, granularities: Any, texts: Mapping[str, Any]) -> None:
    """Refuse unknown granularities and scopes, and descriptions that are not text. Raises RecipeError."""
    if not (isinstance(removes, str) and removes in get_args(Removes)):
        raise RecipeError(
            "{method}: removes must be {known}, not {given}",
            code="method.removes", method=name, known=" or ".join(get_args(Removes)), given=shown(removes),
        )  # fmt: skip
    if scopes is not None and not _are(get_args(ScopeName), scopes):
        raise RecipeError(
            "{method}: scopes must be a tuple of {known}, not {given}",
            code="method.scopes", method=name, known=" and ".join(get_args(ScopeName)), given=shown(scopes),
        )  # fmt: skip
    if granularities is not None and not _are(get_args(Kind), granularities):
        raise RecipeError(
            "{method}: granularities must be a tuple of {known}, not {given}",
            code="method.granularities", method=name, known=" and ".join(get_args(Kind)), given=shown(granularities),
        )  # fmt: skip
    for field, text in texts.items():
        if not (text is None or isinstance(text, str)):
            raise RecipeError(
                "{method}: {field} must be text, not {given}",
                code="method.text", method=name, field=field, given=shown(text),
            )  # fmt: skip


def _are(known: tuple[Any, ...], given: Any) -> bool:
    return isinstance(given, tuple | list) and bool(given) and all(one in known for one in given)


def check_rule(name: str, rule: Any) -> None:
    """Refuse what is not a scoring function of a weight, nor a class that makes masks. Raises RecipeError."""
    if inspect.isclass(rule):
        _check_class(name, rule)
        return
    if not inspect.isfunction(rule):
        raise RecipeError(
            "{method}: a method is a function or a class, not {kind}",
            code="method.not_a_function", method=name, kind=type(rule).__name__,
        )  # fmt: skip
    parameters = list(inspect.signature(rule).parameters.values())
    if not parameters or parameters[0].kind not in _BY_PLACE:
        raise RecipeError(
            "{method}: a method takes the weight as its first argument, and this takes none",
            code="method.no_weight",
            method=name,
        )
    for parameter in parameters[1:]:
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise RecipeError(
                "{method}: {argument} must be a keyword argument, since options are given by name",
                code="method.positional", method=name, argument=parameter.name,
            )  # fmt: skip


def _check_class(name: str, rule: type) -> None:
    usable = issubclass(rule, BasePruningMethod) and not inspect.isabstract(rule)
    if not (usable and "amount" in inspect.signature(rule).parameters):
        raise RecipeError(
            "{method}: a class must derive from torch's BasePruningMethod, have compute_mask, and take `amount`",
            code="method.class", method=name,
        )  # fmt: skip


def check_combination(new: Method) -> None:
    """Refuse what a rule declares and cannot be. Raises RecipeError."""
    needed = _NEEDED_OPTIONS.get(new.removes)
    if needed and not new.makes_masks and needed not in new.options.model_fields:
        raise RecipeError(
            "{method}: a method that removes {removes}s needs a keyword argument `{option}`",
            code="method.needed_option", method=new.name, removes=new.removes, option=needed,
        )  # fmt: skip
    _check_whole(new)
    if new.needs_texts and (new.makes_masks or new.removes == "slice"):
        raise RecipeError(
            "{method}: only a function that scores entries may ask for {asked}; steps prune rows and columns by it",
            code="method.texts_of_entries", method=new.name,
            asked=" and ".join(sorted(OF_TEXTS & new.parameters)),
        )  # fmt: skip
    if new.makes_masks and new.scopes != ("local",):
        raise RecipeError(
            "{method}: a class makes the mask of one tensor, so it works in local scope only",
            code="method.class_scope", method=new.name,
        )  # fmt: skip
    if new.elementwise and (new.makes_masks or new.removes != "element" or new.parameters & FROM_ENGINE):
        raise RecipeError(
            "{method}: an elementwise method is a function that scores entries from their values and its options alone",
            code="method.elementwise", method=new.name,
        )  # fmt: skip


def _check_whole(new: Method) -> None:
    """Refuse a method of layers or tokens that is more, or asks for what it does not get. Raises RecipeError."""
    asked, whole = OF_TEXTS & new.parameters, new.removes if new.removes in ("layer", "token") else None
    if not {"layer", "token"}.isdisjoint(new.granularities) and new.granularities != (whole,):
        raise RecipeError(
            "{method}: a function that removes layers or tokens (removes='layer', removes='token') removes nothing"
            " else",
            code="method.alone", method=new.name,
        )  # fmt: skip
    if asked != {"after"} if whole == "layer" else (asked & {"after"} or (whole == "token" and asked)):
        raise RecipeError(
            "{method}: a function asks for `after` where it removes layers (removes='layer'), and only there; one that"
            " removes tokens gets their counts alone",
            code="method.after", method=new.name,
        )  # fmt: skip

"""The register of all methods: how one is added and found."""

import copyreg
import inspect
import runpy
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace as changed
from difflib import get_close_matches
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..errors import BertpruneWarning, RecipeError, shortened
from ..files import check_regular, from_home, name_of
from ..model.hooks import HOOK_MAKERS
from ..step import Kind, ScopeName
from .method import GROUPED, Method, Removes, Rule, describe_exception
from .options import options_model
from .usable import check_combination, check_name, check_rule, check_words

REGISTER: dict[str, Method] = {}


def method(
    name: str,
    *,
    removes: Removes = "element",
    paper: str | None = None,
    title: str | None = None,
    scopes: tuple[ScopeName, ...] | None = None,
    granularities: tuple[Kind, ...] | None = None,
    elementwise: bool = False,
    replace: bool = False,
) -> Callable[[Rule], Rule]:
    """Register a pruning method; the keyword arguments of the decorated function become its options.

    The function is called as `rule(weight, *, …)` and returns scores: the larger, the more worth keeping. It may ask
    for `generator` (a `torch.Generator`, the only source of randomness to use) and `mask` (bool, the weight's shape,
    what is alive; masked entries of `weight` are zero); and, of calibration texts, for `inputs`, what the layer reads:
    `norms` (in), `tokens`, and `gram`, the sum of x xᵀ (in × in), and for `gradients`: `squared` (out × in), `columns`
    (texts × in) and `rows` (texts × out). What it is given is read-only. With `removes="layer"` it is called with the
    hidden states of tokens before and `after` a layer (tokens × width), and returns one score for each token, whose
    mean is the layer's. With `removes="token"` it is called with how often each token occurs. A subclass of torch's
    `BasePruningMethod` that takes `amount` may be decorated instead; it works in local scope.

    Args:
        name: The name that steps give, an identifier.
        removes: "element" for one score an entry (the weight's shape), or "slice" for one score for each index along
            the option `dim`; the weight then comes without the slices that are already pruned; or "layer",
            or "token".
        paper: Where the method comes from; shown in lists and model cards.
        title: The name for people; made from `name` by default.
        scopes: "local", "row", "global" or several; all that the method can do by default.
        granularities: What steps may prune together by it, the first by default: "element", "row", "column",
            "pattern" (N:M), "block", "neuron" and "head", where a group's score is the sum of its entries'; all by
            default for a function of entries.
        elementwise: Scores depend on their own entry alone: the function gets flat pieces of the weight as NumPy
            arrays (float32 or float64), and options only, which is many times faster.
        replace: Whether to replace a method of this name that is defined elsewhere, torch's four included; reports
            and model cards say so. By default that is refused. A module may always define its own again.

    Returns:
        A decorator that returns the function as it is.

    Raises:
        RecipeError: The method could never run, or its name is taken; the register is then as it was.

    Example:
        >>> import bertprune as bp
        >>> @bp.method("distance_from_one", paper="https://example.org")
        ... def distance_from_one(weight, *, power: float = 1.0):
        ...     "Remove the entries nearest to one."
        ...     return (weight - 1).abs() ** power
        >>> bp.methods()["distance_from_one"].summary
        'Remove the entries nearest to one.'
    """
    check_name(name)
    check_words(name, removes, scopes, granularities, {"paper": paper, "title": title})

    def register(rule: Rule) -> Rule:
        check_rule(name, rule)
        new = Method(
            name=name,
            title=title or name.replace("_", " ").capitalize(),
            summary=" ".join((inspect.getdoc(rule) or "").split("\n\n")[0].split()),
            paper=paper,
            removes=removes,
            scopes=tuple(scopes or _scopes(removes, rule)),
            granularities=tuple(granularities or _granularities(removes, rule)),
            options=_options(name, rule),
            rule=rule,
            elementwise=elementwise,
        )
        check_combination(new)
        _add(new, replace)
        return rule

    return register


def _scopes(removes: Removes, rule: Any) -> tuple[ScopeName, ...]:
    if inspect.isclass(rule):
        return ("local",)
    known: dict[Removes, tuple[ScopeName, ...]] = {"element": ("local", "row", "global"), "slice": ("local", "global")}
    return known.get(removes, ("local",))


def _granularities(removes: Removes, rule: Any) -> tuple[Kind, ...]:
    """Return what a rule can prune together: a class makes masks of single entries or slices as it likes."""
    if inspect.isclass(rule) or removes != "element":
        return (removes,)
    return GROUPED


def _options(name: str, rule: Any) -> Any:
    try:
        return options_model(name, rule)
    except RecipeError:
        raise
    except Exception as error:  # annotations are code of the method's author
        raise RecipeError(
            "{method}: its arguments cannot be options: {error}",
            code="method.arguments", method=name, error=describe_exception(error),
        ) from error  # fmt: skip


def _add(new: Method, replace: bool) -> None:
    """Put a method into the register. Raises RecipeError where it would replace another one unasked."""
    old = REGISTER.get(new.name)
    if old is not None and old.place == new.place:
        new = changed(new, replaces=old.replaces)
    elif old is not None and not replace:
        raise RecipeError(
            "{method} already is a method, defined in {place}; choose another name, or pass replace=True",
            code="method.taken", method=new.name, place=old.defined_in,
        )  # fmt: skip
    elif old is not None:
        new = changed(new, replaces=old.defined_in)
    REGISTER[new.name] = new
    if new.makes_masks:
        HOOK_MAKERS[new.name] = new.rule
    elif not new.built_in:
        HOOK_MAKERS.pop(new.name, None)


@contextmanager
def _all_or_nothing() -> Iterator[None]:
    """Take back what was registered inside where an error ends it."""
    registers: tuple[dict[str, Any], ...] = (REGISTER, HOOK_MAKERS)
    before = [(known, dict(known)) for known in registers]
    try:
        yield
    except BaseException:
        for known, old in before:
            for name in known.keys() - old.keys():
                del known[name]
            known.update(old)
        raise


def methods() -> Mapping[str, Method]:
    """Return every registered method by its name, including those that installed packages bring.

    Returns:
        A read-only mapping; a `Method` has `title`, `summary`, `paper`, `removes`, `scopes`, `options`, `defined_in`
        and `replaces`, where the method that it replaced is defined.

    Example:
        >>> import bertprune as bp
        >>> bp.methods()["ln_structured"].scopes
        ('local', 'global')
    """
    load_entry_points()
    return MappingProxyType(REGISTER)


def find_method(name: str) -> Method:
    """Return the method of that name. Raises RecipeError that lists the known ones."""
    known = methods()
    if name in known:
        return known[name]
    listed = ", ".join(sorted(known))
    given = shortened(name)
    if near := get_close_matches(given, known, n=1):
        raise RecipeError(
            "unknown method {name!r}; did you mean {near}? known: {known}",
            code="method.misspelt", name=given, near=near[0], known=listed,
        )  # fmt: skip
    raise RecipeError("unknown method {name!r}; known: {known}", code="method.unknown", name=given, known=listed)


def _as_sent(name: str, home: str) -> Method:
    """Return the method of a name in the process that unpickles it. Raises RecipeError where it is another one here."""
    found = find_method(name)
    if _home(found) != home:
        raise RecipeError(
            "the method {method} was defined in {place} when it was stored, and is defined in {other} here",
            code="method.other_place", method=name, place=home, other=_home(found),
        )  # fmt: skip
    return found


def _home(one: Method) -> str:
    """Return where a method is defined; a spawned process calls the main module by another name."""
    return one.defined_in.replace("__mp_main__", "__main__")


copyreg.pickle(Method, lambda one: (_as_sent, (one.name, _home(one))))  # rules and models of options do not travel


@cache
def load_entry_points() -> None:
    """Import what installed packages declare under the entry point group `bertprune.methods`, once."""
    for point in entry_points(group="bertprune.methods"):
        try:
            with _all_or_nothing():
                point.load()
        except Exception as error:  # somebody else's package: it must not take ours down with it
            said = BertpruneWarning(
                "cannot load the methods of {package}: {error}",
                code="method.plugin", package=point.value, error=describe_exception(error),
            )  # fmt: skip
            warnings.warn(said, stacklevel=2)


def load_file(path: str | Path) -> None:
    """Run a Python file that registers methods. Raises RecipeError; runs code, so never for untrusted files.

    Where it fails, none of its methods stays.
    """
    path = from_home(path, RecipeError)
    check_regular(path, RecipeError)
    if not path.is_file():
        raise RecipeError("{file}: no such file", code="method.no_file", file=name_of(path))
    before = dict(REGISTER)
    try:
        with _all_or_nothing():
            runpy.run_path(str(path), run_name=str(path.resolve()))  # which makes it the rules' `__module__`
    except RecipeError as error:
        raise error.within("{file}", code="place.file", file=path.name) from None
    except (Exception, SystemExit) as error:
        raise RecipeError(
            "{file}: {error}", code="method.file_failed", file=path.name, error=describe_exception(error)
        ) from error
    if before == REGISTER:
        raise RecipeError(
            "{file} registers no method; decorate a scoring function with @bp.method(NAME)",
            code="method.empty_file", file=path.name,
        )  # fmt: skip

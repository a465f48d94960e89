"""The register of all methods: how one is added and found."""

import inspect
import runpy
import warnings
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from types import MappingProxyType
from typing import get_args

from ..errors import BertpruneWarning, RecipeError
from ..files import check_regular
from ..model.hooks import register_hook_class
from ..step import ScopeName
from .method import Method, Removes, Rule, options_model, refuse_unusable

REGISTER: dict[str, Method] = {}


def method(
    name: str,
    *,
    removes: Removes = "element",
    paper: str | None = None,
    title: str | None = None,
    scopes: tuple[ScopeName, ...] | None = None,
    elementwise: bool = False,
) -> Callable[[Rule], Rule]:
    """Register a pruning method; the keyword arguments of the decorated function become its options.

    The function is called as `rule(weight, *, …)` and returns scores: the larger, the more worth keeping. It may ask
    for `generator` (a `torch.Generator`, the only source of randomness to use) and `mask` (bool, the weight's shape,
    what is alive; masked entries of `weight` are zero). A subclass of torch's `BasePruningMethod` that takes `amount`
    may be decorated instead; it works in local scope.

    Args:
        name: the name that steps give, an identifier.
        removes: "element" for one score an entry (the weight's shape), or "slice" for one score for each index along
            the option `dim`; the weight then comes without the slices that are already pruned.
        paper: where the method comes from; shown in lists and model cards.
        title: the name for people; made from `name` by default.
        scopes: "local", "global" or both; both by default.
        elementwise: scores depend on their own entry alone: the function gets flat pieces of the weight as NumPy
            arrays (float32 or float64), and options only, which is many times faster.

    Returns:
        A decorator that returns the function as it is.

    Raises:
        RecipeError: the method could never run.

    Example:
        >>> import bertprune as bp
        >>> @bp.method("distance_from_one", paper="https://example.org")
        ... def distance_from_one(weight, *, power: float = 1.0):
        ...     "Remove the entries nearest to one."
        ...     return (weight - 1).abs() ** power
        >>> bp.methods()["distance_from_one"].summary
        'Remove the entries nearest to one.'
    """

    def register(rule: Rule) -> Rule:
        doc = inspect.getdoc(rule) or ""
        new = Method(
            name=name,
            title=title or name.replace("_", " ").capitalize(),
            summary=" ".join(doc.split("\n\n")[0].split()),
            paper=paper,
            removes=removes,
            scopes=scopes or (("local",) if inspect.isclass(rule) else get_args(ScopeName)),
            options=options_model(name, rule),
            rule=rule,
            elementwise=elementwise,
        )
        refuse_unusable(new)
        REGISTER[name] = new
        if inspect.isclass(rule):
            register_hook_class(name, rule)  # type: ignore[arg-type]
        return rule

    return register


def methods() -> Mapping[str, Method]:
    """Return every registered method by its name, including those that installed packages bring.

    Returns:
        A read-only mapping; a `Method` has `title`, `summary`, `paper`, `removes`, `scopes` and `options`.

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
    if near := get_close_matches(name, known, n=1):
        raise RecipeError(
            "unknown method {name!r}; did you mean {near}? known: {known}",
            code="method.misspelt", name=name, near=near[0], known=listed,
        )  # fmt: skip
    raise RecipeError("unknown method {name!r}; known: {known}", code="method.unknown", name=name, known=listed)


@cache
def load_entry_points() -> None:
    """Import what installed packages declare under the entry point group `bertprune.methods`, once."""
    for point in entry_points(group="bertprune.methods"):
        try:
            point.load()
        except Exception as error:  # somebody else's package: it must not take ours down with it
            said = BertpruneWarning(
                "cannot load the methods of {package}: {error}",
                code="method.plugin", package=point.value, error=str(error),
            )  # fmt: skip
            warnings.warn(said, stacklevel=2)


def load_file(path: str | Path) -> None:
    """Run a Python file that registers methods. Raises RecipeError; runs code, so never for untrusted files."""
    path = Path(path)
    check_regular(path, RecipeError)
    if not path.is_file():
        raise RecipeError("{file}: no such file", code="method.no_file", file=path.name)
    before = dict(REGISTER)
    try:
        runpy.run_path(str(path))
    except RecipeError:
        raise
    except (Exception, SystemExit) as error:
        raise RecipeError(
            "{file}: {kind}: {error}",
            code="method.file_failed", file=path.name, kind=type(error).__name__, error=str(error),
        ) from error  # fmt: skip
    if before == REGISTER:
        raise RecipeError(
            "{file} registers no method; decorate a scoring function with @bp.method(NAME)",
            code="method.empty_file", file=path.name,
        )  # fmt: skip

"""What a method is, and the register of all of them."""

import inspect
import runpy
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache, cached_property
from importlib.metadata import entry_points
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeVar, get_type_hints

import torch
from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from torch.nn.utils.prune import BasePruningMethod

from ..errors import BertpruneWarning, RecipeError
from ..recipe import Scope, Step

Removes = Literal["element", "slice"]
Rule = TypeVar("Rule", bound=Callable[..., Any])

_FROM_ENGINE = {"generator", "mask", "amount"}
"""Keyword arguments that the engine fills in; every other one is an option of the method."""


@dataclass(frozen=True)
class Method:
    """One way to prune: what goes together, how it is scored, and what to tell a user about it."""

    name: str
    """The name that a step gives."""
    title: str
    """The name for people."""
    summary: str
    """One sentence on what it does."""
    paper: str | None
    """Where it comes from."""
    removes: Removes
    """`element`: single entries. `slice`: all entries that share an index along the option `dim`."""
    scopes: tuple[Scope, ...]
    """Whether it ranks within each tensor, among all of them, or can do both."""
    options: type[BaseModel]
    """The method's keyword arguments as a pydantic model: types, defaults, JSON schema."""
    rule: Callable[..., Any]
    """The scoring function, or a subclass of torch's BasePruningMethod."""
    elementwise: bool
    """Whether the score of an entry depends on that entry alone: the rule then takes pieces, as NumPy arrays."""
    hook: type[BasePruningMethod] | None
    """torch's class for the same thing, left as the hook after a local step."""

    @property
    def decides_itself(self) -> bool:
        """Tell whether the rule is a torch class, which makes masks, rather than a function, which makes scores."""
        return inspect.isclass(self.rule)

    def wants(self, argument: str) -> bool:
        """Tell whether the rule has a parameter of that name."""
        return argument in self._parameters

    @cached_property
    def _parameters(self) -> frozenset[str]:
        return frozenset(inspect.signature(self.rule).parameters)

    def score(self, name: str, weight: torch.Tensor, **arguments: Any) -> torch.Tensor:
        """Call the rule on the tensor of that name, with those of the arguments that it asks for.

        Raises RecipeError where the rule fails, or returns something that is no tensor of numbers of the right shape.
        """
        with self._blamed_for(name):
            result = self.rule(weight, **{key: arguments[key] for key in arguments if self.wants(key)})
        if not isinstance(result, torch.Tensor) or result.is_complex() or result.dtype == torch.bool:
            got = result.dtype if isinstance(result, torch.Tensor) else type(result).__name__
            raise RecipeError(f"{self.name}: scores of {name} must be numbers, not {got}")
        shape = tuple(weight.shape) if self.removes == "element" else (weight.shape[arguments["dim"]],)
        if tuple(result.shape) != shape:
            raise RecipeError(f"{self.name}: scores of {name} must have the shape {shape}, not {tuple(result.shape)}")
        return result.detach()

    def piecewise(self, name: str, options: Mapping[str, Any]) -> Callable[[Any], Any]:
        """Return an elementwise rule for pieces of the tensor of that name. It raises RecipeError where it fails."""

        def scores(piece: Any) -> Any:
            with self._blamed_for(name):
                return self.rule(piece, **options)

        return scores

    @contextmanager
    def _blamed_for(self, name: str) -> Iterator[None]:
        try:
            yield
        except (RuntimeError, ValueError, TypeError, ArithmeticError, LookupError) as error:
            raise RecipeError(f"{self.name}: {name}: {str(error).splitlines()[0]}") from error

    def checked(self, step: Step) -> dict[str, Any]:
        """Return the step's options with defaults filled in. Raises RecipeError."""
        if step.scope not in self.scopes:
            raise RecipeError(f"{self.name} works in scope {' or '.join(self.scopes)}, not {step.scope}")
        try:
            return self.options(**step.options).model_dump()
        except ValidationError as error:
            known = ", ".join(self.options.model_fields) or "none"
            errors = error.errors(include_url=False)
            first = errors[0]
            said = dict.fromkeys(e["msg"].removeprefix("Input ") for e in errors if e["loc"][0] == first["loc"][0])
            wrong = (
                "is unknown" if first["type"] == "extra_forbidden" else f"{' or '.join(said)}, not {first['input']!r}"
            )
            raise RecipeError(f"{self.name}: option {first['loc'][0]}: {wrong} (options: {known})") from None


_REGISTER: dict[str, Method] = {}


def method(
    name: str,
    *,
    removes: Removes = "element",
    paper: str | None = None,
    title: str | None = None,
    scopes: tuple[Scope, ...] | None = None,
    elementwise: bool = False,
    hook: type[BasePruningMethod] | None = None,
) -> Callable[[Rule], Rule]:
    """Register a pruning method under `name`; its keyword arguments become its options.

    The decorated function is called as `rule(weight, *, …)` and returns scores: the larger, the more worth keeping.
    For `removes="element"` they have the weight's shape; for `removes="slice"` there is one for each index along
    the option `dim` (the weight then comes without slices that are gone). It may ask for `generator` (a
    `torch.Generator`, the only source of randomness to use) and `mask` (bool, weight's shape, what is alive).
    Masked entries of `weight` are zero. With `elementwise=True`, for scores that depend on their own entry alone, the
    function gets flat pieces of the weight as NumPy arrays (float32 or float64), and options only: many times faster.
    A subclass of torch's `BasePruningMethod` that takes `amount` may be decorated instead; it works in local scope.
    Raises RecipeError.
    """

    def register(rule: Rule) -> Rule:
        doc = inspect.getdoc(rule) or ""
        _REGISTER[name] = Method(
            name=name,
            title=title or name.replace("_", " ").capitalize(),
            summary=" ".join(doc.split("\n\n")[0].split()),
            paper=paper,
            removes=removes,
            scopes=scopes or (("local",) if inspect.isclass(rule) else ("local", "global")),
            options=_options(name, rule),
            rule=rule,
            elementwise=elementwise,
            hook=rule if inspect.isclass(rule) else hook,  # type: ignore[arg-type]
        )
        _check(_REGISTER[name])
        return rule

    return register


def methods() -> Mapping[str, Method]:
    """Return every registered method by its name, including those that installed packages bring."""
    load_entry_points()
    return MappingProxyType(_REGISTER)


def named(name: str) -> Method:
    """Return the method of that name. Raises RecipeError that lists the known ones."""
    known = methods()
    if name in known:
        return known[name]
    near = get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise RecipeError(f"unknown method {name!r}; {hint}known: {', '.join(sorted(known))}")


@cache
def load_entry_points() -> None:
    """Import what installed packages declare under the entry point group `bertprune.methods`, once."""
    for point in entry_points(group="bertprune.methods"):
        try:
            point.load()
        except Exception as error:  # somebody else's package: it must not take ours down with it
            warnings.warn(f"methods of {point.value} are left out: {error}", BertpruneWarning, stacklevel=2)


def load_file(path: str | Path) -> None:
    """Run a Python file that registers methods. Raises RecipeError; runs code, so never for untrusted files."""
    path = Path(path)
    if not path.is_file():
        raise RecipeError(f"{path.name}: no such file of methods")
    before = dict(_REGISTER)
    try:
        runpy.run_path(str(path))
    except RecipeError:
        raise
    except (Exception, SystemExit) as error:
        raise RecipeError(f"{path.name}: {type(error).__name__}: {error}") from error
    if before == _REGISTER:
        raise RecipeError(f"{path.name} registers no method: decorate a scoring function with @bp.method(NAME)")


def _options(name: str, rule: Callable[..., Any]) -> type[BaseModel]:
    """Turn the rule's keyword parameters into a strict pydantic model."""
    init: Callable[..., Any] = rule.__init__ if inspect.isclass(rule) else rule
    hints = get_type_hints(init, include_extras=True)
    fields: dict[str, Any] = {
        parameter.name: (
            hints.get(parameter.name, Any),
            ... if parameter.default is parameter.empty else parameter.default,
        )
        for parameter in list(inspect.signature(init).parameters.values())[1:]
        if parameter.name not in _FROM_ENGINE
        and parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
    }
    config = ConfigDict(strict=True, extra="forbid", frozen=True)
    return create_model(f"{name}_options", __config__=config, **fields)


def _check(new: Method) -> None:
    """Refuse what could never run, at registration rather than in the middle of a run."""
    if not new.name.isidentifier():
        raise RecipeError(f"a method's name must be an identifier, not {new.name!r}")
    if new.decides_itself and not (issubclass(new.rule, BasePruningMethod) and new.wants("amount")):  # type: ignore[arg-type]
        raise RecipeError(f"{new.name}: a class must derive from torch's BasePruningMethod and take `amount`")
    if new.removes == "slice" and not new.decides_itself and not new.wants("dim"):
        raise RecipeError(f"{new.name}: a method that removes slices needs a keyword argument `dim`")

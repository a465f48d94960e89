"""What a method is: a scoring function, what it prunes together, and its options."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any, Literal, TypeVar, get_type_hints

import torch
from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from torch.nn.utils.prune import BasePruningMethod

from ..errors import Message, RecipeError
from ..step import ScopeName, Step
from ..validation import describe_problem

Removes = Literal["element", "slice"]
_NEEDED_OPTIONS: Mapping[str, str] = {"slice": "dim"}
"""The option that a granularity needs of its methods."""

Rule = TypeVar("Rule", bound=Callable[..., Any])

_FROM_ENGINE = {"generator", "mask", "amount"}
"""Keyword arguments that the engine fills in; every other one is an option of the method."""


@dataclass(frozen=True)
class Method:
    """One way to prune: how it scores, what it prunes together, and how to describe it to a user."""

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
    scopes: tuple[ScopeName, ...]
    """Whether it ranks within each tensor, among all of them, or can do both."""
    options: type[BaseModel]
    """The method's keyword arguments as a pydantic model: types, defaults, JSON schema."""
    rule: Callable[..., Any]
    """The scoring function, or a subclass of torch's BasePruningMethod."""
    elementwise: bool
    """Whether the score of an entry depends on that entry alone: the rule then takes pieces, as NumPy arrays."""

    @property
    def makes_masks(self) -> bool:
        """Whether the rule is a torch class, which makes masks, rather than a function, which makes scores."""
        return inspect.isclass(self.rule)

    @property
    def draws(self) -> bool:
        """Whether the rule asks for random numbers."""
        return "generator" in self._parameters

    @cached_property
    def _parameters(self) -> frozenset[str]:
        return frozenset(inspect.signature(self.rule).parameters)

    def check_options(self, step: Step) -> dict[str, Any]:
        """Return the step's options with defaults filled in. Raises RecipeError, also for a scope it cannot do."""
        if step.scope not in self.scopes:
            raise RecipeError(
                "{method} works in scope {scopes}, not {scope}",
                code="method.scope", method=self.name, scopes=", ".join(self.scopes), scope=step.scope,
            )  # fmt: skip
        try:
            return self.options(**step.options).model_dump()
        except ValidationError as error:
            raise self._refused_option(error) from None

    def _refused_option(self, error: ValidationError) -> RecipeError:
        details = error.errors(include_url=False)
        first = details[0]
        option, known = first["loc"][0], ", ".join(self.options.model_fields)
        if first["type"] == "extra_forbidden":
            if not known:
                return RecipeError(
                    "{method} has no option {option}; it has no options",
                    code="method.no_options", method=self.name, option=option,
                )  # fmt: skip
            return RecipeError(
                "{method} has no option {option}; it has {known}",
                code="method.unknown_option", method=self.name, option=option, known=known,
            )  # fmt: skip
        # an option that may be of several types has a problem with each of them
        problems = list({d["msg"]: describe_problem(d) for d in details if d["loc"][0] == option}.values())
        for problem in problems[1:]:
            problem.values["text"] = str(problem).removeprefix("should be ")
        problem = reduce(_either, problems)
        return RecipeError(
            "{method}: option {option} {problem}, not {given!r}",
            code="method.option", method=self.name, option=option, problem=problem, given=first["input"],
        )  # fmt: skip

    def score(self, tensor: str, weight: torch.Tensor, shape: tuple[int, ...], **arguments: Any) -> torch.Tensor:
        """Call the rule on the tensor of that name, with those of the arguments that it asks for.

        `shape` is the shape that the scores must have: one for each group of the granularity.

        Raises RecipeError where the rule fails, or returns anything but a tensor of numbers of the right shape.
        """
        with self._naming(tensor):
            scores = self.rule(weight, **{key: arguments[key] for key in arguments if key in self._parameters})
        if not isinstance(scores, torch.Tensor) or scores.is_complex() or scores.dtype == torch.bool:
            found = scores.dtype if isinstance(scores, torch.Tensor) else type(scores).__name__
            raise RecipeError(
                "{method}: scores of {tensor} must be a tensor of real numbers, not {found}",
                code="method.scores", method=self.name, tensor=tensor, found=str(found),
            )  # fmt: skip
        if tuple(scores.shape) != shape:
            raise RecipeError(
                "{method}: scores of {tensor} must have the shape {shape}, not {found}",
                code="method.shape", method=self.name, tensor=tensor, shape=shape, found=tuple(scores.shape),
            )  # fmt: skip
        return scores.detach()

    def piecewise(self, tensor: str, options: Mapping[str, Any]) -> Callable[[Any], Any]:
        """Return an elementwise rule for pieces of the tensor of that name. It raises RecipeError where it fails."""

        def scores(piece: Any) -> Any:
            with self._naming(tensor):
                return self.rule(piece, **options)

        return scores

    @contextmanager
    def _naming(self, tensor: str) -> Iterator[None]:
        """Turn what the rule raises into one line that names the method and the tensor."""
        try:
            yield
        except (RuntimeError, ValueError, TypeError, ArithmeticError, LookupError) as error:
            raise RecipeError(
                "{method}: {tensor}: {error}",
                code="method.failed_on", method=self.name, tensor=tensor, error=str(error).splitlines()[0],
            ) from error  # fmt: skip


def _either(one: Message, other: Message) -> Message:
    return Message("{one} or {other}", code="method.or", one=one, other=other)


def options_model(name: str, rule: Callable[..., Any]) -> type[BaseModel]:
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


def refuse_unusable(new: Method) -> None:
    """Refuse what could never run, at registration rather than in the middle of a run."""
    if not new.name.isidentifier():
        raise RecipeError("a method's name must be an identifier, not {name!r}", code="method.name", name=new.name)
    is_torch_class = new.makes_masks and issubclass(new.rule, BasePruningMethod)  # type: ignore[arg-type]
    if new.makes_masks and not (is_torch_class and "amount" in inspect.signature(new.rule).parameters):
        raise RecipeError(
            "{method}: a class must derive from torch's BasePruningMethod and take `amount`",
            code="method.class", method=new.name,
        )  # fmt: skip
    needed = _NEEDED_OPTIONS.get(new.removes)
    if needed and not new.makes_masks and needed not in inspect.signature(new.rule).parameters:
        raise RecipeError(
            "{method}: a method that removes {removes}s needs a keyword argument `{option}`",
            code="method.needed_option", method=new.name, removes=new.removes, option=needed,
        )  # fmt: skip

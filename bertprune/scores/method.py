"""What a method is: a scoring function, what it prunes together, and its options."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, reduce
from pathlib import PurePath
from typing import Any, Literal, TypeVar, get_type_hints

from pydantic import BaseModel, ValidationError

from ..errors import Message, RecipeError, shortened
from ..model.hooks import TORCH_METHODS, Maker
from ..step import Kind, ScopeName, Step
from ..validation import describe_problem
from .grid import GROUP_RULES, GroupRule
from .options import OF_TEXTS
from .statistics import InputNorms

Removes = Literal["element", "slice", "layer", "token"]
GROUPED: tuple[Kind, ...] = ("element", "row", "column", "pattern", "block", "neuron", "head")
"""What a score of entries can rank: entries, or groups by the sum of their entries' scores."""
_MEANT: Mapping[Kind, tuple[ScopeName, ...]] = {
    "element": ("local", "row", "global"),
    "pattern": ("local",),
    "layer": ("local",),
    "token": ("local",),
}
"""The scopes that have a meaning where these are pruned together; local and global have one elsewhere."""
Rule = TypeVar("Rule", bound=Callable[..., Any])


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
    """`element`: single entries. `slice`: all entries that share an index along the option `dim`. `layer`: layers.
    `token`: tokens of the vocabulary."""
    scopes: tuple[ScopeName, ...]
    """Whether it ranks within each tensor, within each row, or among all tensors."""
    granularities: tuple[Kind, ...]
    """What a step may prune together by it; the first is meant where a step does not say."""
    options: type[BaseModel]
    """The method's keyword arguments as a pydantic model: types, defaults, JSON schema."""
    rule: Callable[..., Any]
    """The scoring function, or a subclass of torch's BasePruningMethod."""
    elementwise: bool
    """Whether the score of an entry depends on that entry alone: the rule then takes pieces, as NumPy arrays."""
    replaces: str | None = None
    """Where the method that this one replaced is defined; None where the name was free."""

    @property
    def makes_masks(self) -> bool:
        """Whether the rule is a torch class, which makes masks, rather than a function, which makes scores."""
        return inspect.isclass(self.rule)

    @property
    def hook_maker(self) -> Maker | None:
        """What makes torch's hook after a local step; None where a ready-made mask is all that there is."""
        if self.makes_masks:
            return self.rule
        return TORCH_METHODS.get(self.name) if self.built_in else None

    @property
    def draws(self) -> bool:
        """Whether the rule asks for random numbers."""
        return "generator" in self.parameters

    @property
    def needs_texts(self) -> bool:
        """Whether the rule asks for statistics of calibration texts."""
        return self.removes == "token" or not self.parameters.isdisjoint(OF_TEXTS)

    def scopes_by(self, granularity: Kind) -> tuple[ScopeName, ...]:
        """Return its scopes that have a meaning with a granularity."""
        return tuple(scope for scope in self.scopes if scope in _MEANT.get(granularity, ("local", "global")))

    def reconstructs(self, granularity: Kind) -> bool:
        """Return whether something stays, with a granularity, that can make up for what goes."""
        return granularity not in ("row", "slice", "layer", "token") and not self.makes_masks

    @cached_property
    def needs_products(self) -> bool:
        """Whether the rule may read the products of inputs; one whose annotation promises not to costs less."""
        return "inputs" in self.parameters and get_type_hints(self.rule).get("inputs") is not InputNorms

    @property
    def group_rule(self) -> GroupRule | None:
        """The method's own score of groups; None where a group's score is the sum of its entries'."""
        return GROUP_RULES.get(self.name) if self.built_in else None

    @cached_property
    def parameters(self) -> frozenset[str]:
        """The names of the rule's arguments."""
        return frozenset(inspect.signature(self.rule).parameters)

    @property
    def place(self) -> str:
        """The module that defines the rule; the whole path of a file that was loaded by its path."""
        return self.rule.__module__ or "__main__"  # code that is run without a module has none

    @property
    def defined_in(self) -> str:
        """The module or the file that defines the rule, without folders."""
        return PurePath(self.place).name

    @property
    def built_in(self) -> bool:
        """Whether the method comes with bertprune."""
        return self.place.startswith(f"{__package__}.")

    def __deepcopy__(self, memo: dict[int, Any]) -> "Method":
        """Return itself: nothing in it changes, and another method may have taken its name."""
        return self

    def check_options(self, step: Step) -> dict[str, Any]:
        """Return the step's options with defaults filled in. Raises RecipeError, also for a scope it cannot do."""
        if step.scope not in self.scopes:
            raise RecipeError(
                "{method} supports scope {scopes} only, not {scope}",
                code="method.scope", method=self.name, scopes=", ".join(self.scopes), scope=step.scope,
            )  # fmt: skip
        try:
            return self.options(**step.options).model_dump()
        except ValidationError as error:
            raise self._refused_option(error) from None
        except Exception as error:  # from a check that the method's author wrote
            raise RecipeError(
                "{method}: its options cannot be checked: {error}",
                code="method.options_failed", method=self.name, error=describe_exception(error),
            ) from error  # fmt: skip

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
        if first["type"] == "missing":
            return RecipeError(
                "{method} needs the option {option}: options={{{option!r}: …}} (--option {option}=…)",
                code="method.missing_option", method=self.name, option=option,
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


def describe_exception(error: BaseException) -> str:
    """Describe an exception from somebody else's code in one line: its type, and the first line of its message."""
    kind = type(error).__name__
    try:
        lines = str(error).strip().splitlines()
    except Exception:  # its own words fail too
        lines = []
    return shortened(f"{kind}: {lines[0]}" if lines else kind, 300)


def _either(one: Message, other: Message) -> Message:
    return Message("{one} or {other}", code="method.or", one=one, other=other)

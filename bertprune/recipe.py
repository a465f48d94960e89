"""What to prune: intent as data, without a model and without torch.

A `Recipe` is a list of `Step`s; a `Step` says where (`Selection`), how (method and options), how much and among whom.
All three are frozen pydantic models, so a recipe can be hashed, compared, and sent through JSON or YAML and back.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
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

from .errors import Message, RecipeError
from .safe_yaml import MAX_BYTES, from_json, from_yaml
from .validation import FrozenModel

Role = Literal[
    "embeddings.word",
    "embeddings.position",
    "embeddings.token_type",
    "attention.query",
    "attention.key",
    "attention.value",
    "attention.output",
    "ffn.intermediate",
    "ffn.output",
    "pooler",
    "head",
]
"""The parts that a transformer encoder of any known family is made of."""

ScopeName = Literal["local", "global"]
Option = StrictBool | StrictInt | StrictFloat | StrictStr | None

_BREAKS = frozenset("\x85\u2028\u2029\ufeff")  # PyYAML folds them where it does not escape
_INFINITIES = {"inf": math.inf, "infinity": math.inf, "-inf": -math.inf, "-infinity": -math.inf}


def _as_tuple(value: Any) -> Any:
    """Let a single name stand for a list of one."""
    if isinstance(value, str | int) and not isinstance(value, bool):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


Names = Annotated[tuple[StrictStr, ...], BeforeValidator(_as_tuple)]
LayerNumber = Annotated[int, Field(strict=True, ge=0)]


class Selection(FrozenModel):
    """Which tensors a step may touch. All given conditions must hold; an empty field is no condition."""

    roles: Annotated[tuple[Role, ...], BeforeValidator(_as_tuple)] = ()
    """Parts of the encoder, such as `attention.query`; known for BERT, RoBERTa, DistilBERT and ELECTRA."""
    layers: Annotated[tuple[LayerNumber, ...], BeforeValidator(_as_tuple)] = ()
    """Encoder layers, counted from zero."""
    types: Names = ()
    """Class names of modules, such as `Linear`."""
    include: Names = ()
    """Globs over module paths; `*` crosses dots, braces list alternatives, the base-model prefix may be left out."""
    exclude: Names = ()
    """Globs over module paths that are left out again."""
    tensor: StrictStr = Field(default="weight", min_length=1)
    """The parameter's name within its module."""

    def __str__(self) -> str:
        """Describe the selection in a few words, as the tables do."""
        said = [
            " ".join([name, ",".join(map(str, value))])
            for name in ("roles", "layers", "types", "include", "exclude")
            if (value := getattr(self, name))
        ]
        return "; ".join(said or ["everything"]) + ("" if self.tensor == "weight" else f"; tensor {self.tensor}")


def _as_selection(value: Any) -> Any:
    """Let a glob, or a list of globs, stand for a selection that includes them."""
    return {"include": value} if isinstance(value, str | list | tuple) else value


class Step(FrozenModel):
    """One step of pruning: a method, an amount, a scope and a selection."""

    method: StrictStr = Field(min_length=1)
    """A registered method's name; `bertprune.methods()` lists them."""
    fraction: Annotated[float, Field(strict=True, gt=0, le=1)] | None = None
    """The share of what is still alive to prune (0 < f ≤ 1); give this or `count`."""
    count: Annotated[int, Field(strict=True, ge=1)] | None = None
    """How many to prune: entries, or slices for structured methods; per tensor in local scope, in all in global."""
    scope: ScopeName = "local"
    """`local`: each tensor by itself. `global`: all selected tensors are ranked together."""
    select: Annotated[Selection, BeforeValidator(_as_selection)] = Selection()
    """Where the step works; a glob or a list of globs is short for `Selection(include=…)`."""
    options: Mapping[StrictStr, Option] = Field(default_factory=dict)
    """The method's own options, checked against the method when the recipe meets a model."""

    @field_validator("options")
    @classmethod
    def _infinities_from_text(cls, options: Mapping[str, Option]) -> dict[str, Option]:
        if any(isinstance(value, float) and math.isnan(value) for value in options.values()):
            raise ValueError(Message("an option must not be NaN", code="field.nan_option"))
        return {
            key: _INFINITIES.get(value.lower(), value) if isinstance(value, str) else value
            for key, value in sorted(options.items())
        }

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

    def amount_of(self, alive: int) -> int:
        """Return how many of `alive` entries or slices to prune, rounded as torch rounds (half to even)."""
        return self.count if self.count is not None else round((self.fraction or 0.0) * alive)

    def __str__(self) -> str:
        """Describe the step in one line, as the tables do."""
        amount = f"{self.fraction:.4g}" if self.fraction is not None else f"{self.count:,}"
        options = "".join(f", {key}={value}" for key, value in self.options.items())
        return f"{self.method} {amount} {self.scope}{options} on {self.select}"


class Recipe(FrozenModel):
    """An ordered list of steps; each starts from what the one before left alive."""

    version: Literal[1] = 1
    """The format of the recipe; always 1 for now."""
    steps: Annotated[tuple[Step, ...], BeforeValidator(_as_tuple)] = ()

    @classmethod
    def of(cls, recipe: "Recipe | Step | Mapping[str, Any]") -> "Recipe":
        """Take a recipe as it is, and a single step as a recipe of one. Raises RecipeError."""
        if isinstance(recipe, Recipe):
            return recipe
        if isinstance(recipe, Step):
            return cls(steps=(recipe,))
        if isinstance(recipe, Mapping):
            return cls.model_validate(dict(recipe))
        raise RecipeError("a recipe is a Recipe or a Step, not {kind}", code="recipe.kind", kind=type(recipe).__name__)

    def to_json(self) -> str:
        """Write the recipe as JSON text, with nothing in it that equals its default."""
        return json.dumps(self._plain(), indent=2, ensure_ascii=False) + "\n"

    def to_yaml(self) -> str:
        """Write the recipe as YAML text, with nothing in it that equals its default."""
        readable = _BREAKS.isdisjoint(self.to_json())
        return str(yaml.safe_dump(self._plain(), sort_keys=False, allow_unicode=readable))

    def _plain(self) -> dict[str, Any]:
        plain = {"version": self.version, **self.model_dump(mode="json", exclude_defaults=True)}
        for step in plain.get("steps", ()):
            if not step["options"]:  # pydantic sees no default behind a serializer
                del step["options"]
        return plain

    @classmethod
    def from_json(cls, text: str) -> "Recipe":
        """Read a recipe from JSON text. Raises RecipeError with the line of the mistake."""
        return cls._from_plain(from_json(text))

    @classmethod
    def from_yaml(cls, text: str) -> "Recipe":
        """Read a recipe from YAML text without anchors or tags. Raises RecipeError with the line of the mistake."""
        return cls._from_plain(from_yaml(text))

    @classmethod
    def _from_plain(cls, data: Any) -> "Recipe":
        if not isinstance(data, dict):
            raise RecipeError(
                "a recipe is a mapping with `version` and `steps`, not {kind}",
                code="recipe.no_mapping", kind=type(data).__name__,
            )  # fmt: skip
        return cls.model_validate(data)

    @classmethod
    def load(cls, path: str | Path) -> "Recipe":
        """Read a `.json`, `.yaml` or `.yml` file. Raises RecipeError."""
        path = Path(path)
        try:
            if path.stat().st_size > MAX_BYTES:
                raise RecipeError(
                    "{file} has more than {most:,} bytes, which no recipe needs",
                    code="recipe.large_file", file=path.name, most=MAX_BYTES,
                )  # fmt: skip
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise RecipeError(
                "{file} cannot be read ({reason})", code="recipe.unreadable", file=path.name, reason=error.strerror
            ) from None
        except UnicodeDecodeError:
            raise RecipeError(
                "{file} is not UTF-8 text; save it in that encoding", code="recipe.encoding", file=path.name
            ) from None
        try:
            return cls.from_json(text) if path.suffix == ".json" else cls.from_yaml(text)
        except RecipeError as error:
            raise error.within("{file}: {error}", code="recipe.in_file", file=path.name) from None

    def save(self, path: str | Path) -> None:
        """Write the recipe to a file: JSON where the name ends in `.json`, YAML elsewhere."""
        path = Path(path)
        path.write_text(self.to_json() if path.suffix == ".json" else self.to_yaml(), encoding="utf-8")

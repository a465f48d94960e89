"""What to prune: intent as data, without a model and without torch.

A `Recipe` is a list of `Step`s; a `Step` says where (`Selection`), how (method and options), how much and among whom.
All three are frozen pydantic models, so a recipe can be hashed, compared, and sent through JSON or YAML and back.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    ValidationError,
    field_serializer,
    field_validator,
    model_validator,
)

from .errors import RecipeError, shortened
from .safe_yaml import MAX_BYTES, from_json, from_yaml

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

Scope = Literal["local", "global"]
Option = StrictBool | StrictInt | StrictFloat | StrictStr | None

_MOST_MISTAKES = 8  # in one message
_BREAKS = frozenset("\x85\u2028\u2029\ufeff")  # PyYAML folds them where it does not escape
_INFINITIES = {"inf": math.inf, "infinity": math.inf, "-inf": -math.inf, "-infinity": -math.inf}


def _as_tuple(value: Any) -> Any:
    """Let a single name stand for a list of one."""
    if isinstance(value, str | int) and not isinstance(value, bool):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


Names = Annotated[tuple[StrictStr, ...], BeforeValidator(_as_tuple)]
LayerNumber = Annotated[int, Field(strict=True, ge=0)]


if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass
else:
    ModelMetaclass = type(BaseModel)


class _OneLine(ModelMetaclass):
    """Turns pydantic's report into one line, at the outermost call only, where the whole location is known."""

    def __call__(cls, *args: Any, **data: Any) -> Any:
        try:
            return super().__call__(*args, **data)
        except ValidationError as error:
            raise RecipeError(_one_line(cls.__name__, error)) from None


class _Frozen(BaseModel, metaclass=_OneLine):
    """Immutable, closed to unknown fields, and speaking one clear line when it is given nonsense."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def model_validate(cls, obj: Any, **kwargs: Any) -> Self:
        """Build one from plain data; see pydantic. Raises RecipeError."""
        try:
            return super().model_validate(obj, **kwargs)
        except ValidationError as error:
            raise RecipeError(_one_line(cls.__name__, error)) from None


class Selection(_Frozen):
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
    """Globs over module paths that are taken out again."""
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


class Step(_Frozen):
    """One act of pruning: a method, an amount, a scope and a selection."""

    method: StrictStr = Field(min_length=1)
    """A registered method's name; `bertprune.methods()` lists them."""
    fraction: Annotated[float, Field(strict=True, gt=0, le=1)] | None = None
    """The share of what is still alive that goes (0 < f ≤ 1); give this or `count`."""
    count: Annotated[int, Field(strict=True, ge=1)] | None = None
    """How many go: entries, or slices for structured methods; per tensor in local scope, in all in global scope."""
    scope: Scope = "local"
    """`local`: each tensor by itself. `global`: all selected tensors are ranked together."""
    select: Annotated[Selection, BeforeValidator(_as_selection)] = Selection()
    """Where the step works; a glob or a list of globs is short for `Selection(include=…)`."""
    options: Mapping[StrictStr, Option] = Field(default_factory=dict)
    """The method's own options, checked against the method when the recipe meets a model."""

    @field_validator("options")
    @classmethod
    def _infinities_from_text(cls, options: Mapping[str, Option]) -> dict[str, Option]:
        if any(isinstance(value, float) and math.isnan(value) for value in options.values()):
            raise ValueError("an option must not be NaN")
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
            raise ValueError("give either fraction (0 < f ≤ 1) or count (an integer ≥ 1), and not both")
        return self

    def __hash__(self) -> int:
        return hash((self.method, self.fraction, self.count, self.scope, self.select, tuple(self.options.items())))

    def amount_of(self, alive: int) -> int:
        """Count what goes from `alive` entries or slices, rounded as torch rounds (half to even)."""
        return self.count if self.count is not None else round((self.fraction or 0.0) * alive)

    def __str__(self) -> str:
        """Describe the step in one line, as the tables do."""
        amount = f"{self.fraction:.4g}" if self.fraction is not None else f"{self.count:,}"
        options = "".join(f", {key}={value}" for key, value in self.options.items())
        return f"{self.method} {amount} {self.scope}{options} on {self.select}"


class Recipe(_Frozen):
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
        raise RecipeError(f"a recipe is a Recipe or a Step, not {type(recipe).__name__}")

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
            raise RecipeError(f"a recipe is a mapping with `version` and `steps`, not {type(data).__name__}")
        return cls.model_validate(data)

    @classmethod
    def load(cls, path: str | Path) -> "Recipe":
        """Read a `.json`, `.yaml` or `.yml` file. Raises RecipeError."""
        path = Path(path)
        try:
            if path.stat().st_size > MAX_BYTES:
                raise RecipeError(f"{path.name}: longer than {MAX_BYTES:,} bytes, which no recipe needs")
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise RecipeError(f"{path.name}: cannot be read ({error.strerror})") from None
        except UnicodeDecodeError:
            raise RecipeError(f"{path.name}: not UTF-8 text") from None
        try:
            return cls.from_json(text) if path.suffix == ".json" else cls.from_yaml(text)
        except RecipeError as error:
            raise RecipeError(f"{path.name}: {error}") from None

    def save(self, path: str | Path) -> None:
        """Write the recipe to a file: JSON where the name ends in `.json`, YAML elsewhere."""
        path = Path(path)
        path.write_text(self.to_json() if path.suffix == ".json" else self.to_yaml(), encoding="utf-8")


def _one_line(what: str, error: ValidationError) -> str:
    """Fold pydantic's report into one line: where, what is wrong, what was given."""
    said = []
    items = error.errors(include_url=False)
    for item in items[:_MOST_MISTAKES]:
        where = ".".join(str(p) if isinstance(p, int) or p.isidentifier() else shortened(repr(p)) for p in item["loc"])[
            :200
        ]
        given = "" if item["type"] in ("missing", "value_error") else f" (got {shortened(repr(item['input']))})"
        said.append(f"{where + ': ' if where else ''}{item['msg'].removeprefix('Value error, ')}{given}")
    more = f"; and {len(items) - _MOST_MISTAKES} more" if len(items) > _MOST_MISTAKES else ""
    return f"{what.lower()}: " + "; ".join(dict.fromkeys(said)) + more

"""Recipes: what to prune, as data; no model and no torch needed.

A `Recipe` is a list of `Step`s; a `Step` says which tensors to prune (a `Selection`), by which method, how much and in
which scope. All three are frozen pydantic models, so a recipe can be hashed, compared, written as JSON or YAML and read
back.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BeforeValidator, Field

from .errors import RecipeError, kind_of, shortened
from .files import check_regular, from_home, name_of, reason_of
from .forecast import Forecast
from .safe_yaml import MAX_BYTES, Dumper, from_json, from_yaml
from .selection import as_tuple
from .step import Step
from .validation import FrozenModel

_BREAKS = frozenset("\x85\u2028\u2029\ufeff")  # PyYAML folds them where it does not escape
_SUFFIXES = (".yaml", ".yml", ".json")


class CalibrationRecord(FrozenModel):
    """Say on which texts a recipe's scores were measured, so that they can be told from others."""

    count: Annotated[int, Field(strict=True, ge=1)]
    """How many texts there were."""
    max_length: Annotated[int, Field(strict=True, ge=1)]
    """After how many tokens they were cut."""
    sha256: Annotated[str, Field(strict=True, pattern="^[0-9a-f]{64}$")]
    """The hash of the texts, in their order."""


class Recipe(FrozenModel):
    """List pruning steps in their order; each starts from what the step before left alive.

    Example:
        >>> import bertprune as bp
        >>> rows = bp.Step(method="ln_structured", fraction=0.25, select="encoder.*.intermediate.dense")
        >>> entries = bp.Step(method="l1_unstructured", fraction=0.5, scope="global", select="encoder.*")
        >>> run = bp.prune("demo", bp.Recipe(steps=[rows, entries]))
        >>> [outcome.removed for outcome in run.steps]
        [147456, 811008]
    """

    version: Literal[1] = 1
    """The format of the recipe; always 1 for now."""
    steps: Annotated[tuple[Step, ...], BeforeValidator(as_tuple)] = ()
    calibration: CalibrationRecord | None = None
    """On which texts a run of it was calibrated; stands in the recipes that exports write."""
    forecast: Forecast | None = None
    """What a plan measured of it; it changes nothing in what is pruned."""

    @classmethod
    def of(cls, recipe: "RecipeLike") -> "Recipe":
        """Build a recipe from what functions accept as one.

        Args:
            recipe: A `Recipe`, which is returned as it is; a single `Step`; a list of steps; plain data of a recipe or
                a step, as in YAML; or the path of a .yaml, .yml or .json file.

        Returns:
            The recipe.

        Raises:
            RecipeError: It is none of these, cannot be read, or does not fit the recipe's format.

        Example:
            >>> import bertprune as bp
            >>> len(bp.Recipe.of(bp.Step(method="l1_unstructured", fraction=0.2)).steps)
            1
        """
        if isinstance(recipe, Recipe):
            return recipe
        if isinstance(recipe, Step | list | tuple):
            return cls(steps=recipe)
        if isinstance(recipe, Mapping):
            is_step = "steps" not in recipe and not {"method", "granularity"}.isdisjoint(recipe)
            return cls.model_validate({"steps": [dict(recipe)]} if is_step else dict(recipe))
        if isinstance(recipe, Path) or (isinstance(recipe, str) and recipe.endswith(_SUFFIXES)):
            return cls.load(recipe)
        if isinstance(recipe, str):
            raise RecipeError(
                "{given!r} is not a recipe; bp.Recipe.from_yaml reads YAML, bp.Step(method=…, fraction=…) is a step",
                code="recipe.text", given=shortened(recipe),
            )  # fmt: skip
        raise RecipeError(
            "a recipe is a Recipe, a Step, a list of steps or the path of a file, not {kind}",
            code="recipe.kind", kind=kind_of(recipe),
        )  # fmt: skip

    def to_json(self) -> str:
        """Write the recipe as JSON; fields that have their default are left out.

        Returns:
            The text.

        Example:
            >>> import bertprune as bp, json
            >>> json.loads(bp.Recipe(steps=[bp.Step(method="l1_unstructured", count=9)]).to_json())
            {'version': 1, 'steps': [{'method': 'l1_unstructured', 'count': 9}]}
        """
        return json.dumps(self._plain(), indent=2, ensure_ascii=False) + "\n"

    def to_yaml(self) -> str:
        """Write the recipe as YAML; fields that have their default are left out.

        Returns:
            The text.

        Example:
            >>> import bertprune as bp
            >>> print(bp.Recipe(steps=[bp.Step(method="l1_unstructured", fraction=0.2)]).to_yaml(), end="")
            version: 1
            steps:
            - method: l1_unstructured
              fraction: 0.2
        """
        readable = _BREAKS.isdisjoint(self.to_json())
        return str(yaml.dump(self._plain(), Dumper=Dumper, sort_keys=False, allow_unicode=readable))

    def _plain(self) -> dict[str, Any]:
        plain = {"version": self.version, **self.model_dump(mode="json", exclude_defaults=True)}
        for step in plain.get("steps", ()):
            if not step["options"]:  # pydantic sees no default behind a serializer
                del step["options"]
        return plain

    @classmethod
    def from_json(cls, text: str) -> "Recipe":
        """Read a recipe from JSON.

        Args:
            text: The JSON text, at most 64 kB.

        Returns:
            The recipe.

        Raises:
            RecipeError: The text is not a recipe; the message names the line or the field.

        Example:
            >>> import bertprune as bp
            >>> bp.Recipe.from_json('{"steps": [{"method": "l1_unstructured", "count": 9}]}').steps[0].count
            9
        """
        return cls._from_plain(from_json(text))

    @classmethod
    def from_yaml(cls, text: str) -> "Recipe":
        """Read a recipe from YAML without anchors and tags.

        Args:
            text: The YAML text, at most 64 kB.

        Returns:
            The recipe.

        Raises:
            RecipeError: The text is not a recipe; the message names the line or the field.

        Example:
            >>> import bertprune as bp
            >>> bp.Recipe.from_yaml("steps: [{method: l1_unstructured, fraction: 0.2}]").steps[0].fraction
            0.2
        """
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
        """Read a recipe from a file.

        Args:
            path: The file in UTF-8; JSON where its name ends in `.json`, otherwise YAML.

        Returns:
            The recipe.

        Raises:
            RecipeError: The file cannot be read, or is not a recipe.

        Example:
            >>> import bertprune as bp
            >>> recipe = bp.Recipe(steps=[bp.Step(method="l1_unstructured", fraction=0.2)])
            >>> recipe.save("recipe.yaml")
            >>> bp.Recipe.load("recipe.yaml") == recipe
            True
        """
        path = _path(path)
        check_regular(path, RecipeError)
        try:
            if path.stat().st_size > MAX_BYTES:
                raise RecipeError(
                    "{file} has more than {most:,} bytes, the limit for recipes",
                    code="recipe.large_file", file=name_of(path), most=MAX_BYTES,
                )  # fmt: skip
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise RecipeError(
                "{file} is not UTF-8 text; save it in that encoding", code="recipe.encoding", file=name_of(path)
            ) from None
        except (OSError, ValueError) as error:
            raise RecipeError(
                "{file} cannot be read: {reason}", code="recipe.unreadable", file=name_of(path), reason=reason_of(error)
            ) from None
        try:
            return cls.from_json(text) if path.suffix == ".json" else cls.from_yaml(text)
        except RecipeError as error:
            raise error.within("{file}", code="place.file", file=name_of(path)) from None

    def save(self, path: str | Path) -> None:
        """Write the recipe to a file.

        Args:
            path: The file; JSON is written where its name ends in `.json`, otherwise YAML.

        Raises:
            RecipeError: The file cannot be written.

        Example:
            >>> import bertprune as bp
            >>> bp.Recipe(steps=[bp.Step(method="l1_unstructured", fraction=0.2)]).save("recipe.json")
        """
        path = _path(path)
        check_regular(path, RecipeError)
        text = self.to_json() if path.suffix == ".json" else self.to_yaml()
        try:
            path.write_text(text, encoding="utf-8")
        except (OSError, ValueError) as error:
            raise RecipeError(
                "{file} cannot be written: {reason}",
                code="recipe.unwritable",
                file=name_of(path),
                reason=reason_of(error),
            ) from None


RecipeLike = Recipe | Step | Sequence[Step | Mapping[str, Any]] | Mapping[str, Any] | str | Path
"""What functions accept as a recipe."""


def _path(given: Any) -> Path:
    if not isinstance(given, str | Path):
        raise RecipeError("a recipe's file is given as a path, not {kind}", code="recipe.path", kind=kind_of(given))
    return from_home(given, RecipeError)

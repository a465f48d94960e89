"""The recipes of a sweep: a grid of steps multiplied out, and a name for each recipe."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from ..errors import BertpruneError, RecipeError, kind_of, shown
from ..recipe import Recipe, RecipeLike
from ..step import Step

DENSE = "dense"
"""The name of the row that prunes nothing."""

Recipes = Mapping[str, RecipeLike] | Sequence[RecipeLike]


def grid(**fields: Any) -> dict[str, Any]:
    """Multiply out steps: one for each combination of the values that are given in lists.

    Args:
        **fields: The fields of a `Step`, each one value or a list of several. Several globs for `select` are one value
            in `Selection(include=[…])`.

    Returns:
        A dict from name to step, in the order of the lists; the last field varies fastest. A combination that no step
        can have is plain data: `sweep` says in its row why it is refused. Join several grids by `|`.

    Example:
        >>> import bertprune as bp
        >>> list(bp.grid(method=["magnitude", "wanda"], fraction=[0.3, 0.5], granularity="neuron"))[1:3]
        ['magnitude 0.5 neuron local on everything', 'wanda 0.3 neuron local on everything']
    """
    lists = [value if isinstance(value, list) else [value] for value in fields.values()]
    return dict(_named(dict(zip(fields, values, strict=True))) for values in product(*lists))


def _named(fields: dict[str, Any]) -> tuple[str, Any]:
    try:
        step = Step(**fields)
    except RecipeError:
        return ", ".join(f"{name}={value}" for name, value in fields.items()), fields
    return str(step), step


def named_recipes(recipes: Any) -> dict[str, Recipe | BertpruneError]:
    """Return recipes by name, or why one of them is none. Raises BertpruneError for what holds no recipes."""
    if isinstance(recipes, str | bytes | Path) or not isinstance(recipes, Mapping | Sequence):
        raise BertpruneError(
            "recipes are a list of recipes, or a mapping of names to recipes such as bp.grid gives, not {kind}",
            code="sweep.recipes_kind", kind=kind_of(recipes),
        )  # fmt: skip
    if not recipes:
        raise BertpruneError("a sweep needs recipes, and there are none", code="sweep.no_recipes")
    if not isinstance(recipes, Mapping):
        return _numbered([_recipe(one) for one in recipes])
    for name in recipes:
        _check_name(name)
    return {name: _recipe(one) for name, one in recipes.items()}


def _check_name(name: Any) -> None:
    if not isinstance(name, str) or name == DENSE:
        raise BertpruneError(
            "{name} cannot be the name of a recipe: expected a text other than {dense!r}, the checkpoint as it is",
            code="sweep.recipe_name", name=shown(name), dense=DENSE,
        )  # fmt: skip


def _recipe(given: Any) -> Recipe | BertpruneError:
    """Return a recipe, or why there is none; the shell knows that of some already."""
    try:
        return given if isinstance(given, BertpruneError) else Recipe.of(given)
    except BertpruneError as error:
        return error


def _numbered(recipes: list[Recipe | BertpruneError]) -> dict[str, Recipe | BertpruneError]:
    """Name each recipe by its steps; the second of one name gets a number."""
    seen, named = Counter[str](), {}
    for number, one in enumerate(recipes, 1):
        name = words_of(one) if isinstance(one, Recipe) else f"recipe {number}"
        seen[name] += 1
        named[name if seen[name] == 1 else f"{name} ({seen[name]})"] = one
    return named


def words_of(recipe: Recipe) -> str:
    """Write a recipe in one line."""
    return "; ".join(map(str, recipe.steps)) or "no steps"

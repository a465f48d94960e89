"""The flags of a recipe that a sweep takes more than once, and the recipes of all their combinations."""

import inspect
from itertools import product
from pathlib import Path
from typing import Annotated, Any, get_args

from ..errors import RecipeError
from .options import MethodFiles, build_recipe, load_methods, load_recipe

_SEVERAL = ("method", "fraction", "count", "scope", "granularity")


def build_recipes(recipe: list[Path] | None = None, methods_file: MethodFiles = None, **flags: Any) -> dict[str, Any]:
    """Build the recipes of a sweep by name: those of the files, and one for each combination of the other flags.

    A combination that no step can have stays an error, which the sweep shows in its row. Raises RecipeError.
    """
    load_methods(methods_file)
    found: dict[str, Any] = {str(file): load_recipe(file) for file in recipe or ()}
    several = {name: flags.pop(name) or [None] for name in _SEVERAL}
    for values in product(*several.values()):
        chosen = dict(zip(several, values, strict=True))
        words = " ".join(f"--{flag} {value}" for flag, value in chosen.items() if value is not None)
        found |= _one(words, flags | chosen)
    if not found:
        sentence = "no recipes: give --recipe FILE, or --method and --fraction or --count, each once or more"
        raise RecipeError(sentence, code="cli.no_recipes")
    return found


def _one(words: str, flags: dict[str, Any]) -> dict[str, Any]:
    """Build the recipe of one combination; nothing where no flag is given. Raises RecipeError for a wrong flag."""
    try:
        recipe = build_recipe(**flags)
    except RecipeError as error:
        if error.code.startswith("cli."):
            raise
        return {words: error}
    return {} if recipe is None else {str(recipe.steps[0]): recipe}


def _several(parameter: inspect.Parameter) -> inspect.Parameter:
    """Let a flag be given more than once."""
    kind, option = get_args(parameter.annotation)
    return parameter.replace(annotation=Annotated[list[get_args(kind)[0]] | None, option])  # type: ignore[misc]


build_recipes.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
    [
        _several(one) if name in ("recipe", *_SEVERAL) else one
        for name, one in inspect.signature(build_recipe, eval_str=True).parameters.items()
    ]
)

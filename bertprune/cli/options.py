"""The flags that say a recipe, shared by every command that takes one."""

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import RecipeError
from ..recipe import Recipe, Selection, Step
from .parse import count_of, fraction_of, layers_of, names_of, options_of

_STEP = "A step, or --recipe"

Words = list[str] | None


def _flag(name: str, words: str, **more: Any) -> Any:
    return typer.Option(name, help=words, rich_help_panel=_STEP, show_default=False, **more)


def recipe_of(
    recipe: Annotated[Path | None, _flag("--recipe", "A recipe, YAML or JSON.", metavar="FILE")] = None,
    method: Annotated[
        str | None, _flag("--method", "How to prune; `bertprune methods` lists them.", metavar="NAME")
    ] = None,
    fraction: Annotated[
        str | None, _flag("--fraction", "The share of what is alive that goes (0 < f <= 1).", metavar="F")
    ] = None,
    count: Annotated[
        str | None, _flag("--count", "How many go: entries, or slices for structured methods.", metavar="N")
    ] = None,
    scope: Annotated[
        str | None,
        _flag("--scope", "Each tensor by itself (the default), or all ranked together.", metavar="local|global"),
    ] = None,
    role: Annotated[Words, _flag("--role", "Parts such as attention.query,attention.key.", metavar="NAMES")] = None,
    layer: Annotated[Words, _flag("--layer", "Encoder layers from zero, such as 0,2-4.", metavar="NUMBERS")] = None,
    type_: Annotated[Words, _flag("--type", "Class names such as Linear,Embedding.", metavar="NAMES")] = None,
    include: Annotated[Words, _flag("--include", "A glob over module paths; repeat for more.", metavar="GLOB")] = None,
    exclude: Annotated[
        Words, _flag("--exclude", "A glob that is taken out again; repeat for more.", metavar="GLOB")
    ] = None,
    tensor: Annotated[
        str | None, _flag("--tensor", "The parameter within its module (weight).", metavar="NAME")
    ] = None,
    option: Annotated[
        Words, _flag("--option", "An option of the method; repeat for more.", metavar="KEY=VALUE")
    ] = None,
    methods_file: Annotated[
        list[Path] | None,
        _flag("--methods", "A Python file with methods of your own; it is run.", metavar="FILE.py"),
    ] = None,
) -> Recipe | None:
    """Build the recipe that the flags say; None where they say nothing. Raises RecipeError."""
    load_methods(methods_file)
    step = {
        "--method": method,
        "--fraction": fraction_of(fraction),
        "--count": count_of(count),
        "--scope": scope,
        "--role": names_of(role or (), "--role"),
        "--layer": layers_of(layer or ()),
        "--type": names_of(type_ or (), "--type"),
        "--include": tuple(include or ()),
        "--exclude": tuple(exclude or ()),
        "--tensor": tensor,
        "--option": options_of(option or ()),
    }
    given = {flag: value for flag, value in step.items() if value not in (None, (), {})}
    if recipe is not None:
        return _from_file(recipe, list(given))
    return Recipe(steps=(_step_of(given),)) if given else None


def load_methods(files: list[Path] | None) -> None:
    """Register the methods that the files hold. Raises RecipeError."""
    for file in files or ():
        from ..scores import load_file  # loads torch, so only where a file is named

        load_file(file)


def _from_file(path: Path, flags: list[str]) -> Recipe:
    if flags:
        raise RecipeError(f"--recipe and {flags[0]}: give a file or the flags of one step, not both")
    return Recipe.load(path)


def _step_of(given: dict[str, Any]) -> Step:
    if "--method" not in given:
        raise RecipeError(f"{next(iter(given))}: a step needs --method NAME; `bertprune methods` lists them")
    if ("--fraction" in given) == ("--count" in given):
        raise RecipeError("the step's amount: give either --fraction (0 < f <= 1) or --count (1 or more), and not both")
    places = {"--role": "roles", "--layer": "layers", "--type": "types"}
    places |= {name: name[2:] for name in ("--include", "--exclude", "--tensor")}
    select = Selection(**{field: given[flag] for flag, field in places.items() if flag in given})
    rest = {name: given["--" + name] for name in ("method", "fraction", "count", "scope") if "--" + name in given}
    return Step(select=select, options=given.get("--option", {}), **rest)


def with_recipe(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command whose parameter is `recipe: Recipe | None` the flags that say it."""
    own = inspect.signature(command, eval_str=True).parameters
    flags = inspect.signature(recipe_of, eval_str=True).parameters
    kept = [parameter for name, parameter in own.items() if name != "recipe"]

    @functools.wraps(command)
    def wrapped(**given: Any) -> None:
        said = {name: given.pop(name) for name in flags}
        command(recipe=recipe_of(**said), **given)

    shown = [*kept, *flags.values()]
    wrapped.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in shown]
    )
    wrapped.__annotations__ = {parameter.name: parameter.annotation for parameter in shown}
    return wrapped


def needed(recipe: Recipe | None) -> Recipe:
    """Insist on a recipe. Raises RecipeError."""
    if recipe is None:
        raise RecipeError("no recipe: give --recipe FILE, or one step by --method with --fraction or --count")
    return recipe

"""Arguments and options that several commands share, including the flags of a recipe."""

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

import bertprune as bp

from ..errors import RecipeError
from ..recipe import Recipe
from ..selection import Selection
from ..step import Step, parse_granularity
from .values import parse_count, parse_fraction, parse_layers, parse_names, parse_options, parse_path, parse_source

CheckpointName = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE", help="A checkpoint: demo, a folder (also an export), a file or a Hub id.", parser=parse_source
    ),
]
Revision = Annotated[
    str | None, typer.Option("--revision", help="A branch, tag or commit of a Hub id.", show_default=False)
]
Seed = Annotated[int, typer.Option("--seed", help="The random seed.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an earlier export in the same place.")]
MethodFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--methods",
        metavar="FILE.py",
        help="A Python file that registers methods; it is executed.",
        show_default=False,
        parser=parse_path,
    ),
]

DataFile = Annotated[
    str,
    typer.Option(
        "--data",
        metavar="FILE",
        help='CSV, TSV or JSONL with texts, or "samples" for the included reviews.',
        parser=parse_source,
    ),
]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="Use only the first rows.", show_default=False)]
Sample = Annotated[
    int | None, typer.Option("--sample", min=1, help="Draw so many of the rows by the seed.", show_default=False)
]


def path_option(flag: str, metavar: str, text: str) -> Any:
    """Return an option that names a file or folder."""
    return typer.Option(flag, metavar=metavar, help=text, show_default=False, parser=parse_path)


def _column(flag: str, what: str) -> Any:
    text = f"The {what} column, if it has no common name."
    return typer.Option(flag, metavar="COLUMN", help=text, show_default=False)


TextColumn = Annotated[str | None, _column("--text", "texts")]
PairColumn = Annotated[str | None, _column("--text-pair", "second texts")]
LabelColumn = Annotated[str | None, _column("--label", "labels")]

_Texts = list[str] | None


def load_methods(files: list[Path] | None) -> None:
    """Register the methods in the files. Raises RecipeError."""
    for file in files or ():
        from ..scores import load_file  # loads torch, so only where a file is named

        load_file(file)


def with_recipe_flags(command: Callable[..., None]) -> Callable[..., None]:
    """Replace the parameters `recipe` and `calibration` of a command by the flags that give them."""
    return with_flags(command, {"recipe": build_recipe, "calibration": build_calibration})


def with_flags(command: Callable[..., None], builders: dict[str, Callable[..., Any]]) -> Callable[..., None]:
    """Replace parameters of a command by those of the functions that build their values."""
    own = inspect.signature(command, eval_str=True).parameters
    flags = {
        name: inspect.signature(build, eval_str=True).parameters for name, build in builders.items() if name in own
    }

    @functools.wraps(command)
    def wrapped(**given: Any) -> None:
        built = {
            name: builders[name](**{flag: given.pop(flag) for flag in parameters}) for name, parameters in flags.items()
        }
        command(**built, **given)

    kept = [parameter for name, parameter in own.items() if name not in flags]
    shown = [*kept, *(parameter for parameters in flags.values() for parameter in parameters.values())]
    wrapped.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in shown]
    )
    wrapped.__annotations__ = {parameter.name: parameter.annotation for parameter in shown}
    return wrapped


_PANEL = "A step, or --recipe"
_PLAIN = ("method", "fraction", "count", "scope", "granularity", "reconstruct")


def _flag(name: str, text: str, metavar: str, **more: Any) -> Any:
    return typer.Option(name, help=text, metavar=metavar, rich_help_panel=_PANEL, show_default=False, **more)


def _calibration_flag(name: str, text: str, metavar: str, **more: Any) -> Any:
    panel = "Calibration texts"
    return typer.Option(name, help=text, metavar=metavar, rich_help_panel=panel, show_default=False, **more)


def build_recipe(
    recipe: Annotated[Path | None, _flag("--recipe", "A recipe, YAML or JSON.", "FILE", parser=parse_path)] = None,
    method: Annotated[str | None, _flag("--method", "The method; `bertprune methods` lists them.", "NAME")] = None,
    fraction: Annotated[
        str | None, _flag("--fraction", "The share to prune of the weights not pruned yet (0 < f <= 1).", "F")
    ] = None,
    count: Annotated[
        str | None, _flag("--count", "How many to prune: entries, or slices for structured methods.", "N")
    ] = None,
    scope: Annotated[
        str | None,
        _flag(
            "--scope", "Rank each tensor or layer by itself (default), each row, or all together.", "local|row|global"
        ),
    ] = None,
    granularity: Annotated[
        str | None,
        _flag(
            "--granularity",
            "What goes together: element, row, column, 2:4, block:4x4, neuron, head, layer, token.",
            "NAME",
        ),
    ] = None,
    reconstruct: Annotated[
        bool, typer.Option("--reconstruct", help="Adjust what stays on the calibration texts.", rich_help_panel=_PANEL)
    ] = False,
    role: Annotated[_Texts, _flag("--role", "Parts such as attention.query,attention.key.", "NAMES")] = None,
    layer: Annotated[_Texts, _flag("--layer", "Encoder layers from zero, such as 0,2-4.", "NUMBERS")] = None,
    type_: Annotated[_Texts, _flag("--type", "Class names such as Linear,Embedding.", "NAMES")] = None,
    include: Annotated[_Texts, _flag("--include", "Module paths to prune; repeat for more.", "GLOB")] = None,
    exclude: Annotated[_Texts, _flag("--exclude", "Module paths to leave alone; repeat for more.", "GLOB")] = None,
    tensor: Annotated[str | None, _flag("--tensor", "The parameter of each module (default: weight).", "NAME")] = None,
    option: Annotated[_Texts, _flag("--option", "An option of the method; repeat for more.", "KEY=VALUE")] = None,
    methods_file: MethodFiles = None,
) -> Recipe | None:
    """Build the recipe that the flags describe, or None where there are none. Raises RecipeError."""
    load_methods(methods_file)
    flags = {
        "--method": method,
        "--fraction": parse_fraction(fraction),
        "--count": parse_count(count),
        "--scope": scope,
        "--granularity": granularity,
        "--reconstruct": reconstruct,
        "--role": parse_names(role or (), "--role"),
        "--layer": parse_layers(layer or ()),
        "--type": parse_names(type_ or (), "--type"),
        "--include": tuple(include or ()),
        "--exclude": tuple(exclude or ()),
        "--tensor": tensor,
        "--option": parse_options(option or ()),
    }
    given = {flag: value for flag, value in flags.items() if value not in (None, (), {}, False)}
    if recipe is None:
        return Recipe(steps=(_build_step(given),)) if given else None
    if given:
        sentence = "--recipe and {flag}: give a file or the flags of one step, not both"
        raise RecipeError(sentence, code="cli.recipe_and_flags", flag=next(iter(given)))
    return load_recipe(recipe)


def build_calibration(
    calibrate: Annotated[
        Path | None,
        _calibration_flag(
            "--calibrate", "Texts for methods that read them, and for --reconstruct.", "FILE", parser=parse_path
        ),
    ] = None,
    calibration_count: Annotated[
        int | None, _calibration_flag("--calibration-count", "How many of the texts are drawn (512).", "N", min=1)
    ] = None,
    calibration_length: Annotated[
        int | None, _calibration_flag("--calibration-length", "Tokens after which texts are cut (128).", "N", min=3)
    ] = None,
) -> Any:
    """Read the calibration texts that the flags name, or return None where they name none. Raises DataError."""
    numbers = {"count": calibration_count, "max_length": calibration_length}
    given: dict[str, Any] = {name: number for name, number in numbers.items() if number is not None}
    if calibrate is not None:
        return bp.Calibration(calibrate, **given)
    if given:
        sentence = "--calibration-count and --calibration-length say how --calibrate FILE is read: give that too"
        raise RecipeError(sentence, code="cli.calibration_alone")
    return None


def load_recipe(file: Path) -> Recipe:
    """Load a recipe; one without steps, which would write the checkpoint as it is, is refused. Raises RecipeError."""
    loaded = Recipe.load(file)
    if not loaded.steps:
        raise RecipeError("{file}: no steps, so nothing would be pruned", code="cli.no_steps", file=file.name)
    return loaded


def _build_step(given: dict[str, Any]) -> Step:
    if "--method" not in given and given.get("--granularity") not in ("layer", "token"):
        sentence = "{flag}: a step needs --method NAME; `bertprune methods` lists them"
        raise RecipeError(sentence, code="cli.no_method", flag=next(iter(given)))
    pattern = parse_granularity(given.get("--granularity", "")) or ("element", ())
    if pattern[0] != "pattern" and ("--fraction" in given) == ("--count" in given):
        sentence = "the step's amount: give either --fraction (0 < f <= 1) or --count (1 or more), and not both"
        raise RecipeError(sentence, code="cli.amount")
    places = {"--role": "roles", "--layer": "layers", "--type": "types"}
    places |= {name: name[2:] for name in ("--include", "--exclude", "--tensor")}
    select = Selection(**{field: given[flag] for flag, field in places.items() if flag in given})
    rest = {name: given["--" + name] for name in _PLAIN if "--" + name in given}
    return Step(select=select, options=given.get("--option", {}), **rest)


def require(recipe: Recipe | None) -> Recipe:
    """Return the recipe, or raise RecipeError where no flag gave one."""
    if recipe is None:
        sentence = "no recipe: give --recipe FILE, or one step with --method and --fraction or --count"
        raise RecipeError(sentence, code="cli.no_recipe")
    return recipe

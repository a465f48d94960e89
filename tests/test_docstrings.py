"""The docstrings of all public names: their examples run, and their sections agree with the signatures."""

import doctest
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest

import bertprune as bp

NAMES = [name for name in bp.__all__ if name != "__version__"]
ROUTINE = (FunctionType, classmethod, staticmethod)
WITHOUT_EXAMPLE = {"NoEffectWarning", "TooLargeError"}
"""Raised by the library; the docstring of their parent shows how to use one."""


def documented(name: str) -> Iterator[tuple[str, Any]]:
    """Yield a public name with what it stands for, and those within it: functions of a module, methods of a class."""
    value = getattr(bp, name)
    yield name, value
    if isinstance(value, ModuleType):
        yield from (
            (f"{name}.{each}", getattr(value, each)) for each in value.__all__ if callable(getattr(value, each))
        )
    elif inspect.isclass(value):
        own = [each for each, found in vars(value).items() if not each.startswith("_") and isinstance(found, ROUTINE)]
        yield from ((f"{name}.{each}", getattr(value, each)) for each in own)


def run_examples(name: str, text: str) -> int:
    """Run the `>>>` lines of a docstring, fail where they print something else, and return how many there are."""
    examples = doctest.DocTestParser().get_doctest(text, {}, name, None, None)
    report: list[str] = []
    assert not doctest.DocTestRunner().run(examples, out=report.append).failed, "".join(report)
    return len(examples.examples)


def problems(name: str, thing: Callable[..., Any]) -> list[str]:
    """Compare the sections of a function's docstring with its signature."""
    text, signature = inspect.getdoc(thing) or "", inspect.signature(thing)
    section = re.search(r"^Args:\n((?:    .*\n|\n)*)", text + "\n", re.M)
    listed = re.findall(r"^ {4}\*{0,2}(\w+)(?: \(.+\))?:", section[1], re.M) if section else []
    real = [each for each in signature.parameters if each not in ("self", "cls")]
    found = [f"{name}: Args: lists {listed}, its parameters are {real}"] if listed != real else []
    returns = re.search("^Return |^Returns:$", text, re.M)  # a summary may say it
    if signature.return_annotation not in (None, "None") and not returns:
        found.append(f"{name}: no Returns:")
    return found if text else [f"{name}: no docstring"]


@pytest.mark.usefixtures("temporary_methods")
@pytest.mark.parametrize("name", NAMES)
def test_docstrings_show_examples_that_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = {each: run_examples(each, inspect.getdoc(thing) or "") for each, thing in documented(name)}
    if inspect.isroutine(getattr(bp, name)) or name == "figures":
        found = {each: count for each, count in found.items() if each != "figures"}
        assert [each for each, count in found.items() if not count] == [], "these have no Example:"
    else:
        assert any(found.values()) or name in WITHOUT_EXAMPLE, f"neither {name} nor its methods have an Example:"


def test_docstrings_name_the_real_parameters() -> None:
    every = [found for name in NAMES for found in documented(name)]
    assert [name for name, thing in every if not inspect.getdoc(thing)] == [], "these have no docstring"
    routines = [(name, thing) for name, thing in every if inspect.isroutine(thing)]
    assert [problem for name, thing in routines for problem in problems(name, thing)] == []


def test_a_wrong_docstring_is_noticed() -> None:
    def scale(weight: float, by: float) -> float:
        """Scale a weight.

        Args:
            weight: a number.
            factor: a number.
        """
        return weight * by

    found = problems("scale", scale)
    assert [problem.split(":")[1] for problem in found] == [" Args", " no Returns"]
    with pytest.raises(AssertionError, match=r"Expected:\s+3"):
        run_examples("sum", ">>> 1 + 1\n3\n")

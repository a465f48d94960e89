"""The text of a recipe, which may be hostile or unclear, becomes the recipe that is meant, or one line."""

import math
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertprune.errors import RecipeError
from bertprune.recipe import MAX_BYTES, Recipe
from bertprune.safe_yaml import from_yaml
from bertprune.selection import Selection
from bertprune.step import Step

UNTRUSTED = [
    ("steps: [&a {method: x, count: 1}, *a]", "anchors are not allowed.*line 1"),
    ("version: 1\nsteps: !!python/object/apply:os.system [ls]", "tags are not allowed.*line 2"),
    ("steps: [", "not valid YAML.*line"),
    ("- method: x", "a mapping with `version` and `steps`, not list"),
    ("", "not NoneType"),
    ("version: 2\nsteps: []", "version.*1"),
    ("stages: []", "stages.*is not a field"),
    ("[" * 60_000, "nested too deep; the limit is 16 levels.*line 1"),
    ("{a: " * 15_000, "nested too deep; the limit is 16 levels.*line 1"),
    ("- " * 30_000, "nested too deep; the limit is 16 levels.*line 1"),
    ("steps: [{method: x, fraction: 0.5, fraction: 0.9}]", "'fraction' is given twice"),
    ('steps: [{method: x, count: 1, "method": y}]', "'method' is given twice"),
    ("steps: []\nversion: 1\n<<: {steps: []}", "merge keys are not allowed .line 1"),
    ("steps: [{method: x, fraction: 1" + ":59" * 2000 + ".5}]", "in several ways.* a plain decimal number"),
    ("steps: [{method: x, count: 1" + ":59" * 2000 + "}]", "in several ways.* a plain decimal number"),
    ("steps: [{method: x, count: " + "9" * 5000 + "}]", "a number has more than 64 bits; the limit is 64$"),
    ("steps: [{method: x, count: 1, options: {n: 0x" + "f" * 60_000 + "}}]", "write a plain decimal number"),
]


def test_untrusted_yaml(subtests: pytest.Subtests) -> None:
    for text, message in UNTRUSTED:
        with subtests.test(message):
            with pytest.raises(RecipeError, match=message) as caught:
                Recipe.from_yaml(text)
            assert "\n" not in str(caught.value)


UNTRUSTED_JSON = [
    "{",
    "[" * 60_000,
    '{"steps": [}',
    '"text"',
    "3",
    '{"steps": [], "steps": []}',
    '{"version": 1%s}' % ("0" * 30),
]


def test_untrusted_json(subtests: pytest.Subtests) -> None:
    for text in UNTRUSTED_JSON:
        with subtests.test(repr(text[:20])), pytest.raises(RecipeError, match=r"JSON|mapping"):
            Recipe.from_json(text)


def test_a_number_too_long_to_read_has_our_message() -> None:
    with pytest.raises(RecipeError, match=r"not valid JSON: a number has more than 64 bits; the limit is 64$"):
        Recipe.from_json('{"version": %s}' % ("9" * 5000))


def test_what_is_too_long_is_not_parsed(subtests: pytest.Subtests) -> None:
    for read in [Recipe.from_json, Recipe.from_yaml]:
        with subtests.test(read.__name__), pytest.raises(RecipeError, match="too long; the limit is 64,000"):
            read("[" * (MAX_BYTES + 1))


def test_only_text_is_parsed(subtests: pytest.Subtests) -> None:
    for read in [Recipe.from_json, Recipe.from_yaml]:
        with subtests.test(read.__name__):
            for text in (None, b"steps: []", Path("recipe.yaml"), ["steps: []"]):
                with pytest.raises(
                    RecipeError, match=r"the text of a recipe must be a string, .*; Recipe\.load reads a file"
                ):
                    read(text)


def test_marks_that_yaml_folds_survive(subtests: pytest.Subtests) -> None:
    for mark in ["\x85", "\u2028", "\u2029", "\ufeff", "가"]:
        with subtests.test(repr(mark)):
            recipe = Recipe(steps=[Step(method="x", count=1, select=Selection(include=f"a{mark}b", tensor=mark))])
            assert Recipe.from_yaml(recipe.to_yaml()) == recipe


MEANT = {
    "5e-1": 0.5,
    "5E-1": 0.5,
    "1e3": 1000.0,
    "1.5e3": 1500.0,
    ".5": 0.5,
    "+.5": 0.5,
    "2.": 2.0,
    "+3": 3,
    "-0": 0,
    "08.5": 8.5,
    "true": True,
    "False": False,
    "null": None,
    "": None,
    ".inf": math.inf,
    "-.inf": -math.inf,
    "inf": math.inf,
    "2024-01-01": "2024-01-01",
    "2024-01-01 10:00:00": "2024-01-01 10:00:00",
    "fro": "fro",
    "yesterday": "yesterday",
    "y": "y",
    "=": "=",
}


def test_words_with_one_meaning_are_taken_as_meant(subtests: pytest.Subtests) -> None:
    for word in MEANT:
        with subtests.test(word):
            value = Recipe.from_yaml(f"steps: [{{method: x, count: 1, options: {{n: {word}}}}}]").steps[0].options["n"]
            assert (value, type(value)) == (MEANT[word], type(MEANT[word]))


UNCLEAR = {
    "010": "10",
    "-010": "-10",
    "08": "8",
    "00": "0",
    "0x10": "16",
    "0o17": "15",
    "0b11": "3",
    "0x_f": "15",
    "1_e5": "1e5",
    "0_e1": "0e1",
    "0_.5": "0.5",
    "1_000": "1000",
    "1_000.5": "1000.5",
    "1:30": "a plain decimal number",
    "1:30.5": "a plain decimal number",
    "yes": "true",
    "On": "true",
    "NO": "false",
    "off": "false",
    "~": "null",
    "None": "null",
}


PLACES = ("options: {n: %s}", "select: {include: [%s]}", "select: {layers: %s}", "%s: 1", "options: {%s: 1}")


def test_words_with_several_meanings_are_refused_with_what_to_write(subtests: pytest.Subtests) -> None:
    for word in UNCLEAR:
        with subtests.test(word):
            instead = f"write {UNCLEAR[word]}, or put it in quotes if it is text"
            said = f"{word!r} can be read in several ways (line 2); {instead}"
            for place in PLACES:
                with pytest.raises(RecipeError) as caught:
                    Recipe.from_yaml(f"steps:\n- {{method: x, count: 1, {place % word}}}")
                assert str(caught.value) == f"the recipe is not valid YAML: {said}"


@given(st.text(st.sampled_from("019_xXoObBeEf.+-:"), min_size=1, max_size=6))
def test_every_word_of_digits_is_read_or_refused_in_our_words(word: str) -> None:
    try:
        from_yaml(f"n: {word}")
    except RecipeError as error:
        instead = re.search("write (.*), or put it in quotes", str(error))
        if instead is not None and instead[1] != "a plain decimal number":
            assert isinstance(from_yaml(f"n: {instead[1]}")["n"], int | float)
        assert "invalid literal" not in str(error)


UNQUOTED = [
    ("select: *.query", "*.query"),
    ("select: *query", "*query"),
    ("select: *", "*"),
    ("select: {include: [encoder.layer.{0,1}.*]}", "encoder.layer.{0,1}.*"),
    ("select: {include: ['*.key', *.query]}", "*.query"),
]


def test_a_glob_without_quotes_is_refused_with_what_to_write(subtests: pytest.Subtests) -> None:
    for field, glob in UNQUOTED:
        said = f"line 3.*; put a glob in quotes: {re.escape(repr(glob))}$"
        with subtests.test(field), pytest.raises(RecipeError, match=said):
            from_yaml(f"steps:\n- method: x\n  {field}\n  count: 1\n")


@given(st.sampled_from([*MEANT, *UNCLEAR, "<<", ".nan", "0", "1", "-1.5"]), st.booleans())
def test_text_that_looks_like_something_else_survives(word: str, padded: bool) -> None:
    text = f"{word} " if padded else word
    recipe = Recipe(steps=[Step(method=text or "x", count=1, select=Selection(include=text, tensor=text or "x"))])
    assert Recipe.from_yaml(recipe.to_yaml()) == recipe

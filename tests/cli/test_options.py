"""Words of a command line become values of a step."""

import math

import pytest

from bertprune.cli.parse import layers_of, names_of, options_of, value_of
from bertprune.errors import RecipeError


@pytest.mark.parametrize(
    ("given", "layers"),
    [
        (["0"], (0,)),
        (["0,2-4"], (0, 2, 3, 4)),
        (["3", "1"], (1, 3)),
        (["1-1", "1"], (1,)),
        ([" 2 , 0 "], (0, 2)),
        (["11,"], (11,)),
        ([], ()),
    ],
)
def test_layers(given: list[str], layers: tuple[int, ...]) -> None:
    assert layers_of(given) == layers


@pytest.mark.parametrize("given", ["x", "1-", "-1", "1:3", "1.0", "1-2-3", "٣", "3-1", "0-1000", "99999999999999"])
def test_wrong_layers_are_named(given: str) -> None:
    with pytest.raises(RecipeError, match=f"^--layer '{given}': "):
        layers_of([given])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2", 2),
        ("-2", -2),
        ("2.0", 2.0),
        (".5", 0.5),
        ("1e-3", 1e-3),
        ("1E3", 1e3),
        ("inf", math.inf),
        ("-Infinity", -math.inf),
        ("true", True),
        ("False", False),
        ("null", None),
        ("None", None),
        ("fro", "fro"),
        ("", ""),
        ('"2"', "2"),
        ("1_000", "1_000"),
        ("nan", "nan"),
        ("a=b", "a=b"),
    ],
)
def test_values(text: str, value: object) -> None:
    read = value_of(text, "n")
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("n", "--option 'n': not a setting; write it as key=value, such as n=2"),
        ("=2", "--option '=2': not a setting; write it as key=value, such as n=2"),
        ("n=[1]", "--option n=[1]: neither a number, true, false, null, inf nor text"),
        ('n="x', '--option n="x: neither a number, true, false, null, inf nor text'),
    ],
)
def test_wrong_options_are_named(given: str, words: str) -> None:
    with pytest.raises(RecipeError) as caught:
        options_of([given])
    assert str(caught.value) == words


def test_an_option_given_twice_is_refused() -> None:
    assert options_of(["n=2", "dim=0"]) == {"n": 2, "dim": 0}
    with pytest.raises(RecipeError, match=r"^--option n: given twice"):
        options_of(["n=2", "n=1"])


def test_names_keep_their_order_and_lose_their_doubles() -> None:
    assert names_of(["b,a", "a, c,"], "--type") == ("b", "a", "c")


def test_a_flag_that_names_nothing_does_not_mean_everything() -> None:
    with pytest.raises(RecipeError, match=r"^--type ' ,': names nothing"):
        names_of(["a", " ,"], "--type")

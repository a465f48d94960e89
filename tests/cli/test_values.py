"""Arguments of a command line become values of a step."""

import math

import pytest

from bertprune.cli.values import parse_count, parse_fraction, parse_layers, parse_names, parse_options, parse_value
from bertprune.errors import RecipeError

LAYERS = [
    (["0,2-4"], (0, 2, 3, 4)),
    (["3", "1"], (1, 3)),
    (["1-1", "1"], (1,)),
    ([" 2 , 0 ,"], (0, 2)),
    ([], ()),
]


def test_layers(subtests: pytest.Subtests) -> None:
    for given, layers in LAYERS:
        with subtests.test(str(given)):
            assert parse_layers(given) == layers


def test_wrong_layers_are_named(subtests: pytest.Subtests) -> None:
    for given in ["x", "-1", "1.0", "1-2-3", "٣", "3-1", "0-1000", "9" * 20]:
        with subtests.test(given), pytest.raises(RecipeError, match=f"^--layer '{given}': "):
            parse_layers([given])


VALUES = [
    ("-2", -2),
    ("2.0", 2.0),
    (".5", 0.5),
    ("1E-3", 1e-3),
    ("-Infinity", -math.inf),
    ("False", False),
    ("null", None),
    ("fro", "fro"),
    ("", ""),
    ('"2"', "2"),
    ("5e-1", 0.5),
    ("+3", 3),
    ('"010"', "010"),
    ("nan", "nan"),
    ("0x_", "0x_"),
    ("0b", "0b"),
]


def test_values(subtests: pytest.Subtests) -> None:
    for text, value in VALUES:
        with subtests.test(repr(text)):
            parsed = parse_value(text, "n")
            assert (parsed, type(parsed)) == (value, type(value))


UNCLEAR = [
    ("010", "10"),
    ("0x10", "16"),
    ("1:30", "a plain decimal number"),
    ("yes", "true"),
    ("~", "null"),
    ("1_0", "10"),
    ("1_e5", "1e5"),
]


def test_values_with_several_meanings_are_refused(subtests: pytest.Subtests) -> None:
    for text, instead in UNCLEAR:
        with (
            subtests.test(text),
            pytest.raises(RecipeError, match=f"^--option 'n={text}': can be read in several ways; write {instead}, or"),
        ):
            parse_value(text, "n")


def test_wrong_options_are_named(subtests: pytest.Subtests) -> None:
    for given in ["n", "=2", "n=[1]", 'n="x', "n=1e400"]:
        with subtests.test(given):
            with pytest.raises(RecipeError) as caught:
                parse_options([given])
            assert str(caught.value).startswith(f"--option {given!r}: ")


def test_an_option_given_twice_is_refused() -> None:
    assert parse_options(["n=2", "dim=0"]) == {"n": 2, "dim": 0}
    with pytest.raises(RecipeError, match=r"^--option 'n': given twice"):
        parse_options(["n=2", "n=1"])


def test_names_keep_their_order_without_duplicates() -> None:
    assert parse_names(["b,a", "a, c,"], "--type") == ("b", "a", "c")


def test_a_flag_without_a_name_does_not_mean_everything() -> None:
    with pytest.raises(RecipeError, match=r"^--type ' ,': contains no names"):
        parse_names(["a", " ,"], "--type")


def test_amounts() -> None:
    assert (parse_fraction("0.5"), parse_count("2"), parse_fraction(None), parse_count(None)) == (0.5, 2, None, None)
    with pytest.raises(RecipeError, match=r"^--fraction 'half': not a number"):
        parse_fraction("half")
    for fraction in ("1_0", "٠.٥", "inf", ""):
        with pytest.raises(RecipeError, match=f"^--fraction '{fraction}': not a number"):
            parse_fraction(fraction)
    for count in ("1.0", "010", "1_0", "٣"):
        with pytest.raises(RecipeError, match=f"^--count '{count}': not a whole number"):
            parse_count(count)

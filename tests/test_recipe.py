"""Recipes are strict about their fields, equal after a round trip, and clear about what is wrong."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bertprune.errors import RecipeError
from bertprune.recipe import MAX_BYTES, Recipe
from bertprune.selection import Selection
from bertprune.step import Step

words = st.text(min_size=1, max_size=12)
names = st.lists(words, max_size=3).map(tuple)
roles = st.sampled_from(["attention.query", "attention.key", "ffn.output", "embeddings.word", "pooler", "head"])
selections = st.builds(
    Selection,
    roles=st.lists(roles, max_size=3).map(tuple),
    layers=st.lists(st.integers(0, 40), max_size=3).map(tuple),
    types=names,
    include=names,
    exclude=names,
    tensor=words,
)
amounts = st.one_of(
    st.builds(lambda f: {"fraction": f}, st.floats(0, 1, exclude_min=True)),
    st.builds(lambda n: {"count": n}, st.integers(1, 10**9)),
)
values = st.one_of(
    st.booleans(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False), st.text(max_size=8), st.none()
)
steps = st.builds(
    lambda amount, **fields: Step(**amount, **fields),
    amounts,
    method=words,
    scope=st.sampled_from(["local", "global"]),
    select=selections,
    options=st.dictionaries(words, values, max_size=3),
)
recipes = st.builds(lambda some: Recipe(steps=tuple(some)), st.lists(steps, max_size=4))


@given(recipes)
def test_a_recipe_survives_json_yaml_and_python(recipe: Recipe) -> None:
    for back in (
        Recipe.from_json(recipe.to_json()),
        Recipe.from_yaml(recipe.to_yaml()),
        Recipe.of(json.loads(recipe.to_json())),
    ):
        assert back == recipe
        assert hash(back) == hash(recipe)
        assert [[type(v) for v in s.options.values()] for s in back.steps] == [
            [type(v) for v in s.options.values()] for s in recipe.steps
        ]


def test_a_recipe_survives_a_file(tmp_path: Path, subtests: pytest.Subtests) -> None:
    for name in ["recipe.json", "recipe.yaml", "recipe.yml"]:
        with subtests.test(name):
            recipe = Recipe(
                steps=[Step(method="ln_structured", count=8, options={"n": math.inf, "dim": 1}, select="encoder.*")]
            )
            recipe.save(tmp_path / name)
            assert Recipe.load(tmp_path / name) == recipe


def test_infinity_is_written_as_valid_json() -> None:
    text = Recipe.of(Step(method="ln_structured", fraction=0.5, options={"n": math.inf})).to_json()
    assert json.loads(text, parse_constant=lambda name: pytest.fail(name))["steps"][0]["options"] == {"n": "inf"}
    assert Recipe.from_json(text).steps[0].options["n"] == math.inf


def test_short_forms_mean_the_long_ones() -> None:
    glob = Step(method="x", count=1, select="encoder.*")
    assert glob == Step(method="x", count=1, select=["encoder.*"])
    assert glob == Step(method="x", count=1, select=Selection(include=("encoder.*",)))
    assert Selection(roles="pooler", layers=3, types="Linear") == Selection(
        roles=("pooler",), layers=(3,), types=("Linear",)
    )
    assert Recipe.of(glob) == Recipe(steps=[glob]) == Recipe(steps=(glob,))
    assert Recipe.of(Recipe.of(glob)) == Recipe.of(glob)


def test_defaults_are_not_written() -> None:
    assert json.loads(Recipe.of(Step(method="l1_unstructured", fraction=0.2)).to_json()) == {
        "version": 1,
        "steps": [{"method": "l1_unstructured", "fraction": 0.2}],
    }


def test_recipes_are_frozen() -> None:
    step = Step(method="x", count=1)
    with pytest.raises(ValidationError, match="frozen"):
        step.count = 2  # type: ignore[misc]


INVALID = [
    ({"method": "x"}, "give either fraction"),
    ({"method": "x", "fraction": 0.5, "count": 5}, "not both"),
    ({"method": "x", "fraction": 0.0}, "fraction"),
    ({"method": "x", "fraction": 1.5}, r"fraction.*less than or equal to 1.*got 1\.5"),
    ({"method": "x", "fraction": math.nan}, "fraction"),
    ({"method": "x", "fraction": True}, "fraction.*got True"),
    ({"method": "x", "fraction": "0.5"}, r"fraction.*got '0\.5'"),
    ({"method": "x", "count": 0}, "count"),
    ({"method": "x", "count": True}, "count.*got True"),
    ({"method": "x", "count": "50"}, "count.*got '50'"),
    ({"method": "x", "count": 1.0}, r"count.*got 1\.0"),
    ({"method": "", "count": 1}, "method"),
    ({"method": 3, "count": 1}, "method"),
    ({"count": 1}, "method.*is missing"),
    ({"method": "x", "count": 1, "scope": "all"}, "scope.*'local', 'row' or 'global'"),
    ({"method": "x", "count": 1, "amount": 3}, "amount.*is not a field"),
    ({"method": "x", "count": 1, "options": {"n": math.nan}}, "must not be NaN"),
    ({"method": "x", "count": 1, "options": {"n": [1]}}, r"options\.n: should be a number, a text, true, [^;]*$"),
    ({"method": "x", "count": 1, "options": ["n"]}, "options: should be a mapping of names to values"),
    ({"method": "x", "count": 1, "select": {"roles": ["attention.qurey"]}}, r"roles.*attention\.query"),
    ({"method": "x", "count": 1, "select": {"layers": [-1]}}, "layers"),
    ({"method": "x", "count": 1, "select": {"layers": [True]}}, "layers"),
    ({"method": "x", "count": 1, "select": {"layers": "0,2-4"}}, r"layers.* write \[0, 2, 3, 4\] for '0,2-4'"),
    ({"method": "x", "count": 1, "select": {"layers": True}}, "layers: should be a valid integer"),
    ({"method": "x", "count": 1, "select": {"types": int}}, "types: should be a name such as 'int', not a class"),
    ({"method": "x", "count": 1, "select": {"types": [int]}}, "types: should be a name such as 'int', not a class"),
    ({"method": "x", "count": 1, "select": {"tensor": ""}}, "tensor: should not be empty"),
    ({"method": "x", "count": 1, "select": 3}, "select"),
]


def test_invalid_fields_get_one_clear_line(subtests: pytest.Subtests) -> None:
    for fields, message in INVALID:
        with subtests.test(message):
            for build in (lambda: Step(**fields), lambda: Recipe.of({"steps": [fields]})):
                with pytest.raises(RecipeError, match=message) as caught:
                    build()
                assert "\n" not in str(caught.value)


def test_layers_may_be_any_whole_numbers(subtests: pytest.Subtests) -> None:
    for layers in [np.arange(2), [np.int64(0), 1], range(2), (0, np.int8(1)), np.array([0, 1], "u1")]:
        with subtests.test(repr(layers)):
            assert Selection(layers=layers) == Selection(layers=[0, 1])
            assert Selection(layers=layers[1]).layers == (1,)


def test_other_layers_are_refused(subtests: pytest.Subtests) -> None:
    for layers in [np.array([0.5]), np.bool_(True), [np.float64(1)], "first", {0: 1}]:
        with subtests.test(repr(layers)), pytest.raises(RecipeError, match=r"^selection: layers: should be"):
            Selection(layers=layers)


def test_the_place_of_a_mistake_is_named() -> None:
    good = {"method": "x", "count": 1}
    with pytest.raises(RecipeError, match=r"^recipe: step 2, select\.layers: should be a valid integer"):
        Recipe.of({"steps": [good, {**good, "select": {"layers": ["first"]}}]})


def test_files_are_named_without_their_folder(tmp_path: Path) -> None:
    (tmp_path / "long.yaml").write_bytes(b"#" * (MAX_BYTES + 1))
    (tmp_path / "latin.yaml").write_bytes(b"steps: \xff")
    (tmp_path / "bad.json").write_text("{")
    for name, message in {
        "none.yaml": "none.yaml cannot be read: ",
        "long.yaml": "long.yaml has more than",
        "latin.yaml": "latin.yaml is not UTF-8 text",
        "bad.json": "bad.json: the recipe is not valid JSON",
    }.items():
        with pytest.raises(RecipeError, match=f"^{message}") as caught:
            Recipe.load(tmp_path / name)
        assert str(tmp_path) not in str(caught.value)


def test_many_mistakes_and_strange_names_are_one_short_line() -> None:
    for strange in ({"\n# heading": 1}, {"x" * 90_000: 1}, {f"key{number}": 1 for number in range(5000)}):
        with pytest.raises(RecipeError) as caught:
            Recipe.model_validate(strange)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 2000


NO_RECIPES = [
    (3, "a recipe is a Recipe, a Step, a list of steps or the path of a file, not int"),
    (None, "not NoneType"),
    (Step, "not the class Step"),
    (b"steps: []", "not bytes"),
    ("l1_unstructured", r"'l1_unstructured' is not a recipe; bp.Recipe.from_yaml reads YAML, bp.Step"),
    ("steps: []", "'steps: .*' is not a recipe; bp.Recipe.from_yaml reads YAML"),
    ("none.yaml", "none.yaml cannot be read"),
    ([3], "^recipe: step 1: should be a mapping of names to values"),
    ({"steps": None}, r"steps: should be a list \(got None\)"),
    ({"steps": {"method": "x"}}, "steps: should be a list"),
    ({"method": "x"}, "give either fraction"),
]


def test_what_is_no_recipe_names_the_right_call(subtests: pytest.Subtests) -> None:
    for thing, message in NO_RECIPES:
        with subtests.test(message):
            with pytest.raises(RecipeError, match=message) as caught:
                Recipe.of(thing)
            assert "\n" not in str(caught.value)


def test_lists_of_steps_plain_steps_and_files_are_recipes(tmp_path: Path) -> None:
    step = Step(method="x", count=1)
    recipe = Recipe(steps=[step, step])
    recipe.save(tmp_path / "r.yaml")
    plain, file = {"method": "x", "count": 1}, tmp_path / "r.yaml"
    for form in ([step, step], (step, step), [step, plain], file, str(file)):
        assert Recipe.of(form) == recipe  # type: ignore[arg-type]
    assert Recipe.of(plain) == Recipe.of(step)
    assert Recipe.of([]) == Recipe()


def test_fields_are_given_by_name(subtests: pytest.Subtests) -> None:
    for model in [Recipe, Step, Selection]:
        said = f"^{model.__name__} takes its fields by name: "
        with subtests.test(model.__name__), pytest.raises(RecipeError, match=said):
            model([])


def test_a_path_that_cannot_be_is_one_line(subtests: pytest.Subtests) -> None:
    for path in ["a\0b", "x" * 5000, "\ud800", "no/such/folder.yaml", None, 3, b"recipe.yaml"]:
        with subtests.test(repr(path)[:20]):
            for use in (Recipe.load, Recipe().save):
                with pytest.raises(RecipeError, match=r"cannot be (read|written)|given as a path, not") as caught:
                    use(path)
                assert "\n" not in str(caught.value) and len(str(caught.value)) < 200
                str(caught.value).encode()


def test_the_json_schema_describes_every_field() -> None:
    schema = Recipe.model_json_schema()
    for model in (Selection, Step):
        assert schema["$defs"][model.__name__]["properties"].keys() == model.model_fields.keys()


def test_a_path_may_begin_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    recipe = Recipe(steps=[Step(method="x", count=1)])
    recipe.save("~/r.yaml")
    assert (tmp_path / "r.yaml").is_file() and Recipe.of("~/r.yaml") == recipe
    with pytest.raises(RecipeError, match="no such user"):
        recipe.save("~nobody-of-that-name/r.yaml")

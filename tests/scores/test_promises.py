"""What holds whatever a user's method is called, takes, draws or raises."""

import json
import random
import warnings
from itertools import product
from typing import Annotated, Any, Literal

import numpy as np
import pytest
import torch
from pydantic import Field
from torch import nn

import bertprune as bp
from bertprune.errors import RecipeError
from tests.scores.own_methods import matrix

pytestmark = pytest.mark.usefixtures("temporary_methods")


def step(name, **options):
    return bp.Step(method=name, count=5, select="*", options=options)


def states():
    return (
        random.getstate(),
        np.random.get_state()[2],
        np.random.get_state()[1].tolist(),
        torch.get_rng_state().tolist(),
    )


DRAWS = {
    "torch": lambda weight: torch.rand_like(weight),
    "numpy": lambda weight: torch.from_numpy(np.random.rand(*weight.shape)),
    "python": lambda weight: weight.abs() * random.random(),
}


def test_a_rule_that_draws_globally_is_refused_and_the_state_stays(subtests):
    for source, elementwise in product(DRAWS, [False, True]):
        with subtests.test(f"{source}, {elementwise}"):

            @bp.method("draws", elementwise=elementwise)
            def draws(weight):
                """Draw."""
                found = DRAWS[source](torch.as_tensor(np.array(weight)))
                return found.numpy() if elementwise else found

            model, before = matrix(), states()
            with pytest.raises(RecipeError, match="ask for `generator`") as caught:
                bp.apply(model, step("draws"))
            assert caught.value.code == "method.global_random"
            assert states() == before


def test_the_default_dtype_changes_no_choice():
    masks = []
    for dtype in (torch.float32, torch.float64):
        torch.set_default_dtype(dtype)
        try:
            model = matrix().float()
            bp.apply(model, bp.Step(method="random_structured", count=3, select="*", options={"dim": 1}), seed=1)
        finally:
            torch.set_default_dtype(torch.float32)
        masks.append(model[0].weight_mask)
    assert torch.equal(*masks)


def test_an_option_may_have_any_name(subtests):
    for name in ["method", "tensor", "weight_", "shape", "options", "copy", "json", "model_extra"]:
        with subtests.test(name):
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                scope = {"bp": bp}
                exec(f"@bp.method('named')\ndef named(x, *, {name}: int = 1):\n    return x.abs() * {name}\n", scope)
            model = matrix()
            bp.apply(model, step("named", **{name: 2}))
            assert int((model[0].weight_mask == 0).sum()) == 5


def test_an_option_that_pydantic_would_drop_or_not_live_with_is_refused():
    with pytest.raises(RecipeError, match="model_config cannot be the name of an option"):

        @bp.method("dropped")
        def dropped(weight, *, model_config: int = 1):
            return weight.abs()

    with pytest.raises(RecipeError, match="model_dump cannot be the name of an option"):

        @bp.method("hidden")
        def hidden(weight, *, model_dump: int = 1):
            return weight.abs()


ANNOTATED = [
    (torch.Tensor, "torch.Tensor"),
    (torch.Tensor | None, "torch.Tensor | None"),
    (list[int], "list[int]"),
    (torch.dtype, "torch.dtype"),
    (nn.Module, "torch.nn.modules.module.Module"),
    (lambda: 3, "<function"),
    (np.ndarray | float, "numpy.ndarray | float"),
]


def test_an_option_that_no_step_can_give_is_refused_in_our_words(subtests):
    for annotation, written in ANNOTATED:
        with subtests.test(written):

            def odd(weight, *, power: float = 1.0, t: annotation = None):
                return weight

            with pytest.raises(RecipeError) as caught:
                bp.method("odd")(odd)
            assert caught.value.code == "method.annotation" and caught.value.values["argument"] == "t"
            said = str(caught.value)
            assert (
                said.startswith(f"odd: the option t is annotated {written}") and "bool, int, float, str or None" in said
            )
            assert "pydantic" not in said and "\n" not in said and "odd" not in bp.methods()


def test_an_option_may_be_of_any_kind_that_a_step_gives():
    @bp.method("kinds")
    def kinds(
        weight,
        *,
        a: bool = True,
        b: float | None = None,
        c: Literal["x", 2] = 2,
        d: Annotated[int, Field(ge=0)] = 0,
        e: Any = None,
        f=None,
        g: "int | str" = "z",
    ):
        """Keep the largest."""
        return weight.abs()

    bp.apply(matrix(), step("kinds", a=False, b=0.5, c="x", d=3, e="any", f=1.5, g=4))


def test_an_option_that_is_missing_is_asked_for():
    @bp.method("needs")
    def needs(weight, *, power: float):
        """Need an option."""
        return weight.abs() ** power

    with pytest.raises(RecipeError, match="needs the option power: options=") as caught:
        bp.preview("demo", bp.Step(method="needs", count=5))
    assert caught.value.code == "method.missing_option"


class Wordless(Exception):
    """An exception whose words fail."""

    def __str__(self):
        raise RuntimeError("no words")


def test_an_exception_without_words_is_one_line():
    @bp.method("wordless")
    def wordless(weight):
        """Fail."""
        raise Wordless

    with pytest.raises(RecipeError, match=r"^wordless: 0\.weight: Wordless$"):
        bp.apply(matrix(), step("wordless"))


def test_only_numpys_own_words_are_taken_for_a_write():
    @bp.method("configured")
    def configured(weight):
        """Fail for a reason of its own."""
        raise ValueError("the config is read-only for this user")

    with pytest.raises(RecipeError) as caught:
        bp.apply(matrix(), step("configured"))
    assert caught.value.code == "method.failed_on"


FOUND = [
    (torch.ones(3), "not a torch tensor of torch.float32"),
    (np.float32(1), r"not a single number \(float32\)"),
    (np.ones(3, bool), "not a NumPy array of bool"),
    ([1.0], "not list"),
]


def test_a_wrong_result_is_called_what_it_is(subtests):
    for found, words in FOUND:
        with subtests.test(words):

            @bp.method("wrong", elementwise=True)
            def wrong(weight):
                """Return something else."""
                return found

            with pytest.raises(RecipeError, match=words):
                bp.apply(matrix(), step("wrong"))


def test_the_report_describes_the_method_that_pruned(tmp_path):
    """A notebook's cell that is run again must not change what an earlier run says of itself."""

    def define(title):
        @bp.method("mine", title=title)
        def mine(weight):
            """Score."""
            return weight.abs()

    define("First")
    run = bp.prune("demo", bp.Step(method="mine", fraction=0.1, select="*.query"))
    define("Second")
    out = bp.export(run, tmp_path / "out").path
    assert json.loads((out / "report.json").read_text())["methods"]["mine"]["title"] == "First"

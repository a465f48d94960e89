"""Fields become steps, and steps a plan."""

from types import SimpleNamespace
from typing import Any

import pydantic
import pytest

import bertprune as bp
from app import offers
from app.handlers import recipe, results
from app.handlers.recipe import Form, OptionField
from app.handlers.texts import Given
from app.plan import Plan
from app.presets import preset
from app.scenes import Scenes, View
from app.session import Shelf, Source
from app.settings import Settings

POOLER = {"on": [["pooler", None]]}


def on(*cells: Any) -> dict[str, Any]:
    """Give what the grid sends when these cells are chosen."""
    return {"on": [list(cell) for cell in cells]}


def test_fields_become_a_step(shelf: Shelf, source: Source) -> None:
    root = shelf.tree(source)
    entered = {"ln_structured": {"dim": 0}, "random_structured": {"dim": 1}}
    form = Form(cells=on(("attention.key", 0)), method="ln_structured", options=entered, percent=30)
    step = recipe.make_step(form, root)
    assert step == bp.Step(
        method="ln_structured",
        fraction=0.3,
        options={"dim": 0},
        select=bp.Selection(roles=["attention.key"], layers=[0]),
    )
    counted = recipe.make_step(Form(cells=POOLER, amount="count", count=7.0, tensor="bias"), root)
    assert (counted.count, counted.select.tensor) == (7, "bias")
    within = recipe.make_step(Form(where="module", module="encoder.layer.0"), root)
    assert within.select.include == ("encoder.layer.0", "encoder.layer.0.*")
    patterns = recipe.make_step(Form(where="pattern", include="a.{b,c}.*\n  d", exclude="*.x"), root)
    assert (patterns.select.include, patterns.select.exclude) == (("a.{b,c}.*", "d"), ("*.x",))


def test_the_preview_counts_after_the_steps_before_it(shelf: Shelf, source: Source) -> None:
    form = Form(cells=on(("attention.key", 0)), percent=50)
    first = recipe.look_ahead("en", shelf, source, Plan(), form)
    assert "<strong>512</strong> would be pruned (50.00%)" in first
    plan = recipe.add_step(shelf, source, Plan(), form)
    assert "<strong>256</strong> would be pruned" in recipe.look_ahead("en", shelf, source, plan, form)
    assert "would be pruned: 512" in recipe.show_steps("en", shelf, source, plan)
    refused = recipe.look_ahead("en", shelf, source, Plan(), Form(where="pattern", include="no.<b>such</b>"))
    assert "bp-refused" in refused
    assert "<b>" not in refused


def test_a_step_that_does_not_fit_is_not_added(shelf: Shelf, source: Source) -> None:
    with pytest.raises(bp.BertpruneError, match="nothing"):
        recipe.add_step(shelf, source, Plan(), Form(where="pattern", include="nothing.*"))
    with pytest.raises(bp.BertpruneError, match="2 steps; at most 1 are accepted"):
        recipe.add_step(Shelf(Settings(max_steps=1)), source, Plan(preset("random")), Form(cells=POOLER))


def test_yaml_replaces_the_steps(shelf: Shelf) -> None:
    plan = recipe.read_yaml(shelf, Plan(preset("random")), preset("global").to_yaml())
    assert plan.recipe == preset("global")
    assert plan.undo().recipe == preset("random")
    with pytest.raises(bp.BertpruneError, match="YAML field is empty"):
        recipe.read_yaml(shelf, Plan(), " ")
    with pytest.raises(bp.BertpruneError, match="not valid YAML"):
        recipe.read_yaml(shelf, Plan(), "a: [")


def test_options_become_fields_of_their_types() -> None:
    fields = {field.name: field for field in recipe.option_fields(bp.methods()["ln_structured"])}
    assert fields["dim"].kind == "integer"
    assert fields["n"].kind == "text"  # a number, inf, or the name of a norm
    assert recipe.option_value(fields["n"], "inf") == float("inf")
    assert recipe.option_value(fields["n"], "2") == 2
    assert recipe.option_value(fields["n"], "fro") == "fro"
    assert recipe.option_value(fields["dim"], 1.0) == 1
    assert recipe.option_value(fields["dim"], None) is None
    assert recipe.option_value(OptionField("power", "number", 2.0), 3) == 3.0
    assert recipe.option_value(OptionField("flip", "boolean", False), True) is True


def test_a_users_own_method_brings_its_fields() -> None:
    class Options(pydantic.BaseModel):
        power: float = 2.0
        centred: bool = False

    fields = recipe.option_fields(SimpleNamespace(options=Options))
    assert [(field.name, field.kind, field.default) for field in fields] == [
        ("power", "number", 2.0),
        ("centred", "boolean", False),
    ]


def test_a_recipe_that_the_browser_kept_is_loaded_or_ignored() -> None:
    assert recipe.kept_plan({"recipe": preset("global").to_yaml()}).recipe == preset("global")
    for kept in (None, {}, {"recipe": ""}, {"recipe": "a: ["}, {"recipe": 7}, "nonsense"):
        assert recipe.kept_plan(kept) == Plan()


def step_of(**fields: Any) -> bp.Step:
    """Make a step of the fields, on a tree that it does not look at."""
    root = SimpleNamespace(walk=lambda: iter(()))
    return recipe.make_step(Form(where="pattern", include="*", **fields), root)  # type: ignore[arg-type]


def test_what_is_pruned_together_stands_in_the_step() -> None:
    heads = step_of(method="obs", granularity="head", amount="count", count=3, reconstruct=True)
    assert (heads.granularity, heads.count, heads.reconstruct) == ("head", 3, True)
    pattern = step_of(method="magnitude", granularity=" 1:4 ", percent=None)
    assert (pattern.granularity, pattern.amount) == ("1:4", None)
    assert step_of(method="wanda", granularity="element", scope="row").granularity is None
    with pytest.raises(bp.BertpruneError, match="or block:RxC such as block:4x4"):
        step_of(method="wanda", granularity="block of four")


def test_hidden_fields_say_nothing() -> None:
    plain = step_of(method="l1_unstructured", granularity="2:4", reconstruct=True)
    assert plain == bp.Step(method="l1_unstructured", fraction=0.2, select=plain.select)
    rows = step_of(method="magnitude", granularity="row", reconstruct=True)
    assert not rows.reconstruct


def test_a_method_offers_what_it_can_do(shelf: Shelf, source: Source) -> None:
    assert offers.granularities(bp.methods()["l1_unstructured"]) == ["element"]
    offered = offers.granularities(bp.methods()["obs"])
    assert offered == ["element", "column", "2:4", "4:8", "block:4x4", "block:16x16", "neuron", "head"]
    for name in offered:
        step = step_of(method="obs", granularity=name, percent=50, reconstruct=True)
        assert bp.preview("demo", step.model_copy(update={"select": ENCODER})).steps[0].needs_texts, name
    everything = bp.methods()["magnitude"]
    assert [offers.can_reconstruct(everything, one) for one in ("element", "row", "2:4")] == [True, False, True]


FORMS = [
    ({"method": "random_unstructured"}, ["local"], [True, True, False], False),
    ({"method": "wanda"}, ["local", "row", "global"], [True, True, False], True),
    ({"method": "wanda", "granularity": "1:4"}, ["local"], [False, False, False], True),
    ({"method": "wanda", "granularity": "head", "amount": "count"}, ["local", "global"], [True, False, True], True),
    ({"method": "wanda", "granularity": "row"}, ["local", "global"], [True, True, False], False),
]


def test_the_form_shows_only_what_has_a_meaning(shelf: Shelf, source: Source, subtests: pytest.Subtests) -> None:
    for form, scopes, amount, reconstruct in FORMS:
        with subtests.test(str(form)):
            view = View(
                "en", source, Plan(), None, "", None, None, "baked", "", False, "changed", Form(**form), Given()
            )
            _, _, together, scope, *amounts, adjust = Scenes(shelf).method(view)
            assert together["visible"] == (form["method"] == "wanda")
            assert [name for _, name in scope["choices"]] == scopes
            assert [field["visible"] for field in amounts] == amount
            assert adjust["visible"] == reconstruct


ENCODER = bp.Selection(roles=["attention.query", "ffn.intermediate", "ffn.output", "attention.output"])


def test_the_list_and_the_preview_name_what_goes_together(shelf: Shelf, source: Source) -> None:
    form = Form(cells=on(("attention.key", 0)), method="obs", granularity="2:4", reconstruct=True)
    plan = recipe.add_step(shelf, source, Plan(), form)
    assert "needs calibration texts" in recipe.look_ahead("en", shelf, source, Plan(), form)
    listed = recipe.show_steps("en", shelf, source, plan)
    assert "<strong>2:4</strong> · what stays is adjusted" in listed
    assert "would be pruned: 512 · needs calibration texts" in listed
    blocks = Form(cells=on(("attention.key", 0)), method="magnitude", granularity="block:4x4", percent=25)
    run = results.prune(shelf, source, recipe.add_step(shelf, source, Plan(), blocks), 0)
    assert "<code>magnitude block:4x4 25%</code>" in results.show_summary("en", shelf, run)
    assert "블록" in recipe.show_steps("ko", shelf, source, recipe.add_step(shelf, source, Plan(), blocks))

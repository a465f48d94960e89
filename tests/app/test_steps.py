"""Fields become steps, and steps a plan; as plain functions."""

from typing import Any

import pytest

import bertprune as bp
from app.handlers import recipe
from app.handlers.recipe import Form, OptionField
from app.plan import Plan
from app.presets import preset
from app.session import Shelf, Source
from app.settings import Settings

POOLER = {"on": [["pooler", None]]}


def on(*cells: Any) -> dict[str, Any]:
    """Give what the grid sends when these cells are chosen."""
    return {"on": [list(cell) for cell in cells]}


def test_a_step_is_made_of_the_fields(shelf: Shelf, source: Source) -> None:
    root = shelf.tree(source)
    entered = {"ln_structured": {"dim": 0}, "random_structured": {"dim": 1}}
    form = Form(cells=on(("attention.key", 0)), method="ln_structured", options=entered, percent=30)
    step = recipe.make_step("en", form, root)
    assert step == bp.Step(
        method="ln_structured",
        fraction=0.3,
        options={"dim": 0},
        select=bp.Selection(roles=["attention.key"], layers=[0]),
    )
    counted = recipe.make_step("en", Form(cells=POOLER, amount="count", count=7.0, tensor="bias"), root)
    assert (counted.count, counted.select.tensor) == (7, "bias")
    within = recipe.make_step("en", Form(where="module", module="encoder.layer.0"), root)
    assert within.select.include == ("encoder.layer.0", "encoder.layer.0.*")
    patterns = recipe.make_step("en", Form(where="pattern", include="a.{b,c}.*\n  d", exclude="*.x"), root)
    assert (patterns.select.include, patterns.select.exclude) == (("a.{b,c}.*", "d"), ("*.x",))


@pytest.mark.parametrize(
    ("form", "said"),
    [
        (Form(), "at least one role"),
        (Form(where="types"), "at least one type"),
        (Form(where="pattern", include="  "), "at least one pattern"),
        (Form(cells=POOLER, percent=0), "more than 0"),
        (Form(cells=POOLER, percent=None), "more than 0"),
        (Form(cells=POOLER, amount="count", count=1.5), "whole number"),
        (Form(cells=POOLER, amount="count", count=None), "whole number"),
    ],
)
def test_fields_that_make_no_step_are_refused(shelf: Shelf, source: Source, form: Form, said: str) -> None:
    with pytest.raises(bp.BertpruneError, match=said):
        recipe.make_step("en", form, shelf.tree(source))


def test_the_preview_counts_after_the_steps_before_it(shelf: Shelf, source: Source) -> None:
    form = Form(cells=on(("attention.key", 0)), percent=50)
    first = recipe.look_ahead("en", shelf, source, Plan(), form)
    assert "<strong>512</strong> would go (50.00%)" in first
    plan = recipe.add_step("en", shelf, source, Plan(), form)
    assert "<strong>256</strong> would go" in recipe.look_ahead("en", shelf, source, plan, form)
    assert "would go: 512" in recipe.show_steps("en", shelf, source, plan)
    refused = recipe.look_ahead("en", shelf, source, Plan(), Form(where="pattern", include="no.<b>such</b>"))
    assert "bp-refused" in refused
    assert "<b>" not in refused


def test_a_step_that_does_not_fit_is_not_added(shelf: Shelf, source: Source) -> None:
    with pytest.raises(bp.BertpruneError, match="nothing"):
        recipe.add_step("en", shelf, source, Plan(), Form(where="pattern", include="nothing.*"))
    with pytest.raises(bp.BertpruneError, match="2 steps; at most 1 are taken"):
        recipe.add_step("en", Shelf(Settings(max_steps=1)), source, Plan(preset("random")), Form(cells=POOLER))


def test_yaml_replaces_the_steps(shelf: Shelf) -> None:
    plan = recipe.read_yaml("en", shelf, Plan(preset("random")), preset("global").to_yaml())
    assert plan.recipe == preset("global")
    assert plan.undo().recipe == preset("random")
    with pytest.raises(bp.BertpruneError, match="no YAML"):
        recipe.read_yaml("en", shelf, Plan(), " ")
    with pytest.raises(bp.BertpruneError, match="not valid YAML"):
        recipe.read_yaml("en", shelf, Plan(), "a: [")


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


def test_a_method_of_ones_own_brings_its_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    from bertprune.scores import registry

    monkeypatch.setattr(registry, "_REGISTER", dict(registry._REGISTER))

    @bp.method("fields_of_mine")
    def mine(weight: Any, *, power: float = 2.0, centred: bool = False) -> Any:
        """Score by a power."""
        return weight.abs() ** power

    fields = recipe.option_fields(bp.methods()["fields_of_mine"])
    assert [(field.name, field.kind, field.default) for field in fields] == [
        ("power", "number", 2.0),
        ("centred", "boolean", False),
    ]


def test_what_the_browser_kept_is_taken_up_or_forgotten() -> None:
    assert recipe.kept_plan({"recipe": preset("global").to_yaml()}).recipe == preset("global")
    for kept in (None, {}, {"recipe": ""}, {"recipe": "a: ["}, {"recipe": 7}, "nonsense"):
        assert recipe.kept_plan(kept) == Plan()

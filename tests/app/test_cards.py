"""Fields become steps, and steps fields; each card says what it would prune after those before it."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bertprune as bp
from app import offers
from app.cards import Form, first_form, form_of, make_step, set_field
from app.making import key_of, previews
from app.offers import PRESETS, OptionField, option_fields, option_value, preset
from app.runs import Source
from app.settings import Settings
from app.store import Store
from app.tabs import bar, recipe
from app.tabs.model import add, opened, take_preset
from app.tabs.steps import fields_of
from app.visit import Visit, add_step
from tests.app.conftest import pruned

KEY = (("attention.key", 0),)


def with_card(visit: Visit, **fields: Any) -> Visit:
    """Append a card with these fields."""
    return add_step(visit, replace(Form(cells=KEY), **fields))


def typed(form: Form, root: bp.ModuleNode, **fields: Any) -> Form:
    """Type into fields as the browser sends it."""
    for name, value in fields.items():
        form = set_field(form, name, value, root)
    return form


def test_fields_become_a_step(store: Store, source: Source) -> None:
    root = store.tree(source)
    form = Form(cells=KEY, method="ln_structured", options={"ln_structured": {"dim": "0"}}, percent="30")
    assert make_step(form, root) == bp.Step(
        method="ln_structured",
        fraction=0.3,
        options={"dim": 0},
        select=bp.Selection(roles=["attention.key"], layers=[0]),
    )
    counted = make_step(Form(cells=(("pooler", None),), amount="count", count="7", tensor="bias"), root)
    assert (counted.count, counted.select.tensor) == (7, "bias")
    within = make_step(Form(where="module", module="bert.encoder.layer.0"), root)
    assert within.select.include == ("bert.encoder.layer.0", "bert.encoder.layer.0.*")
    patterns = make_step(Form(where="pattern", include="a.{b,c}.*\n  d", exclude="*.x"), root)
    assert (patterns.select.include, patterns.select.exclude) == (("a.{b,c}.*", "d"), ("*.x",))


SELECTIONS = [
    {}, {"roles": ["attention.key"]}, {"roles": ["attention.key", "ffn.output"], "layers": [1]}, {"layers": [0]},
    {"types": ["Linear"]}, {"include": ["*.query"], "exclude": ["*.1.*"]},
    {"include": ["bert.pooler", "bert.pooler.*"]},
    {"roles": ["pooler"], "tensor": "bias"}, {"roles": ["attention.key"], "include": ["*.0.*"]},
]  # fmt: skip
STEPS = st.builds(
    lambda method, fraction, select: bp.Step(select=bp.Selection(**select), **method, **fraction),
    st.sampled_from([
        {"method": "l1_unstructured"}, {"method": "random_unstructured", "scope": "global"}, {"method": "magnitude"},
        {"method": "magnitude", "granularity": "neuron"}, {"method": "obs", "granularity": "head", "reconstruct": True},
        {"method": "wanda", "scope": "row", "granularity": "element"},
        {"method": "layer_change", "granularity": "layer"},
        {"method": "ln_structured", "options": {"n": 2, "dim": 1}}, {"method": "magnitude", "granularity": "block:3x3"},
    ]),
    st.one_of(
        st.floats(0.001, 1).map(lambda share: {"fraction": round(share, 6)}),
        st.integers(1, 99).map(lambda count: {"count": count}),
    ),
    st.sampled_from(SELECTIONS),
)  # fmt: skip
ROOT: list[bp.ModuleNode] = []


@pytest.fixture
def root(store: Store, source: Source) -> bp.ModuleNode:
    ROOT[:] = ROOT or [store.tree(source)]
    return ROOT[0]


def test_a_step_becomes_the_fields_that_make_it(root: bp.ModuleNode) -> None:
    @given(STEPS)
    def check(step: bp.Step) -> None:
        made = make_step(form_of(step, root), root)
        assert made.model_copy(update={"granularity": step.granularity}) == step

    check()


def test_tutorial_steps_are_shown_by_their_roles(root: bp.ModuleNode) -> None:
    ways = {form_of(step, root).where for name in PRESETS for step in preset(name).steps}
    assert ways == {"roles", "types"}
    odd = bp.Step(
        method="l1_unstructured", fraction=0.5, select=bp.Selection(roles=["attention.key"], include=["*.0.*"])
    )
    assert form_of(odd, root).where == "given"
    assert "roles attention.key" in fields_of("en", form_of(odd, root), root)


def test_neurons_and_heads_are_chosen_by_layers_whatever_was_selected_before(root: bp.ModuleNode) -> None:
    form = typed(first_form(root), root, method="magnitude", granularity="neuron")
    assert make_step(form, root).select == bp.Selection()
    heads = typed(form, root, granularity="head", layers={"of": [1], "on": False})
    assert make_step(heads, root).select == bp.Selection(layers=(0,))
    with pytest.raises(bp.BertpruneError, match="at least one layer"):
        make_step(typed(heads, root, layers={"of": [0], "on": False}), root)
    assert make_step(typed(heads, root, granularity="element"), root).select.roles  # the roles are still there


def test_switches_say_what_they_want_so_that_they_may_arrive_twice(root: bp.ModuleNode) -> None:
    form = Form(cells=KEY)
    off = {"cells": {"of": [["attention.key", 0]], "on": False}}
    once = typed(form, root, **off)
    assert once.cells == () == typed(once, root, **off).cells
    for nonsense in (None, 7, {"of": 3}, {"of": [["no", 0]], "on": True}, {"of": [["attention.key", 99]], "on": True}):
        assert typed(form, root, cells=nonsense).cells == KEY
    assert typed(form, root, nonsense="x", method="l1_unstructured") == form


def test_each_card_counts_after_those_before_it(store: Store, visit: Visit) -> None:
    twice = with_card(with_card(visit, percent=50), percent=50)
    assert [one.removed for one in previews(store, twice)] == [(512, 512), (256, 256)]
    shown = recipe.show_cards(store, twice)
    assert "512 would be pruned (50.00%) · 1 tensor · 1,024 weights" in shown
    assert "768 weights would be pruned" in bar.show_bar(store, twice)


def test_a_card_that_is_wrong_says_so_itself_and_those_before_it_count_on(store: Store, visit: Visit) -> None:
    wrong = with_card(with_card(with_card(visit), where="pattern", include="no.<b>such</b>"), percent=50)
    first, second, third = previews(store, wrong)
    assert first.removed == (205, 205)
    assert "no.<b>such" in str(second)
    assert "step 2" in str(third)
    shown = recipe.show_cards(store, wrong)
    assert shown.count("bp-bad") == 2
    assert "<b>such" not in shown
    assert 'aria-disabled="true"' in bar.show_bar(store, wrong)  # Prune says why it is grey
    with pytest.raises(bp.BertpruneError, match="Step 2"):
        key_of(store, with_card(with_card(visit), percent=0, where="roles"))


def test_the_open_cards_fields_are_the_step(store: Store, visit: Visit) -> None:
    named = take_preset(store, visit, {"name": "global"})
    assert named.name == "preset_global"
    number = named.cards[0].number
    changed = recipe.change_card(store, named, {"card": number, "name": "percent", "value": "90"})
    key = key_of(store, changed)
    assert key.recipe.steps[0].fraction == 0.9
    assert changed.name == ""
    assert "would be pruned" in recipe.show_cards(store, changed)


def test_three_quick_adds_are_three_steps(store: Store, visit: Visit) -> None:
    for _ in range(3):
        visit = add(store, visit, {})
    assert len(visit.cards) == 3
    assert add(store, visit, {"first": "1"}) == visit  # the arrival's button begins a recipe once


def test_too_many_steps_are_refused(visit: Visit) -> None:
    small = Store(Settings(max_steps=1))
    seen = previews(small, with_card(with_card(visit)))
    assert "2 steps; at most 1 are accepted" in str(seen[1])


def test_another_checkpoint_keeps_what_the_steps_mean(store: Store, visit: Visit, tiny_folder: Any) -> None:
    every = add(store, visit, {})
    deeper = opened(store, every, Source(str(tiny_folder(num_hidden_layers=3)), shown="deeper"))
    step = make_step(deeper.cards[0].form, store.tree(deeper.source))
    assert step == make_step(every.cards[0].form, store.tree(visit.source))
    assert len(deeper.cards[0].form.cells) == 9


def test_yaml_replaces_the_steps(store: Store, visit: Visit) -> None:
    before = take_preset(store, visit, {"name": "random"})
    after = recipe.take_yaml(store, before, {"yaml": preset("global").to_yaml()})
    assert key_of(store, after).recipe == preset("global")
    with pytest.raises(bp.BertpruneError, match="YAML field is empty"):
        recipe.take_yaml(store, visit, {"yaml": " "})
    with pytest.raises(bp.BertpruneError, match="not valid YAML"):
        recipe.take_yaml(store, visit, {"yaml": "a: ["})


def test_options_become_fields_of_their_types() -> None:
    fields = {field.name: field for field in option_fields(bp.methods()["ln_structured"])}
    assert fields["dim"].kind == "integer"
    assert fields["n"].kind == "text"  # a number, inf, or the name of a norm
    assert option_value(fields["n"], "inf") == float("inf")
    assert option_value(fields["n"], "2") == 2
    assert option_value(fields["n"], "fro") == "fro"
    assert option_value(fields["dim"], "1") == 1
    assert option_value(OptionField("power", "number", 2.0), "3") == 3.0
    assert option_value(OptionField("flip", "boolean", False), True) is True


def test_a_users_own_method_brings_its_fields() -> None:
    class Options(pydantic.BaseModel):
        power: float = 2.0
        centred: bool = False

    fields = option_fields(SimpleNamespace(options=Options))
    assert [(field.name, field.kind, field.default) for field in fields] == [
        ("power", "number", 2.0),
        ("centred", "boolean", False),
    ]


def test_hidden_fields_say_nothing(root: bp.ModuleNode) -> None:
    plain = make_step(Form(where="pattern", include="*", granularity="2:4", reconstruct=True), root)
    assert plain == bp.Step(method="l1_unstructured", fraction=0.2, select=plain.select)
    rows = make_step(Form(where="pattern", include="*", method="magnitude", granularity="row", reconstruct=True), root)
    assert not rows.reconstruct
    pattern = make_step(Form(where="pattern", include="*", method="magnitude", granularity=" 1:4 ", percent=None), root)
    assert (pattern.granularity, pattern.amount) == ("1:4", None)
    with pytest.raises(bp.BertpruneError, match="or block:RxC such as block:4x4"):
        make_step(Form(where="pattern", include="*", method="wanda", granularity="block of four"), root)


def test_a_method_offers_what_it_can_do() -> None:
    assert offers.granularities(bp.methods()["l1_unstructured"]) == ["element"]
    offered = offers.granularities(bp.methods()["obs"])
    assert offered == ["element", "column", "2:4", "4:8", "block:4x4", "block:16x16", "neuron", "head"]


FORMS = [
    ({"method": "random_unstructured"}, {"percent"}, set()),
    ({"method": "wanda"}, {"percent", "granularity", "scope", "reconstruct"}, {"count"}),
    ({"method": "wanda", "granularity": "1:4"}, {"granularity", "reconstruct"}, {"percent", "scope", "amount"}),
    (
        {"method": "wanda", "granularity": "head", "amount": "count"},
        {"count", "scope", "reconstruct"},
        {"percent", "tensor"},
    ),
    ({"method": "wanda", "granularity": "row"}, {"percent", "scope"}, {"reconstruct"}),
]


def test_the_fields_show_only_what_has_a_meaning(root: bp.ModuleNode, subtests: pytest.Subtests) -> None:
    for given_, shown, hidden in FORMS:
        with subtests.test(str(given_)):
            written = fields_of("en", replace(first_form(root), **given_), root)
            assert {name for name in shown | hidden if f'name="{name}"' in written} == shown


def test_cards_and_results_name_what_goes_together(store: Store, visit: Visit) -> None:
    adjusted = with_card(visit, method="obs", granularity="2:4", reconstruct=True)
    assert "obs 2:4 · what stays is adjusted" in recipe.show_cards(store, adjusted)
    assert "needs calibration texts" in bar.show_bar(store, adjusted)
    blocks = bp.Step(
        method="magnitude", granularity="block:4x4", fraction=0.25, select=bp.Selection(roles=["attention.key"])
    )
    ran = pruned(store, visit, bp.Recipe(steps=[blocks]))
    assert "블록" in recipe.show_cards(store, replace(ran, language="ko"))

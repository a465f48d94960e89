"""The table of runs, two of them side by side, and a sweep; without a browser."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import bertprune as bp
from app.offers import preset
from app.opening import take_table
from app.runs import Source
from app.store import Store
from app.tabs import cost, export, runs, search
from app.tabs.model import opened
from app.tabs.runs import comparison, run_name
from app.visit import Visit, find_run
from app.visitors import Visitor
from tests.app.conftest import nothing, pruned


@pytest.fixture
def three(store: Store, visit: Visit) -> Visit:
    """Give a visit with three runs: at random with two seeds, and the tutorial's global one."""
    for name, seed in (("random", 0), ("random", 1), ("global", 0)):
        visit = pruned(store, visit, preset(name), seed)
    return visit


def compared(store: Store, visit: Visit, *pair: int, language: str = "en") -> str:
    return str(runs.show_pair(store, replace(visit, pair=pair, language=language)))


def test_runs_are_named_by_number_checkpoint_recipe_and_seed(three: Visit) -> None:
    assert [run_name("en", run) for run in three.runs] == [
        "tiny, as it was opened",
        "1. tiny: random_unstructured 30% · local · Seed 0",
        "2. tiny: random_unstructured 30% · local · Seed 1",
        "3. tiny: l1_unstructured 20% · global · Seed 0",
    ]


def test_the_table_shows_the_dense_model_first_and_what_each_run_did(store: Store, three: Visit) -> None:
    shown = runs.show_runs(store, three)
    assert shown.index("as it was opened") < shown.index("random_unstructured") < shown.index("l1_unstructured")
    for run in three.runs[1:]:
        assert run.count is not None and f"{run.count.sparsity:.2%}" in shown
    assert shown.count('aria-current="true"') == 1
    assert shown.count('data-do="again"') == 3 == shown.count('data-do="delete"')


def test_the_table_shows_how_many_macs_are_left(store: Store, visit: Visit) -> None:
    half = bp.Step(method="magnitude", granularity="neuron", fraction=0.5)
    ran = pruned(store, visit, bp.Recipe(steps=[half]))
    before, after = store.run(ran.shown.key).macs  # type: ignore[misc]
    assert f">{after / before:.1%}</td>" in runs.show_runs(store, ran)


def test_quality_says_which_figure_it_is_and_on_what_it_was_measured(
    store: Store, three: Visit, tmp_path: Path
) -> None:
    for number, name in ((1, "mine"), (2, "other")):
        table = tmp_path / f"{name}.csv"
        table.write_text("text,label\n" + "the film was good,1\nbad plot,0\n" * number)
        three = replace(three, run=number, data=take_table(str(table)))
        three = cost.measure(store, Visitor(three), {}, nothing)(three)
    rows = str(runs.show_runs(store, three)).split("<tr")[2:]
    assert ["Accuracy on 2 of mine.csv" in row for row in rows] == [False, True, False, False]
    assert ["Accuracy on 4 of other.csv" in row for row in rows] == [True, False, True, False]


def test_the_size_of_an_export_says_which_form_it_is_of(store: Store, ran: Visit) -> None:
    built = export.build(store, Visitor(ran), {"form": "masked", "precision": "float16"}, nothing)(ran)
    assert "Masked · float16" in runs.show_runs(store, built)


def test_a_run_selects_a_module_that_it_pruned(store: Store, visit: Visit) -> None:
    half = bp.Step(method="magnitude", granularity="neuron", fraction=0.5)
    ran = pruned(store, visit, bp.Recipe(steps=[half]))
    assert ran.module == store.run(ran.shown.key).report.targets[0].module != visit.module
    assert pruned(store, ran, preset("random")).module == visit.module
    other = pruned(store, replace(ran, module="bert.pooler.dense"), preset("global"))
    assert pruned(store, replace(other, module=ran.module), bp.Recipe(steps=[half])).module == ran.module


def test_going_back_to_a_recipe_makes_it_the_cards_and_the_seed(store: Store, three: Visit) -> None:
    back = runs.take_again(store, three, {"run": "2"})
    assert [card.form for card in back.cards] == [card.form for card in find_run(three, 2).cards]  # type: ignore[union-attr]
    assert back.seed == 1


def test_two_runs_are_shown_with_the_librarys_numbers(store: Store, three: Visit) -> None:
    shown = compared(store, three, 1, 3)
    found = bp.compare(*(store.run(find_run(three, number).key) for number in (1, 3)))  # type: ignore[union-attr]
    one, other = found.total
    assert f"{one.sparsity:.2%} → {other.sparsity:.2%}" in shown
    assert f"Tensors that differ ({sum(tensor.differs for tensor in found.tensors)})" in shown
    assert shown.count("bp-map-cell") == len(found.matrix())
    assert "1. tiny" in shown and "3. tiny" in shown


def test_two_seeds_mask_equally_many_but_other_weights(store: Store, three: Visit) -> None:
    shown = compared(store, three, 1, 2, language="ko")
    assert "+0.00" in shown
    assert "서로 다른 텐서(1개)" in shown


def test_two_different_runs_are_compared_and_the_last_two_that_were_marked(store: Store, three: Visit) -> None:
    assert "Mark two runs" in compared(store, three, 1)
    assert "Mark two runs" in compared(store, three, 1, 9)
    for number in ("1", "2", "3"):
        three = runs.choose_pair(store, three, {"run": number, "on": "1"})
    assert three.pair == (2, 3)
    assert runs.choose_pair(store, three, {"run": "2", "on": "0"}).pair == (3,)


def test_a_run_is_compared_with_its_checkpoint_as_it_was_opened(store: Store, three: Visit) -> None:
    shown = compared(store, three, -1, 1)
    assert "0.00% → 29.98%" in shown  # of the tensors that were pruned, as the run itself says
    assert "tiny, as it was opened" in shown


def test_runs_of_different_models_are_refused_in_words(
    store: Store, three: Visit, tiny_folder: Callable[..., Path]
) -> None:
    other = opened(store, three, Source(str(tiny_folder("DistilBertModel")), shown="distil"))
    more = pruned(store, other, preset("global"))
    assert "tensor" in compared(store, more, 1, 4)
    with pytest.raises(bp.BertpruneError, match="tensor"):
        comparison(store, "en", find_run(more, 1), find_run(more, 4))  # type: ignore[arg-type]


def test_a_sweep_measures_each_recipe_and_its_points_become_runs(store: Store, visit: Visit, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("text,label\nthe film was good,1\nbad plot,0\ngreat acting,1\nboring,0\n")
    visitor = Visitor(replace(visit, data=take_table(str(table))))
    asked = {"levels": "0.25, 0.5", "granularity": "neuron", "score.magnitude": True, "score.random": False}
    visitor.put(search.sweep(store, visitor, asked, nothing)(visitor.visit))
    names = [row.name for row in visitor.visit.sweep.found.rows if row.recipe is not None and row.recipe.steps]
    assert len(names) == 2
    shown = search.show_sweep(store, visitor.visit)
    assert "<img" in shown and shown.count('data-do="swept"') == 4  # a button and a point for each
    assert 'value="0.25, 0.5"' in shown and shown.count('checked=""') == 1  # the fields of what is drawn
    korean = search.show_sweep(store, replace(visitor.visit, language="ko"))
    assert all(korean.count(f"magnitude {share} · 피드포워드의 뉴런 · 지역") == 3 for share in ("25%", "50%"))
    assert "정확도 0." in korean and "accuracy" not in korean
    landed = search.run_swept(store, visitor, {"name": names[1]}, nothing)(visitor.visit)
    assert landed.shown is not None and landed.shown.key.recipe.steps[0].fraction == 0.5
    elsewhere = opened(store, visitor.visit, Source("demo"))
    assert search.sweep(store, visitor, asked, nothing)(elsewhere).sweep is None  # it is not that of the demo


def test_a_sweep_of_nothing_or_too_much_is_refused(store: Store, visit: Visit) -> None:
    visitor = Visitor(visit)
    for asked in ({}, {"levels": "2", "score.random": True}, {"levels": "x", "score.random": True}):
        with pytest.raises(bp.BertpruneError, match="at least one score"):
            search.sweep(store, visitor, asked, nothing)
    many = {"levels": " ".join(f"0.{n:03}" for n in range(1, 60)), "score.random": True}
    with pytest.raises(bp.BertpruneError, match="At most 24"):
        search.sweep(store, visitor, many, nothing)

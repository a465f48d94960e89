"""A visit and the pure functions that change it: steps, undo and redo, the table of runs."""

from dataclasses import replace

import bertprune as bp
from app.cards import Form
from app.offers import PRESETS, preset
from app.runs import RunKey, Source
from app.visit import (
    MOST_RUNS,
    Visit,
    add_run,
    add_step,
    choose_run,
    delete_run,
    find_run,
    let_run_wait,
    move_step,
    note_run,
    open_card,
    open_source,
    redo,
    remove_step,
    replace_steps,
    rows,
    select_module,
    set_field,
    undo,
)  # fmt: skip

TINY, OTHER = Source("tiny"), Source("other")


def with_steps(*percents: float) -> Visit:
    visit = Visit()
    for percent in percents:
        visit = add_step(visit, Form(percent=percent))
    return visit


def percents(visit: Visit) -> list[float]:
    return [card.form.percent for card in visit.cards]


def number(visit: Visit, at: int) -> int:
    return visit.cards[at].number


def test_undo_and_redo_restore_the_cards() -> None:
    visit = with_steps(10, 20)
    back = undo(visit)
    assert percents(back) == [10]
    assert percents(redo(back)) == [10, 20]
    assert percents(undo(undo(back))) == []
    assert percents(redo(add_step(back, Form(percent=30)))) == [10, 30]  # after a new change nothing can be redone


def test_cards_are_moved_and_removed_by_their_number() -> None:
    visit = with_steps(10, 20, 30)
    first, _, last = (card.number for card in visit.cards)
    assert percents(move_step(visit, last, -1)) == [10, 30, 20]
    assert percents(move_step(visit, first, 1)) == [20, 10, 30]
    assert move_step(visit, first, -1) == visit
    moved = move_step(visit, first, 1)
    assert percents(remove_step(moved, first)) == [20, 30]  # wherever it stands by now
    assert remove_step(visit, 99).cards == visit.cards


def test_a_number_is_never_given_again() -> None:
    visit = with_steps(10, 20)
    gone = number(visit, 1)
    again = add_step(remove_step(visit, gone), Form(percent=30))
    assert number(again, 1) != gone


def test_typing_on_in_a_field_is_one_change() -> None:
    visit = with_steps(10)
    for typed in ("3", "35", "35.5"):
        visit = set_field(visit, number(visit, 0), "percent", replace(visit.cards[0].form, percent=typed))
    assert percents(undo(visit)) == [10]
    assert set_field(visit, 99, "percent", Form()).cards == visit.cards  # a field of a card that is gone


def test_the_name_of_a_recipe_goes_when_a_card_is_changed() -> None:
    visit = replace_steps(Visit(), [Form(percent=10)], "preset_random")
    assert visit.name == "preset_random"
    assert open_card(visit, number(visit, 0)).name == "preset_random"
    assert add_step(visit, Form()).name == ""
    assert set_field(visit, number(visit, 0), "percent", Form(percent=11)).name == ""


def test_the_history_is_bounded() -> None:
    visit = Visit()
    for at in range(150):
        visit = replace_steps(visit, [Form(percent=at)])
    assert len(visit.past) == 100


def test_an_open_card_that_prunes_the_selected_module_follows() -> None:
    visit = add_step(Visit(), Form(where="module", module="a"))
    assert select_module(visit, "b").cards[0].form.module == "b"
    closed = open_card(visit, number(visit, 0))
    assert select_module(closed, "b").cards[0].form.module == "a"


def test_presets_follow_the_tutorial() -> None:
    assert list(PRESETS) == ["random", "bias", "columns", "types", "global"]
    assert [one.method for one in preset("columns").steps] == [
        "random_unstructured",
        "l1_unstructured",
        "ln_structured",
    ]
    assert (preset("bias").steps[1].count, preset("bias").steps[1].select.tensor) == (50, "bias")
    assert preset("global").steps[0].scope == "global"
    assert [one.fraction for one in preset("types").steps] == [0.2, 0.4]


def key(source: Source, seed: int = 0) -> RunKey:
    return RunKey(source, preset("random"), seed)


def test_each_checkpoint_heads_its_runs() -> None:
    visit = open_source(Visit(), TINY, "tiny", "")
    visit = add_run(add_run(visit, key(TINY), "tiny"), key(TINY, 1), "tiny")
    visit = add_run(open_source(visit, OTHER, "other", ""), key(OTHER), "other")
    assert [(run.name, run.number) for run in rows(visit)] == [
        ("tiny", -1), ("tiny", 1), ("tiny", 2), ("other", -2), ("other", 3),
    ]  # fmt: skip
    assert [run.is_dense for run in rows(visit)] == [True, False, False, True, False]
    again = add_run(visit, key(TINY, 1), "tiny")
    assert len(again.runs) == len(visit.runs)


def test_a_run_that_ends_late_lands_under_its_own_name_and_is_not_shown_in_place_of_another() -> None:
    visit = open_source(Visit(), TINY, "tiny", "")
    late = key(TINY)
    visit = open_source(visit, OTHER, "other", "")
    landed = add_run(visit, late, "tiny")
    assert landed.shown is not None and landed.shown.key.source == OTHER
    assert [run.name for run in landed.runs if run.key == late] == ["tiny"]
    found = note_run(landed, late, quality="measured")
    assert [run.quality for run in found.runs] == [None, None, "measured"]
    assert note_run(found, key(TINY, 9), quality="x") == found


def test_a_run_waits_until_it_is_looked_at() -> None:
    visit = add_run(open_source(Visit(), TINY, "tiny", ""), key(TINY), "tiny")
    waits = let_run_wait(visit, add_run(visit, key(TINY, 1), "tiny"))
    assert (waits.run, waits.ready, len(waits.runs)) == (1, 2, 3)
    assert choose_run(waits, -1).ready == 2
    assert (choose_run(waits, 2).run, choose_run(waits, 2).ready) == (2, None)
    again = let_run_wait(visit, add_run(visit, key(TINY), "tiny"))
    assert (again.run, again.ready) == (1, None)  # it is the one that is shown
    without = delete_run(visit, 1)
    assert let_run_wait(visit, add_run(without, key(TINY, 1), "tiny")).run == 1  # what was shown is gone


def test_runs_are_bounded_chosen_and_deleted() -> None:
    visit = open_source(Visit(), TINY, "tiny", "")
    for seed in range(MOST_RUNS + 5):
        visit = add_run(visit, key(TINY, seed), "tiny")
    assert len(visit.runs) == MOST_RUNS
    assert visit.runs[0].is_dense  # the open checkpoint stays
    assert find_run(visit, 1) is None
    pair = replace(visit, pair=(visit.runs[1].number, visit.runs[2].number))
    assert add_run(pair, key(TINY, 99), "tiny").pair is None  # the oldest went, which was one of the two
    assert add_run(replace(pair, pair=(-1,)), key(TINY, 99), "tiny").pair == (-1,)
    last = visit.run
    assert choose_run(visit, -1).run == -1
    assert choose_run(visit, 999).run == last
    assert delete_run(visit, -1) == visit
    assert last is not None
    without = delete_run(replace(visit, pair=(last, -1)), last)
    assert (without.run, without.pair) == (-1, None)


def test_a_recipe_without_steps_is_the_checkpoint_as_it_was_opened() -> None:
    visit = open_source(Visit(), TINY, "tiny", "x")
    assert visit.shown is not None and visit.shown.is_dense
    assert visit.shown.key == RunKey(TINY, bp.Recipe())
    assert open_source(visit, TINY, "tiny", "x").runs == visit.runs

"""The list of steps: adding, ordering, undo and redo."""

import bertprune as bp
from app.plan import Plan
from app.presets import PRESETS, preset


def step(fraction: float) -> bp.Step:
    return bp.Step(method="l1_unstructured", fraction=fraction)


def fractions(plan: Plan) -> list[float | None]:
    return [one.fraction for one in plan.steps]


def test_undo_and_redo_restore_recipes() -> None:
    plan = Plan().add(step(0.1)).add(step(0.2))
    back = plan.undo()
    assert fractions(back) == [0.1]
    assert fractions(back.redo()) == [0.1, 0.2]
    assert back.redo() == plan
    assert fractions(back.undo().undo()) == []


def test_after_a_new_change_nothing_can_be_redone() -> None:
    plan = Plan().add(step(0.1)).undo().add(step(0.3))
    assert fractions(plan.redo()) == [0.3]


def test_steps_are_moved_and_removed() -> None:
    plan = Plan().add(step(0.1)).add(step(0.2)).add(step(0.3))
    assert fractions(plan.move(2, -1)) == [0.1, 0.3, 0.2]
    assert fractions(plan.move(0, 1)) == [0.2, 0.1, 0.3]
    assert plan.move(0, -1) is plan
    assert plan.move(2, 1) is plan
    assert fractions(plan.remove(1)) == [0.1, 0.3]
    assert fractions(plan.clear()) == []
    assert fractions(plan.clear().undo()) == [0.1, 0.2, 0.3]


def test_the_same_recipe_again_is_not_a_change() -> None:
    plan = Plan().add(step(0.1))
    assert plan.to(plan.recipe) is plan


def test_the_undo_history_is_bounded() -> None:
    plan = Plan()
    for at in range(150):
        plan = plan.to(bp.Recipe(steps=[step(0.001 * (at + 1))]))
    assert len(plan.past) == 100


def test_presets_follow_the_tutorial() -> None:
    assert list(PRESETS) == ["random", "bias", "columns", "types", "global"]
    assert [one.method for one in preset("columns").steps] == [
        "random_unstructured",
        "l1_unstructured",
        "ln_structured",
    ]
    assert preset("bias").steps[1].count == 50
    assert preset("bias").steps[1].select.tensor == "bias"
    assert preset("global").steps[0].scope == "global"
    assert [one.fraction for one in preset("types").steps] == [0.2, 0.4]

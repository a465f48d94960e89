"""What the cards make: steps, what each would prune, a recipe, its YAML, a run."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import replace
from typing import Any

import bertprune as bp

from .cards import Card, form_of, make_step
from .errors import PageError, naming_field
from .offers import as_number
from .opening import check_texts, name_of
from .runs import RunKey, is_pruned
from .store import Progress, Store
from .visit import Change, Visit, add_run, replace_steps


def with_recipe(store: Store, visit: Visit, recipe: bp.Recipe, name: str = "") -> Visit:
    """Replace the cards by those of a recipe."""
    root = store.tree(visit.source)
    return replace_steps(visit, [form_of(step, root, visit.module) for step in recipe.steps], name)


Steps = tuple[bp.Step, ...]


def steps_of(store: Store, visit: Visit) -> tuple[Steps, bp.BertpruneError | None]:
    """Make the steps of the cards up to the first that makes none, once; and return what is wrong with that one."""

    def make() -> tuple[Any, int]:
        steps: list[bp.Step] = []
        try:
            for card in visit.cards:
                steps.append(make_step(card.form, store.tree(visit.source)))
        except bp.BertpruneError as error:
            return (tuple(steps), error), 2_000
        return (tuple(steps), None), 2_000

    return store.keep((visit.source, "steps", visit.cards), make)  # type: ignore[no-any-return]


def recipe_of(store: Store, visit: Visit) -> bp.Recipe:
    """Return the recipe of the cards. Raises BertpruneError, which names the step."""
    steps, wrong = steps_of(store, visit)
    if wrong is not None:
        raise PageError("recipe_wrong", number=len(steps) + 1, error=wrong) from wrong
    return bp.Recipe(steps=steps)


def yaml_of(store: Store, visit: Visit) -> str:
    """Return the cards as YAML, written once; empty where there are none, or one is wrong."""
    steps, wrong = steps_of(store, visit)
    if wrong is not None or not steps:
        return ""

    def make() -> tuple[str, int]:
        text = bp.Recipe(steps=steps).to_yaml()
        return text, len(text)

    return str(store.keep((visit.source, "yaml", steps), make))


Seen = list[Any]
"""For each card the preview of its step; for one that is wrong, and those after it, the error."""


def previews(store: Store, visit: Visit) -> Seen:
    """Preview each step after those before it. Pure; no weight is read."""
    steps, wrong = steps_of(store, visit)
    good = len(steps)
    if _is_wrong(store, visit, steps):  # what begins a recipe that fits, fits
        fails = bisect_left(range(1, good), True, key=lambda most: _is_wrong(store, visit, steps[:most]))
        good, wrong = fails, _preview(store, visit, steps[: fails + 1])
    seen: Seen = list(_preview(store, visit, steps[:good]))
    if wrong is not None:
        later = PageError("step_after", number=good + 1)
        seen += [wrong, *[later] * (len(visit.cards) - good - 1)]
    return seen


def _is_wrong(store: Store, visit: Visit, steps: Steps) -> bool:
    return isinstance(_preview(store, visit, steps), bp.BertpruneError)


def _preview(store: Store, visit: Visit, steps: Steps) -> Any:
    """Return the previews of some steps, or the error."""
    recipe = bp.Recipe(steps=steps)

    def make() -> tuple[Any, int]:
        try:
            with naming_field("step"):
                return bp.preview(store.checkpoint(visit.source), store.admitted(recipe)).steps, 20_000
        except bp.BertpruneError as error:
            return error, 2_000

    return store.keep((visit.source, "preview", recipe), make)


def key_of(store: Store, visit: Visit) -> RunKey:
    """Return which run the cards make. Raises BertpruneError."""
    if not visit.cards:
        raise PageError("prune_no_steps")
    seed = as_number(visit.seed)
    if seed is None or not 0 <= seed < 2**63 or seed != int(seed):
        raise PageError("prune_seed")
    recipe = recipe_of(store, visit)
    texts = visit.given.chosen(visit.source, recipe)
    check_texts(texts)
    return RunKey(visit.source, recipe, int(seed), texts)


def make_run(store: Store, key: RunKey, cards: tuple[Card, ...], report: Progress) -> Change:
    """Make a run, and return how it comes into the table; a module that it pruned is selected then."""
    with naming_field("step"):
        pruned = [one.module for one in store.run(key, report).report.targets]
    found, name = counted(store, key), name_of(store, key.source)

    def change(visit: Visit) -> Visit:
        landed = add_run(visit, key, name, cards=cards, **found)
        elsewhere = pruned and visit.source == key.source and visit.module not in pruned
        return replace(landed, module=pruned[0]) if elsewhere else landed

    return change


def counted(store: Store, key: RunKey) -> dict[str, Any]:
    """Return what is masked, zero, alive and multiplied after a run, made where it is not there."""
    run = store.run(key)
    report = run.report
    masked, came_pruned = (report.total.masked, report.total.size), not key.recipe.steps and is_pruned(report)
    return {"count": report.model, "masked": masked, "came_pruned": came_pruned, "macs": run.macs}

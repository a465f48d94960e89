"""The recipe: cards in the order of the steps, one of them open; the texts that it reads; the bar with Prune."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from markupsafe import Markup

import bertprune as bp

from ..cards import Card, form_of, make_step, recipe_of, set_field
from ..errors import PageError, error_text, naming_field
from ..html import Part, breakable, button, field, joined, note, percent, select, size_of, tag
from ..i18n import say
from ..offers import PRESETS, as_number, whole_number
from ..opening import check_texts, name_of
from ..runs import Run, RunKey, is_pruned
from ..store import Progress, Store
from ..visit import Visit, add_run, find_card, move_step, open_card, redo, remove_step, replace_steps, undo
from ..visit import set_field as change_field
from ..visitors import Visitor
from .model import Change
from .steps import fields_of, selection, step_line

Seen = list[Any]
"""For each card the preview of its step; for one that is wrong, and those after it, the error."""


def previews(store: Store, visit: Visit) -> Seen:
    """Preview each step after those before it. Pure; no weight is read."""
    steps: list[bp.Step] = []
    failed: bp.BertpruneError | None = None
    for at, card in enumerate(visit.cards):
        try:
            steps.append(make_step(card.form, store.tree(visit.source)))
        except bp.BertpruneError as error:
            failed, at_fault = error, at
            break
    whole = _preview(store, visit, steps)
    good = len(steps) if not isinstance(whole, bp.BertpruneError) else _longest(store, visit, steps)
    seen: Seen = list(_preview(store, visit, steps[:good])) if good else []
    if good < len(steps):
        failed, at_fault = _preview(store, visit, steps[: good + 1]), good
    if failed is not None:
        later = PageError("step_after", number=at_fault + 1)
        seen += [failed, *[later] * (len(visit.cards) - at_fault - 1)]
    return seen


def _longest(store: Store, visit: Visit, steps: Sequence[bp.Step]) -> int:
    """Count the steps before the first that does not fit; what begins a recipe that fits, fits."""
    low, high = 0, len(steps) - 1
    while low < high:
        middle = (low + high + 1) // 2
        if isinstance(_preview(store, visit, steps[:middle]), bp.BertpruneError):
            high = middle - 1
        else:
            low = middle
    return low


def _preview(store: Store, visit: Visit, steps: Sequence[bp.Step]) -> Any:
    recipe = bp.Recipe(steps=tuple(steps))

    def make() -> tuple[Any, int]:
        try:
            with naming_field("step"):
                return bp.preview(store.checkpoint(visit.source), store.admitted(recipe)).steps, 20_000
        except bp.BertpruneError as error:
            return error, 2_000

    return store.keep((visit.source, "preview", recipe), make)


def show_bar(store: Store, visit: Visit) -> Markup:
    """Write what stays in sight: what is open, the recipe, what it would prune and needs, and Prune."""
    language = visit.language
    seen = previews(store, visit)
    wrong = next((one for one in seen if isinstance(one, bp.BertpruneError)), None)
    off = "" if visit.cards else say(language, "prune_no_steps")
    off = say(language, "bar_wrong") if wrong is not None else off
    prune = button(say(language, "prune"), "prune", via="work", primary=True, off=off)
    cancel = button(say(language, "cancel"), "cancel", via="stop")
    words = [tag("strong", name_of(store, visit.source)), tag("span", *_recipe_words(language, visit, seen))]
    return tag(
        "div",
        tag("div", *words, _state(language, visit, off), cls="bp-top-words"),
        tag("div", *_last_export(language, visit), prune, tag("span", cancel, cls="bp-cancel"), cls="bp-top-do"),
        cls="bp-top",
    )


def _last_export(language: str, visit: Visit) -> list[Markup]:
    """Offer what was built last of the run that is shown, by its own name."""
    run = visit.shown
    if not run.exports or not run.exports[-1].zip.is_file():
        return []
    built = run.exports[-1]
    words = say(language, "bar_download", name=built.zip.name, size=size_of(built.zipped))
    return [button(words, "download", via="file", run=run.number, **built.named)]


def _recipe_words(language: str, visit: Visit, seen: Seen) -> list[Any]:
    if not visit.cards:
        return [say(language, "bar_none")]
    count = say(language, "bar_step" if len(visit.cards) == 1 else "bar_steps", count=len(visit.cards))
    named = [f"{say(language, visit.name)}: "] if visit.name else []
    good = [one for one in seen if not isinstance(one, bp.BertpruneError)]
    low, high = (sum(one.removed[end] for one in good) for end in (0, 1))
    go = say(language, "bar_go", gone=_range(language, low, high))
    needs = [" · ", say(language, "preview_texts")] if any(one.needs_texts for one in good) else []
    return [*named, count, " · ", go, *needs]


def _state(language: str, visit: Visit, off: str) -> Markup:
    """Say why there is nothing to prune, or what is shown beside the cards as they are."""
    shown = visit.shown
    if off and visit.cards:
        return tag("span", off, cls="bp-bad")
    if shown.is_dense:
        return Markup("")
    what = say(language, "bar_shown", number=shown.number)
    return tag("span", what, *([" ", tag("em", older)] if (older := changed_since(language, visit, shown)) else []))


def changed_since(language: str, visit: Visit, run: Run) -> str:
    """Say that the cards are not the recipe of a run; empty where they are, or where it is of another checkpoint."""
    if run.key.source != visit.source or run.is_dense:
        return ""
    if not visit.cards:
        return say(language, "prune_cleared")
    return say(language, "prune_older") if not run_matches(visit, run) else ""


def run_matches(visit: Visit, run: Run) -> bool:
    """Return whether a run was made by the cards as they are."""
    same = [card.form for card in visit.cards] == [card.form for card in run.cards]
    texts = visit.given.chosen(visit.source, run.key.recipe)
    return same and texts == run.key.texts and as_number(visit.seed) == run.key.seed


def _range(language: str, low: int, high: int) -> str:
    return f"{low:,}" if low == high else say(language, "preview_range", low=f"{low:,}", high=f"{high:,}")


def show_cards(store: Store, visit: Visit) -> Markup:
    """Write the cards, and what can be done with all of them."""
    language = visit.language
    named = [(say(language, "preset_none"), ""), *((say(language, f"preset_{name}"), name) for name in PRESETS)]
    chosen = visit.name.removeprefix("preset_") if visit.name.startswith("preset_") else ""
    preset = field(say(language, "preset"), select("preset", named, chosen, data_choose="preset"))
    seen = previews(store, visit)
    cards = [_card(store, visit, at, card, seen[at]) for at, card in enumerate(visit.cards)]
    listed = tag("ol", *cards, cls="bp-cards", aria_label=say(language, "steps_title"))
    return joined([
        tag("div", preset, cls="bp-head"),
        listed if cards else note(say(language, "steps_none"), "bp-empty"),
        tag("div", *_buttons(language, visit), cls="bp-actions"),
    ])  # fmt: skip


def _buttons(language: str, visit: Visit) -> list[Markup]:
    none = say(language, "recipe_nothing")
    return [
        button("+ " + say(language, "recipe_add"), "add", primary=not visit.cards),
        button(say(language, "recipe_undo"), "undo", off="" if visit.past else none),
        button(say(language, "recipe_redo"), "redo", off="" if visit.future else none),
        button(say(language, "recipe_clear"), "clear", off="" if visit.cards else none),
    ]


def _card(store: Store, visit: Visit, at: int, card: Card, seen: Any) -> Markup:
    language, is_open = visit.language, visit.card == card.number
    wrong = isinstance(seen, bp.BertpruneError)
    title = card.form.method if wrong else step_line(language, seen.step)
    words = joined([tag("span", str(at + 1), cls="bp-number"), tag("strong", title)])
    given = {"card": card.number, "key": f"card-{card.number}", "aria_expanded": str(is_open).lower()}
    toggle = button(words, "card", cls="bp-card-open", **given)
    moves = [
        _move(language, "up", at, card, "↑", at == 0),
        _move(language, "down", at, card, "↓", at == len(visit.cards) - 1),
        _move(language, "remove", at, card, "✕", False),
    ]
    effect = _refusal(language, seen) if wrong else _effect(language, seen)
    inner = [fields_of(language, card.form, store.tree(visit.source))] if is_open else []
    head = tag("div", toggle, tag("div", *moves, cls="bp-step-buttons"), cls="bp-card-head")
    return tag(
        "li", head, effect, *inner, cls="bp-step bp-is-open" if is_open else "bp-step", data_card=str(card.number)
    )


def _move(language: str, do: str, at: int, card: Card, sign: str, off: bool) -> Markup:
    words = say(language, f"steps_{do}", number=at + 1)
    why = say(language, "recipe_nothing") if off else ""
    return button(sign, do, card=card.number, label=words, off=why, key=f"{do}-{card.number}")


def _refusal(language: str, error: bp.BertpruneError) -> Markup:
    return tag("p", error_text(language, error), cls="bp-effect bp-bad", role="status")


def _effect(language: str, seen: Any) -> Markup:
    """Write what a step would prune, and of what."""
    low, high = seen.removed
    share = percent(high / seen.weights) if seen.weights else percent(0.0)
    key = "preview_go" if low == high else "preview_go_range"
    tensors = len(seen.targets)
    parts = [
        say(language, key, value=_range(language, low, high), share=share),
        say(language, "preview_tensor" if tensors == 1 else "preview_tensors", value=f"{tensors:,}"),
        say(language, "preview_weights", value=f"{seen.weights:,}"),
        *([say(language, "preview_texts")] if seen.needs_texts else []),
    ]
    more = [Markup(", …")] if tensors > 3 else []
    names = joined([joined((breakable(name) for name in seen.targets[:3]), ", "), *more])
    chosen = tag("p", tag("code", selection(language, seen.step.select)), " → ", tag("code", names), cls="bp-names")
    return tag("div", tag("p", " · ".join(parts), role="status"), chosen, cls="bp-effect")


def prune(store: Store, visitor: Visitor, asked: dict[str, Any], report: Progress) -> Change:
    """Prune by the cards; the run lands in the table under its own name, whatever is open by then."""
    visit = visitor.visit
    key = key_of(store, visit)
    return run(store, key, visit.cards, report)


def key_of(store: Store, visit: Visit) -> RunKey:
    """Return which run the cards make. Raises BertpruneError."""
    if not visit.cards:
        raise PageError("prune_no_steps")
    seed = as_number(visit.seed)
    if seed is None or not 0 <= seed < 2**63 or seed != int(seed):
        raise PageError("prune_seed")
    recipe = recipe_of(visit.cards, store.tree(visit.source))
    texts = visit.given.chosen(visit.source, recipe)
    check_texts(texts)
    return RunKey(visit.source, recipe, int(seed), texts)


def run(store: Store, key: RunKey, cards: tuple[Card, ...], report: Progress) -> Change:
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


def change_card(store: Store, visit: Visit, asked: dict[str, Any]) -> Visit:
    number, name = _number(asked), str(asked.get("name"))
    card = find_card(visit, number)
    if card is None:
        return visit
    changed = set_field(card.form, name, asked.get("value"), store.tree(visit.source))
    if name == "where" and changed.where == "module":
        changed = replace(changed, module=visit.module)
    return change_field(visit, number, name, changed)


def _number(asked: dict[str, Any]) -> int:
    return whole_number(asked.get("card"))


def with_recipe(store: Store, visit: Visit, recipe: bp.Recipe, name: str = "") -> Visit:
    """Replace the steps by those of a recipe."""
    root = store.tree(visit.source)
    return replace_steps(visit, [form_of(step, root, visit.module) for step in recipe.steps], name)


ACTS = {
    "card": lambda store, visit, asked: open_card(visit, _number(asked)),
    "set": change_card,
    "up": lambda store, visit, asked: move_step(visit, _number(asked), -1),
    "down": lambda store, visit, asked: move_step(visit, _number(asked), 1),
    "remove": lambda store, visit, asked: remove_step(visit, _number(asked)),
    "undo": lambda store, visit, asked: undo(visit),
    "redo": lambda store, visit, asked: redo(visit),
    "clear": lambda store, visit, asked: replace_steps(visit, ()),
}
PARTS = (
    Part("bar", show_bar, ("source", "cards", "name", "given", "seed", "run", "runs")),
    Part("cards", show_cards, ("source", "cards", "card", "name", "past", "future")),
)

"""The recipe: cards in the order of the steps, one of them open; the texts that it reads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from markupsafe import Markup

import bertprune as bp

from ..cards import Card, set_field
from ..errors import PageError, error_text, naming_field
from ..html import Part, breakable, button, entry, field, form, heading, joined, note, percent, select, tag
from ..i18n import say
from ..making import key_of, make_run, previews, recipe_of, with_recipe, yaml_of
from ..offers import PRESETS, as_number, reads_texts, whole_number
from ..runs import Run, TextFile
from ..runtime import new_folder
from ..store import Progress, Store
from ..visit import Change, Visit, find_card, move_step, open_card, redo, remove_step, replace_steps, undo
from ..visit import set_field as change_field
from ..visitors import Visitor
from .steps import between, fields_of, selection, step_line


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
    method, space, amount = (card.form.method if wrong else step_line(language, seen.step)).partition(" ")
    words = joined([tag("span", str(at + 1), cls="bp-number"), tag("strong", breakable(method), space, amount)])
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
        say(language, key, value=between(language, low, high), share=share),
        say(language, "preview_tensor" if tensors == 1 else "preview_tensors", value=f"{tensors:,}"),
        say(language, "preview_weights", value=f"{seen.weights:,}"),
        *([say(language, "preview_texts")] if seen.needs_texts else []),
    ]
    more = [Markup(", …")] if tensors > 3 else []
    names = joined([joined((breakable(name) for name in seen.targets[:3]), ", "), *more])
    chosen = tag("p", tag("code", selection(language, seen.step.select)), " → ", tag("code", names), cls="bp-names")
    return tag("div", tag("p", " · ".join(parts), role="status"), chosen, cls="bp-effect")


def show_texts(store: Store, visit: Visit) -> Markup:
    """Write which texts a run or a plan would be calibrated on; of a demo, which brings some, if a step reads them."""
    language, given = visit.language, visit.given
    read = any(reads_texts(card.form.method, card.form.reconstruct) for card in visit.cards)
    if visit.source.is_embedded and not read:
        return Markup("")
    parts: list[Any] = [heading(say(language, "texts_title"))]
    if visit.source.is_embedded:
        ways = [(say(language, "texts_own"), "own"), (say(language, "texts_file"), "file")]
        parts.append(field(say(language, "texts_way"), select("way", ways, given.way, data_choose="texts")))
    if not given.are_own(visit.source):
        numbers = [
            field(
                say(language, f"texts_{name}"),
                entry(name, value, data_choose="texts"),
                say(language, f"texts_{name}_info"),
            )
            for name, value in (("count", given.count), ("length", given.max_length))
        ]
        parts.append(tag("div", *numbers, cls="bp-row bp-own"))
    return joined([*parts, _texts_line(store, visit, read)])


def _texts_line(store: Store, visit: Visit, read: bool) -> Markup:
    language, given = visit.language, visit.given
    if given.are_own(visit.source):
        return note(say(language, "texts_are_own"))
    if given.file is None:
        return note(say(language, "texts_none"), "bp-bad") if read else note(say(language, "texts_wanted"))
    if not store.still_has(given.file):
        return note(say(language, "texts_gone", name=given.file.shown), "bp-bad")
    return note(say(language, "texts_there", name=given.file.shown, count=f"{given.file.texts:,}"))


def show_yaml(store: Store, visit: Visit) -> Markup:
    """Write the recipe as YAML, which can be changed there; the seed beside it."""
    language, text = visit.language, yaml_of(store, visit)
    typed = field(say(language, "yaml"), entry("yaml", text, "lines", rows="10", cls="bp-code"))
    saved = button(say(language, "yaml_save"), "save", via="file", off="" if text else say(language, "prune_no_steps"))
    box = form(typed, tag("div", button(say(language, "yaml_use"), "yaml"), saved, cls="bp-actions"))
    seed = field(
        say(language, "recipe_seed"),
        entry("seed", visit.seed, data_choose="seed", inputmode="numeric"),
        say(language, "recipe_seed_info"),
    )
    return joined([seed, tag("details", tag("summary", say(language, "yaml_title")), box, data_key="yaml-box")])


def prune(store: Store, visitor: Visitor, asked: dict[str, Any], report: Progress) -> Change:
    """Prune by the cards; the run lands in the table under its own name, whatever is open by then."""
    visit = visitor.visit
    return make_run(store, key_of(store, visit), visit.cards, report)


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


def take_yaml(store: Store, visit: Visit, asked: dict[str, Any]) -> Visit:
    """Replace the steps by those of a text in YAML."""
    text = str(asked.get("yaml") or "")
    if not text.strip():
        raise PageError("yaml_empty")
    with naming_field("yaml"):
        return with_recipe(store, visit, store.admitted(bp.Recipe.from_yaml(text)))


def take_texts(store: Store, visit: Visit, asked: dict[str, Any]) -> Visit:
    """Choose the calibration texts, how many and how long."""
    fields = {"way": "way", "count": "count", "length": "max_length"}
    name, value = fields.get(str(asked.get("name"))), asked.get("value")
    if name is None:
        return visit
    number = as_number(value)
    return replace(visit, given=replace(visit.given, **{name: value if name == "way" or number is None else number}))


def with_texts(visit: Visit, file: TextFile) -> Visit:
    """Take an uploaded file of texts."""
    return replace(visit, given=replace(visit.given, file=file, way="file"))


def file_of(store: Store, visit: Visit, asked: dict[str, Any]) -> Path:
    """Write the recipe as a file to download. Raises BertpruneError."""
    if not visit.cards:
        raise PageError("prune_no_steps")
    path = new_folder() / "recipe.yaml"
    path.write_text(recipe_of(store, visit).to_yaml(), encoding="utf-8")
    return path


def take_seed(store: Store, visit: Visit, asked: dict[str, Any]) -> Visit:
    """Take the seed as it is typed; Prune says what is wrong with it."""
    return replace(visit, seed=str(asked.get("value"))[:40])


ACTS = {
    "card": lambda store, visit, asked: open_card(visit, _number(asked)),
    "set": change_card,
    "up": lambda store, visit, asked: move_step(visit, _number(asked), -1),
    "down": lambda store, visit, asked: move_step(visit, _number(asked), 1),
    "remove": lambda store, visit, asked: remove_step(visit, _number(asked)),
    "undo": lambda store, visit, asked: undo(visit),
    "redo": lambda store, visit, asked: redo(visit),
    "clear": lambda store, visit, asked: replace_steps(visit, ()),
    "yaml": take_yaml,
    "texts": take_texts,
    "seed": take_seed,
}
PARTS = (
    Part("cards", show_cards, ("source", "cards", "card", "name", "past", "future")),
    Part("texts", show_texts, ("source", "cards", "given")),
    Part("yaml", show_yaml, ("source", "cards", "seed")),
)

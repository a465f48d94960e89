"""What goes with the recipe: the texts that it reads, the seed, and the same as YAML."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from markupsafe import Markup

import bertprune as bp

from ..cards import recipe_of
from ..errors import PageError, naming_field
from ..html import Part, button, entry, field, form, heading, joined, note, select, tag
from ..i18n import say
from ..offers import as_number, reads_texts
from ..runs import TextFile
from ..runtime import new_folder
from ..store import Store
from ..visit import Visit
from .recipe import with_recipe


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
        parts += [tag("div", *numbers, cls="bp-row bp-own"), tag("p", say(language, "texts_drop"), cls="bp-note")]
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


def yaml_of(store: Store, visit: Visit) -> str:
    """Return the cards as YAML; empty where there are none, or one is wrong."""
    try:
        return recipe_of(visit.cards, store.tree(visit.source)).to_yaml() if visit.cards else ""
    except bp.BertpruneError:
        return ""


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


def given(visit: Visit, file: TextFile) -> Visit:
    """Take an uploaded file of texts."""
    return replace(visit, given=replace(visit.given, file=file, way="file"))


def file_of(store: Store, visit: Visit, asked: dict[str, Any]) -> Path:
    """Write the recipe as a file to download. Raises BertpruneError."""
    if not visit.cards:
        raise PageError("prune_no_steps")
    path = new_folder() / "recipe.yaml"
    path.write_text(recipe_of(visit.cards, store.tree(visit.source)).to_yaml(), encoding="utf-8")
    return path


def take_seed(store: Store, visit: Visit, asked: dict[str, Any]) -> Visit:
    """Take the seed as it is typed; Prune says what is wrong with it."""
    return replace(visit, seed=str(asked.get("value"))[:40])


ACTS = {"yaml": take_yaml, "texts": take_texts, "seed": take_seed}
PARTS = (
    Part("texts", show_texts, ("source", "cards", "given")),
    Part("yaml", show_yaml, ("source", "cards", "seed")),
)

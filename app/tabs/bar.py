"""The bar that stays in sight: what is open, the recipe and what it would prune, what is shown, and Prune."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

import bertprune as bp

from ..html import Part, button, size_of, tag
from ..i18n import say
from ..making import Seen, previews
from ..opening import name_of
from ..store import Store
from ..visit import Visit, find_run
from .recipe import changed_since
from .steps import between


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
        tag("div", *words, _state(language, visit, off), _ready(language, visit), cls="bp-top-words"),
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


def _ready(language: str, visit: Visit) -> Markup:
    """Offer the run that was made while the visitor went to another view."""
    if find_run(visit, visit.ready) is None:
        return Markup("")
    words = say(language, "bar_ready", number=visit.ready)
    return tag("span", button(words, "run", cls="bp-link", run=visit.ready, key="ready"), role="status")


def _recipe_words(language: str, visit: Visit, seen: Seen) -> list[Any]:
    if not visit.cards:
        return [say(language, "bar_none")]
    count = say(language, "bar_step" if len(visit.cards) == 1 else "bar_steps", count=len(visit.cards))
    named = [f"{say(language, visit.name)} · "] if visit.name else []
    good = [one for one in seen if not isinstance(one, bp.BertpruneError)]
    low, high = (sum(one.removed[end] for one in good) for end in (0, 1))
    go = say(language, "bar_go", gone=between(language, low, high))
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


PARTS = (Part("bar", show_bar, ("source", "cards", "name", "given", "seed", "run", "runs", "ready")),)

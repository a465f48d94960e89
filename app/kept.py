"""What a tab of the browser keeps, so that a reloaded page goes on where it was, also after the server forgot it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import bertprune as bp

from .making import with_recipe, yaml_of
from .offers import as_number, whole_number
from .opening import name_of, offered, open_given
from .runs import Given, Run, RunKey, Source, TextFile, Texts
from .store import Store
from .tabs.model import opened
from .visit import Visit, add_run, choose_run

_MOST_CHARACTERS = 200_000


def to_keep(store: Store, visit: Visit, ticket: str) -> dict[str, Any]:
    """Return how to find the visit again, and what to begin another one with where it is gone."""
    source = visit.source
    again = {} if source.folder else {"given": source.given, "revision": source.revision}
    runs = [_run(store, run) for run in visit.runs if run.key.source == source and not run.is_dense]
    return {
        **again,
        "ticket": ticket,
        "shown": source.shown,
        "local": source.local,
        "upload": store.ticket(source),
        "recipe": yaml_of(store, visit),
        "seed": str(visit.seed),
        "texts": _texts(store, visit.given),
        "runs": runs,
        "run": visit.run,
    }


def _run(store: Store, run: Run) -> dict[str, Any]:
    key = run.key
    return {"number": run.number, "recipe": key.yaml, "seed": key.seed, "texts": _texts(store, key.texts)}


def _texts(store: Store, texts: Given | Texts | None) -> dict[str, Any] | None:
    """Return what is kept of texts; the file stays here, under a ticket."""
    if texts is None:
        return None
    file = texts.file
    return {
        "count": texts.count,
        "max_length": texts.max_length,
        "ticket": None if file is None else store.ticket(file),
        "shown": None if file is None else file.shown,
        "way": getattr(texts, "way", "file"),
    }


def read(sent: Any) -> dict[str, Any]:
    """Read what the browser kept; anything else than an object is nothing."""
    try:
        found = json.loads(sent) if isinstance(sent, str) else sent
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def begin(store: Store, language: str, kept: dict[str, Any]) -> tuple[Visit, list[tuple[str, str]]]:
    """Go on with the visit, or begin one with what was kept, or with the first example.

    Returns what was lost, too: the key of the text that says so, and a name.
    """
    if (known := store.visitors.again(kept.get("ticket"))) is not None:
        return replace(known, language=language), []
    visit, lost = Visit(language=language), _lost_texts(store, kept)
    try:
        if (source := _source_again(store, kept)) is not None:
            return begin_again(store, visit, source, kept), lost
    except bp.BertpruneError:
        pass  # the Hub cannot be reached, or the checkpoint no longer exists
    first = open_given(store, offered()[0])
    if kept.get("given") or kept.get("upload"):
        lost.append(("again_gone", str(kept.get("shown") or kept.get("given"))))
        kept = {**kept, "runs": []}
    return begin_again(store, visit, first, kept), lost


def _lost_texts(store: Store, kept: dict[str, Any]) -> list[tuple[str, str]]:
    texts = read(kept.get("texts"))
    gone = texts.get("ticket") and store.ticketed(texts["ticket"], TextFile) is None
    return [("texts_gone", str(texts.get("shown")))] if gone else []


def _source_again(store: Store, kept: dict[str, Any]) -> Source | None:
    """Return the checkpoint that was open; None where none was. Raises BertpruneError where it cannot be opened."""
    source: Source | None = store.ticketed(kept.get("upload"), Source)
    if source is None:
        given, revision, shown = (kept.get(name) for name in ("given", "revision", "shown"))
        if not isinstance(given, str) or not given:
            return None
        local = kept.get("local") is not False
        source = Source(given, str(revision) if revision else None, shown=str(shown) if shown else None, local=local)
    store.checkpoint(source)
    return source


def begin_again(store: Store, visit: Visit, source: Source, kept: dict[str, Any]) -> Visit:
    """Open a checkpoint with what was kept: the recipe, the texts, the runs; nonsense is left out."""
    visit = opened(store, replace(visit, given=given_again(store, kept.get("texts"))), source)
    if (recipe := _recipe(kept.get("recipe"))) is not None:
        visit = replace(with_recipe(store, visit, recipe), past=(), seed=str(kept.get("seed") or 0)[:40])
    dense = visit.run
    for one in kept.get("runs") or () if isinstance(kept.get("runs"), list) else ():
        visit = _with_run(store, visit, one)
    return choose_run(replace(visit, run=dense), whole_number(kept.get("run")))


def _with_run(store: Store, visit: Visit, kept: Any) -> Visit:
    recipe = _recipe(kept.get("recipe")) if isinstance(kept, dict) else None
    seed = as_number(kept.get("seed")) if recipe is not None else None
    if recipe is None or not recipe.steps or not isinstance(seed, int) or not 0 <= seed < 2**63:
        return visit
    texts = texts_again(store, kept.get("texts"))
    if texts is False:
        return visit
    cards = with_recipe(store, replace(visit, cards=()), recipe).cards
    return add_run(visit, RunKey(visit.source, recipe, seed, texts), name_of(store, visit.source), cards=cards)


def _recipe(text: Any) -> bp.Recipe | None:
    if not isinstance(text, str) or not text.strip() or len(text) > _MOST_CHARACTERS:
        return None
    try:
        return bp.Recipe.from_yaml(text)
    except bp.BertpruneError:
        return None


def given_again(store: Store, kept: Any) -> Given:
    """Return the fields as the browser kept them; without the file where it was removed."""
    if not isinstance(kept, dict):
        return Given()
    file = store.ticketed(kept.get("ticket"), TextFile)
    return Given(file, "file" if kept.get("way") == "file" else "own", *_numbers(kept))


def texts_again(store: Store, kept: Any) -> Texts | bool | None:
    """Return what a run was calibrated on; False where that was removed."""
    if not isinstance(kept, dict):
        return None
    file = store.ticketed(kept.get("ticket"), TextFile)
    return False if file is None else Texts(file, *_numbers(kept))


def _numbers(kept: dict[str, Any]) -> list[Any]:
    given = (kept.get("count"), kept.get("max_length"))
    return [one if isinstance(one, int | float) else None for one in given]

"""Everything that belongs to one visitor, as one frozen value, and the pure functions that change it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import bertprune as bp

from .cards import Card, Form
from .errors import PageError
from .runs import Given, Run, RunKey, Source, TextFile

MOST_RUNS = 24
"""Rows of the table of runs; the oldest goes first."""
_MOST_CHANGES = 100
"""Changes that can be undone."""


@dataclass(frozen=True)
class Visit:
    """What a visitor has, and sees."""

    language: str = "en"
    source: Source = Source()
    module: str = ""
    """The selected module."""
    cards: tuple[Card, ...] = ()
    """The steps of the recipe."""
    card: int | None = None
    """The number of the card that is open."""
    past: tuple[tuple[Card, ...], ...] = ()
    future: tuple[tuple[Card, ...], ...] = ()
    typed: tuple[int, str] | None = None
    """The field that was changed last; typing on in it is one change."""
    name: str = ""
    """Where the recipe comes from, as long as no card was changed."""
    seed: Any = 0
    given: Given = Given()
    data: TextFile | None = None
    """What to measure on; None for the samples of a demo."""
    tokenizer: str = ""
    """Another tokenizer to measure with."""
    runs: tuple[Run, ...] = ()
    run: int | None = None
    """The number of the run that is shown."""
    ready: int | None = None
    """The number of a run that was made and not looked at yet."""
    pair: tuple[int, ...] | None = None
    """The numbers of the runs that are compared."""
    sweep: Any = None
    """The last sweep, with the checkpoint that it is of."""
    everything: bool = False
    """Whether all tensors are shown, or those that changed."""
    baked: bool = False
    """Whether the module is shown baked, too."""
    version: int = 0
    """How often it was changed."""

    @property
    def shown(self) -> Run:
        """The run that is shown. Raises PageError where nothing is open."""
        run = find_run(self, self.run)
        if run is None:
            raise PageError("open_nothing")
        return run


Change = Callable[[Visit], Visit]
"""What work leaves to do with the visit, as it is by then."""


def open_source(visit: Visit, source: Source, name: str, module: str) -> Visit:
    """Open a checkpoint: it becomes the first row of the runs that follow, and is shown."""
    key = RunKey(source, bp.Recipe())
    opened = add_run(replace(visit, source=source, module=module), key, name)
    return replace(opened, sweep=None)


def _changed(visit: Visit, cards: Iterable[Card], card: int | None, typed: tuple[int, str] | None = None) -> Visit:
    """Change the cards, so that it can be undone; a recipe's name goes."""
    cards = tuple(cards)
    if cards == visit.cards:
        return replace(visit, card=card)
    kept = typed is not None and typed == visit.typed
    past = visit.past if kept else (*visit.past, visit.cards)[-_MOST_CHANGES:]
    return replace(visit, cards=cards, card=card, past=past, future=(), typed=typed, name="")


def add_step(visit: Visit, form: Form) -> Visit:
    """Append a step, and open its card."""
    number = _next(visit)
    return _changed(visit, (*visit.cards, Card(number, form)), number)


def _next(visit: Visit) -> int:
    """Return a number that no card has or had."""
    every = (visit.cards, *visit.past, *visit.future)
    return 1 + max((card.number for cards in every for card in cards), default=0)


def select_module(visit: Visit, path: str) -> Visit:
    """Select a module; an open card that prunes the selected module follows."""
    visit = replace(visit, module=path)
    card = find_card(visit, visit.card)
    if card is None or card.form.where != "module":
        return visit
    return set_field(visit, card.number, "module", replace(card.form, module=path))


def open_card(visit: Visit, number: int) -> Visit:
    """Open a card, or close it where it is open."""
    there = find_card(visit, number) is not None
    return replace(visit, card=number if there and visit.card != number else None, typed=None)


def find_card(visit: Visit, number: int | None) -> Card | None:
    """Return the card of a number, if it is still in the recipe."""
    return next((card for card in visit.cards if card.number == number), None)


def set_field(visit: Visit, number: int, name: str, form: Form) -> Visit:
    """Change a card by one of its fields; one that is gone is left alone."""
    cards = [replace(card, form=form) if card.number == number else card for card in visit.cards]
    return _changed(visit, cards, visit.card, (number, name))


def remove_step(visit: Visit, number: int) -> Visit:
    card = None if visit.card == number else visit.card
    return _changed(visit, (one for one in visit.cards if one.number != number), card)


def move_step(visit: Visit, number: int, by: int) -> Visit:
    """Move a step up (-1) or down (1); at the ends nothing changes."""
    cards = list(visit.cards)
    at = next((at for at, card in enumerate(cards) if card.number == number), None)
    if at is None or not 0 <= at + by < len(cards):
        return visit
    cards.insert(at + by, cards.pop(at))
    return _changed(visit, cards, visit.card)


def replace_steps(visit: Visit, forms: Iterable[Form], name: str = "") -> Visit:
    """Replace all steps by those of a recipe, which may have a name."""
    first = _next(visit)
    cards = tuple(Card(first + at, form) for at, form in enumerate(forms))
    if [card.form for card in cards] == [card.form for card in visit.cards]:
        return replace(visit, name=name)
    return replace(_changed(visit, cards, None), name=name)


def undo(visit: Visit) -> Visit:
    if not visit.past:
        return visit
    *past, cards = visit.past
    return _back(replace(visit, past=tuple(past), future=(visit.cards, *visit.future)), cards)


def redo(visit: Visit) -> Visit:
    if not visit.future:
        return visit
    cards, *future = visit.future
    return _back(replace(visit, past=(*visit.past, visit.cards), future=tuple(future)), cards)


def _back(visit: Visit, cards: tuple[Card, ...]) -> Visit:
    there = any(card.number == visit.card for card in cards)
    return replace(visit, cards=cards, card=visit.card if there else None, typed=None, name="")


def add_run(visit: Visit, key: RunKey, name: str, **found: Any) -> Visit:
    """Put a run into the table; one that is there keeps its number. It is shown where its checkpoint is still open."""
    known = row_of(visit, key)
    run = replace(known or Run(_number(visit, key), name, key), **found)
    runs = (*(one for one in visit.runs if one is not known), run)
    shown = run.number if key.source == visit.source else visit.run
    return _bounded(replace(visit, runs=runs, run=shown))


def _number(visit: Visit, key: RunKey) -> int:
    """Return the next number: checkpoints as they were opened count down from -1, runs up from 1."""
    numbers = [0, *(run.number for run in visit.runs)]
    return max(numbers) + 1 if key.recipe.steps else min(numbers) - 1


def _bounded(visit: Visit) -> Visit:
    """Drop the oldest runs, but neither the one that is shown nor the open checkpoint as it was opened."""
    spare = [run for run in visit.runs if run.number != visit.run and run is not dense_run(visit)]
    return _without(visit, *spare[: max(0, len(visit.runs) - MOST_RUNS)])


def _without(visit: Visit, *gone: Run) -> Visit:
    """Drop runs; a pair of which one is dropped is none any more."""
    left = tuple(run for run in visit.runs if run not in gone)
    still = visit.pair is None or not any(run.number in visit.pair for run in gone)
    return replace(visit, runs=left, pair=visit.pair if still else None)


def find_run(visit: Visit, number: int | None) -> Run | None:
    """Return the run of a number, if it is still in the table."""
    return next((run for run in visit.runs if run.number == number), None)


def row_of(visit: Visit, key: RunKey) -> Run | None:
    """Return the row of a run, if it is still in the table."""
    return next((run for run in visit.runs if run.key == key), None)


def note_run(visit: Visit, key: RunKey, **found: Any) -> Visit:
    """Write what was found out about a run into its row; where the row is gone, nothing changes."""
    return replace(visit, runs=tuple(replace(run, **found) if run.key == key else run for run in visit.runs))


def choose_run(visit: Visit, number: int) -> Visit:
    ready = None if number == visit.ready else visit.ready
    return replace(visit, run=number, ready=ready) if find_run(visit, number) else visit


def let_run_wait(visit: Visit, made: Visit) -> Visit:
    """Keep what is shown of a visit where a run was `made`, the last one: it waits until it is looked at."""
    number = made.runs[-1].number
    if number == visit.run or find_run(made, visit.run) is None:
        return replace(made, ready=None)
    return replace(made, run=visit.run, ready=number)


def delete_run(visit: Visit, number: int) -> Visit:
    """Remove a run from the table; that of the open checkpoint as it was opened stays."""
    run = find_run(visit, number)
    if run is None or (run.is_dense and run.key.source == visit.source):
        return visit
    left = _without(visit, run)
    dense = dense_run(left)
    return left if visit.run != number else replace(left, run=None if dense is None else dense.number)


def dense_run(visit: Visit) -> Run | None:
    """Return the row of the open checkpoint as it was opened."""
    return next((run for run in visit.runs if run.is_dense and run.key.source == visit.source), None)


def rows(visit: Visit) -> tuple[Run, ...]:
    """Return the runs in the order of the table: by checkpoint, each as it was opened first."""
    sources = tuple(dict.fromkeys(run.key.source for run in visit.runs))
    return tuple(sorted(visit.runs, key=lambda run: (sources.index(run.key.source), not run.is_dense, abs(run.number))))

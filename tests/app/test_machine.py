"""What is shown belongs together, whatever a visitor does and however late, twice or out of order it arrives."""

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

import bertprune as bp
from app.errors import Cancelled
from app.events import Events
from app.offers import PRESETS, preset
from app.opening import take_table, take_texts
from app.page import PARTS, Part, drawn_late
from app.runs import Given, Source
from app.store import Store
from app.tabs.model import opened
from app.visit import Visit, find_run
from app.visitors import Visitors
from tests.app.conftest import pruned
from tests.app.stand_in_browser import Browser

REQUEST = SimpleNamespace(session_hash="tab", headers={})
CHECKED = ("bar", "cards", "facts", "runs", "run", "changes", "details", "quality", "forms", "tree", "yaml")
"""Parts that hold figures and are quick to draw."""


PLANNED = bp.Step(method="magnitude", granularity="neuron", fraction=0.5)
FORECAST = {"measure": "angle", "drift": 0, "low": 0, "high": 0, "answers": 1, "bytes": 1, "sparsity": 0}


def plan(checkpoint: bp.Checkpoint, *, macs: float, progress: Any, **_: Any) -> bp.Recipe:
    """Stand in for `bp.plan`, which takes seconds: the forecast tells of which checkpoint and budget it is."""
    for share in (0.0, 0.5, 1.0):
        progress(share, "planning")
    return bp.Recipe(steps=[PLANNED], forecast={**FORECAST, "macs": forecast_of(checkpoint.name, macs)})


def forecast_of(name: str, macs: float) -> float:
    return round(macs - (len(name) + ord(name[-1])) / 10_000, 6)


class Sweeps:
    """Stands in for `bp.sweep`: each sweep is made once, and then found again."""

    def __init__(self) -> None:
        self._sweep, self._made = bp.sweep, dict[Any, Any]()

    def __call__(self, checkpoint: bp.Checkpoint, recipes: Any, data: Any, *, progress: Any, **more: Any) -> Any:
        key = checkpoint.name, tuple(recipes)
        for share in (0.0, 0.5):
            progress(share, "sweeping")
        if key not in self._made:
            self._made[key] = self._sweep(checkpoint, recipes, data, progress=progress, **more)
        progress(1.0, "sweeping")
        return self._made[key]


class Machine(RuleBasedStateMachine):
    """Random visits of a tab whose messages come late, twice and out of order."""

    folders: list[Path]
    table: Path

    @initialize(name=st.sampled_from(["", "random", "global"]))
    def begin(self, name: str) -> None:
        """Begin with an empty recipe, or with a run."""
        self.store = Store()
        self.store.visitors = Visitors(patience=0.0)
        self.events, self.browser = Events(self.store), Browser()
        self.sources = [Source(str(folder), shown=folder.name) for folder in self.folders]
        begun = Visit(data=take_table(str(self.table)), given=Given(take_texts(str(self.table)), "file"))
        visit = opened(self.store, begun, self.sources[0])
        self.visitor = self.store.visitors.begin("tab", pruned(self.store, visit, preset(name)) if name else visit)
        self.works: list[dict[str, Any]] = []
        self.answers: list[list[Any]] = []
        self.added: set[int] = set()
        self.history: dict[int, Visit] = {}
        self.remember()
        self.answers.append(self.events.act(SimpleNamespace(_data={"do": "redraw", "n": None}), REQUEST))

    def remember(self) -> None:
        self.history[self.visitor.visit.version] = self.visitor.visit

    def served(self, asked: dict[str, Any]) -> None:
        """Have the server do something, and put its answer on the wire."""
        with suppress(bp.BertpruneError):
            self.answers.append(self.events.act(SimpleNamespace(_data=asked), REQUEST))
        self.remember()

    @rule(
        do=st.sampled_from(["add", "undo", "redo", "clear", "again", "run", "pair", "delete"]), run=st.integers(-2, 6)
    )
    def ask(self, do: str, run: int) -> None:
        self.browser.wires.append(self.browser.ask(do, run=run, on="1"))

    @rule(name=st.sampled_from(list(PRESETS)))
    def preset(self, name: str) -> None:
        self.browser.wires.append(self.browser.ask("preset", name=name))

    @rule(card=st.integers(1, 6), do=st.sampled_from(["up", "down", "remove", "card"]))
    def card(self, card: int, do: str) -> None:
        self.browser.wires.append(self.browser.ask(do, card=card))

    @rule(
        card=st.integers(1, 6),
        field=st.sampled_from([("percent", "30"), ("percent", "0"), ("method", "magnitude"), ("granularity", "neuron"),
                               ("where", "module"), ("amount", "count"), ("scope", "global")]),
    )  # fmt: skip
    def field(self, card: int, field: tuple[str, str]) -> None:
        self.browser.wires.append(self.browser.ask("set", card=card, name=field[0], value=field[1]))

    @rule(at=st.integers(0, 12))
    def module(self, at: int) -> None:
        nodes = list(self.store.tree(self.visitor.visit.source).walk())
        self.browser.wires.append(self.browser.ask("module", module=nodes[at % len(nodes)].path))

    @rule(language=st.sampled_from(["en", "ko", "xx"]))
    def language(self, language: str) -> None:
        self.browser.wires.append(self.browser.ask("language", value=language))

    @precondition(lambda self: self.browser.wires)
    @rule(at=st.integers(0, 20), twice=st.booleans())
    def arrive(self, at: int, twice: bool) -> None:
        """Let any of the messages arrive, perhaps a second time later."""
        asked = self.browser.wires[at % len(self.browser.wires)]
        if not twice:
            self.browser.wires.remove(asked)
        self.served(asked)

    @precondition(lambda self: self.answers)
    @rule(at=st.integers(0, 20))
    def answer(self, at: int) -> None:
        self.browser.apply(self.answers.pop(at % len(self.answers)))

    @rule()
    def view(self) -> None:
        """Go to another view."""
        self.browser.moves += 1

    def long_one(self, do: str, source: int, at: int) -> dict[str, Any]:
        """Ask for what takes long."""
        sweep = self.visitor.visit.sweep
        names = ["gone"] if sweep is None else [row.name for row in sweep.found.rows]
        more = {"given": self.sources[source].given, "form": "masked", "text": "w1 w2", "name": names[at % len(names)]}
        more |= {"macs": ("0.5", "0.33", "0.7", "2")[at], "levels": ("0.5", "0.25 0.5", "0.5", "2")[at]}
        more |= {"granularity": ("neuron", "head", "element", "neuron")[at], "score.magnitude": True}
        return self.browser.ask(do, **more)

    @rule(
        do=st.sampled_from(["prune", "open", "measure", "build", "ask", "plan", "sweep", "swept"]),
        source=st.integers(0, 1),
        at=st.integers(0, 3),
        when=st.sampled_from(["now", "now", "twice", "later"]),
        meanwhile=st.integers(0, 3),
        cancel=st.booleans(),
        chance=st.integers(0, 9),
    )
    def work(self, do: str, source: int, at: int, when: str, meanwhile: int, cancel: bool, chance: int) -> None:
        """Work for long, while other messages arrive; it may be cancelled, come later than others, or again."""
        self.works.append(self.long_one(do, source, at))
        if when == "later":
            return
        asked = self.works[-1 - chance % len(self.works)]
        if when == "now":
            self.works.remove(asked)
        draw, left = random.Random(chance), [meanwhile]

        def progress(*_: Any, **__: Any) -> None:
            while left[0] and self.browser.wires:
                left[0] -= 1
                self.served(self.browser.wires.pop(draw.randrange(len(self.browser.wires))))
            before[0] = self.visitor.visit
            if cancel and chance > 6:
                self.visitor.cancel(asked["n"])

        before = [self.visitor.visit]
        begin = {"open": self.events.open, "plan": self.events.search, "sweep": self.events.search}
        event: Any = begin.get(asked["do"], self.events.work)
        try:
            answer = event(SimpleNamespace(_data=asked), REQUEST, progress=progress)
        except (bp.BertpruneError, Cancelled):
            assert self.visitor.visit == before[0]
            return
        finally:
            self.remember()
        self.answers.append(answer)
        if asked["do"] != "open" and find_run(self.visitor.visit, before[0].run) is not None:
            assert self.visitor.visit.run == before[0].run  # what is looked at stays

    @rule()
    def behind(self) -> None:
        """Measure the latest run in the background."""
        self.answers.append(self.events.measure(REQUEST))
        self.remember()

    @precondition(lambda self: self.browser.late)
    @rule()
    def late(self) -> None:
        names = [name for name in self.browser.late if name in CHECKED]
        self.answers.append(self.events.late(SimpleNamespace(_data={"parts": names}), REQUEST))
        self.remember()

    @precondition(lambda self: self.browser.again)
    @rule()
    def redraw(self) -> None:
        self.served(self.browser.ask("redraw"))

    @invariant()
    def what_is_shown_belongs_together(self) -> None:
        browser = getattr(self, "browser", None)
        if browser is None or browser.version is None or browser.again:
            return
        visit = self.history[browser.version]
        for part in PARTS:
            value = browser.shown.get(part.name)
            if part.name not in CHECKED or value is None or 'aria-busy="true"' in str(value):
                continue
            assert value in self.allowed(part, visit), part.name

    def allowed(self, part: Any, visit: Visit) -> list[Any]:
        """Return what a part may show at a version: itself, or what stands for it until it is drawn."""
        shown = [part.show(self.store, visit)]
        return shown + ([part.meanwhile(self.store, visit)] if part.meanwhile else [])

    @invariant()
    def the_sweep_is_of_the_open_checkpoint(self) -> None:
        if hasattr(self, "visitor") and (swept := self.visitor.visit.sweep) is not None:
            assert swept.source == self.visitor.visit.source
            assert swept.found.checkpoint == self.store.checkpoint(swept.source).name

    @invariant()
    def every_run_is_its_own(self) -> None:
        if not hasattr(self, "visitor"):
            return
        for run in self.visitor.visit.runs:
            assert run.name == run.key.source.shown
            assert all(built.zip.name.startswith(f"{run.name}-") for built in run.exports)
            assert run.quality is None or run.name in str(run.quality.after_name)
            if run.planned is not None:
                name = self.store.checkpoint(run.key.source).name
                assert run.key.recipe.steps == (PLANNED,)
                assert run.planned.macs in [forecast_of(name, macs) for macs in (0.5, 0.33, 0.7)]
            if run.masked is not None:
                total = self.store.run(run.key).report.total
                assert run.masked == (total.masked, total.size)


def test_what_is_shown_belongs_together(
    tiny_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "texts.csv"
    table.write_text("text\nw1 w2 w3\nw4 w5\n")
    monkeypatch.setattr(bp, "sweep", Sweeps())
    monkeypatch.setattr(bp, "plan", plan)
    case = type("Case", (Machine,), {"folders": [tiny_folder(), tiny_folder("DistilBertModel")], "table": table})
    examples = 12 if settings().derandomize else 500  # `make fuzz` goes on for 10,000 steps
    given = settings(
        max_examples=examples, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(case, settings=given)


def test_what_was_drawn_while_the_visit_changed_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    visitor = Visitors().begin("tab", Visit(module="one"))

    def show(store: Store, visit: Visit) -> str:
        visitor.put(replace(visitor.visit, module="other"))
        return f"a figure of {visit.module}"

    parts = (Part("figure", show, ("module",)), Part("same", lambda store, visit: "still right", ("source",)))
    monkeypatch.setattr("app.page.PARTS", parts)
    state, figure, same = drawn_late(Store(), visitor, ["figure", "same"])
    assert "figure" not in str(figure) and same == "still right"
    assert state["at"] == visitor.visit.version

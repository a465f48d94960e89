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
from app.opening import take_table
from app.page import PARTS, Part, drawn_late
from app.runs import Source
from app.store import Store
from app.tabs.model import opened
from app.visit import Visit
from app.visitors import Visitors
from tests.app.conftest import pruned

REQUEST = SimpleNamespace(session_hash="tab", headers={})
CHECKED = ("bar", "cards", "facts", "runs", "run", "changes", "details", "quality", "forms", "tree", "yaml")
"""Parts that hold figures and are quick to draw."""


class Browser:
    """A tab: it numbers what it asks for, applies answers as they come, and asks again where they do not follow."""

    def __init__(self) -> None:
        self.number = 0
        self.version: int | None = None
        self.shown: dict[str, Any] = {}
        self.late: list[str] = []
        self.again = False

    def ask(self, do: str, **more: Any) -> dict[str, Any]:
        self.number += 1
        return {"do": do, "n": self.number, **more}

    def apply(self, answer: list[Any]) -> None:
        """Do with an answer what `static/page.js` does."""
        state, *values = answer
        for part, value in zip(PARTS, values, strict=True):
            if not (isinstance(value, dict) and value.get("__type__") == "update"):
                self.shown[part.name] = value
        if "to" not in state:
            self.again |= self.version is not None and state.get("at", self.version) != self.version
            return
        follows = state["from"] is None or state["from"] == self.version or state["to"] == self.version
        if not follows or (state["from"] is not None and self.version is not None and state["to"] < self.version):
            self.again = True
            return
        self.version = state["to"]
        self.late = list(state["late"])
        self.again = False if state["from"] is None else self.again


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
        visit = opened(self.store, Visit(data=take_table(str(self.table))), self.sources[0])
        self.visitor = self.store.visitors.begin("tab", pruned(self.store, visit, preset(name)) if name else visit)
        self.wires: list[dict[str, Any]] = []
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
        self.wires.append(self.browser.ask(do, run=run, on="1"))

    @rule(name=st.sampled_from(list(PRESETS)))
    def preset(self, name: str) -> None:
        self.wires.append(self.browser.ask("preset", name=name))

    @rule(card=st.integers(1, 6), do=st.sampled_from(["up", "down", "remove", "card"]))
    def card(self, card: int, do: str) -> None:
        self.wires.append(self.browser.ask(do, card=card))

    @rule(
        card=st.integers(1, 6),
        field=st.sampled_from([("percent", "30"), ("percent", "0"), ("method", "magnitude"), ("granularity", "neuron"),
                               ("where", "module"), ("amount", "count"), ("scope", "global")]),
    )  # fmt: skip
    def field(self, card: int, field: tuple[str, str]) -> None:
        self.wires.append(self.browser.ask("set", card=card, name=field[0], value=field[1]))

    @rule(at=st.integers(0, 12))
    def module(self, at: int) -> None:
        nodes = list(self.store.tree(self.visitor.visit.source).walk())
        self.wires.append(self.browser.ask("module", module=nodes[at % len(nodes)].path))

    @rule(language=st.sampled_from(["en", "ko", "xx"]))
    def language(self, language: str) -> None:
        self.wires.append(self.browser.ask("language", value=language))

    @precondition(lambda self: self.wires)
    @rule(at=st.integers(0, 20), twice=st.booleans())
    def arrive(self, at: int, twice: bool) -> None:
        """Let any of the messages arrive, perhaps a second time later."""
        asked = self.wires[at % len(self.wires)]
        if not twice:
            self.wires.remove(asked)
        self.served(asked)

    @precondition(lambda self: self.answers)
    @rule(at=st.integers(0, 20))
    def answer(self, at: int) -> None:
        self.browser.apply(self.answers.pop(at % len(self.answers)))

    @rule(
        do=st.sampled_from(["prune", "open", "measure", "build", "ask"]),
        source=st.integers(0, 1),
        meanwhile=st.integers(0, 3),
        cancel=st.booleans(),
        chance=st.integers(0, 9),
    )
    def work(self, do: str, source: int, meanwhile: int, cancel: bool, chance: int) -> None:
        """Work for long, while other messages arrive, and it may be cancelled."""
        draw, left = random.Random(chance), [meanwhile]

        def progress(*_: Any, **__: Any) -> None:
            while left[0] and self.wires:
                left[0] -= 1
                self.served(self.wires.pop(draw.randrange(len(self.wires))))
            if cancel and chance > 6:
                self.visitor.cancel()

        more = {"given": self.sources[source].given, "form": "masked", "text": "w1 w2"}
        asked = SimpleNamespace(_data=self.browser.ask(do, **more))
        begin = self.events.open if do == "open" else self.events.work
        try:
            answer = begin(asked, REQUEST, progress=progress)  # type: ignore[operator]
        except (bp.BertpruneError, Cancelled):
            return
        finally:
            self.remember()
        self.answers.append(answer)

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
    def every_run_is_its_own(self) -> None:
        if not hasattr(self, "visitor"):
            return
        for run in self.visitor.visit.runs:
            assert run.name == run.key.source.shown
            assert all(built.zip.name.startswith(f"{run.name}-") for built in run.exports)
            assert run.quality is None or run.name in str(run.quality.after_name)
            if run.masked is not None:
                total = self.store.run(run.key).report.total
                assert run.masked == (total.masked, total.size)


def test_what_is_shown_belongs_together(tiny_folder: Callable[..., Path], tmp_path: Path) -> None:
    table = tmp_path / "texts.csv"
    table.write_text("text\nw1 w2 w3\nw4 w5\n")
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

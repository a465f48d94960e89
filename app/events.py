"""Every arrow of the page: what the browser can ask for, and that all answers draw what changed."""

import functools
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import replace
from itertools import count
from typing import Any

import gradio as gr
from markupsafe import escape

import bertprune as bp

from . import kept, making, runtime
from .errors import SessionOverError, naming_field, with_errors_shown, with_failure_kept
from .i18n import language_of, say
from .opening import take_table, take_texts
from .page import Page, drawn, drawn_late, nothing
from .store import Store
from .tabs import cost, export, model, recipe, result, runs, search
from .visit import Visit, let_run_wait, note_run
from .visitors import Visitor

BAR = gr.Progress()
"""Marks a function as reporting progress; Gradio gives each call its own."""
Asked = dict[str, Any]
_ACTS: dict[str, Callable[[Store, Visit, Asked], Visit]] = {
    "language": lambda store, visit, asked: replace(visit, language=language_of(str(asked.get("value")))),
    **model.ACTS, **recipe.ACTS, **runs.ACTS, **result.ACTS, **cost.ACTS,
}  # fmt: skip
_WORKS: dict[str, Callable[..., Any]] = {
    "prune": recipe.prune, "measure": cost.measure, "ask": cost.ask, "speed": cost.time_it, "build": export.build,
    "clock": export.clock, "swept": search.run_swept,
}  # fmt: skip
_SEARCHES: dict[str, Callable[..., Any]] = {"plan": search.plan, "sweep": search.sweep}
_GO = {"run": "result", "preset": "recipe", "add": "recipe", "again": "recipe"}
"""The view that shows what something did."""
_MAKES = ("plan", "prune", "swept")
"""What makes a run, which is shown only where the visitor has not gone to another view meanwhile."""
_ENDING = 5.0
"""Seconds that cancelled work has to end, and to say what it left behind."""


class Events:
    """What the browser can ask for; each names its visitor by the session."""

    def __init__(self, store: Store) -> None:
        """Work on what all visitors share."""
        self.store = store
        self._failures = count(1)

    def visitor(self, request: gr.Request) -> Visitor:
        """Return who asks. Raises SessionOverError."""
        return self.store.visitors.of(str(request.session_hash))

    def language(self, *values: Any, **more: Any) -> str:
        """Return the language of who asks."""
        request = next((one for one in (*values, *more.values()) if isinstance(one, gr.Request)), None)
        try:
            return self.visitor(request).visit.language if request is not None else "en"
        except SessionOverError:
            return language_of(request.headers.get("accept-language")) if request is not None else "en"

    def _changed(self, visitor: Visitor, change: Callable[[Visit], Visit], **more: Any) -> list[Any]:
        """Change the visit, and return what is drawn again; within a turn."""
        before = visitor.visit
        changed = visitor.put(change(before))
        if not changed and not any(more.values()):
            return nothing()
        return self._drawn(visitor, before, **more)

    def _drawn(self, visitor: Visitor, before: Visit | None, **more: Any) -> list[Any]:
        """Draw what differs, and have the browser ask for the measurement that is to be made; within a turn."""
        return drawn(self.store, visitor, before, measure=cost.unmeasured(visitor.visit) is not None, **more)

    def start(self, number: Any, sent: Any, request: gr.Request) -> list[Any]:
        """Go on with the visit of this tab, or begin one with what the browser kept, or with the first example."""
        saved = kept.read(sent)
        language = language_of(str(saved.get("language")))
        runtime.wait_until_warm()
        visit, lost = kept.begin(self.store, language, kept.read(saved.get("kept")))
        for key, name in lost:
            gr.Warning(say(language, key, name=escape(name)))
        visitor = self.store.visitors.begin(str(request.session_hash), visit)
        with visitor.turn(number):
            return self._drawn(visitor, None, begins=True)

    def act(self, event: gr.EventData, request: gr.Request) -> list[Any]:
        """Change the visit at once, in the order of the browser."""
        visitor, asked = self.visitor(request), dict(event._data)
        with visitor.turn(asked.get("n")) as fresh:
            do = str(asked.get("do"))
            if do == "redraw":
                return drawn(self.store, visitor, None)
            if not fresh or do not in _ACTS:
                return nothing()
            go = {"go": _GO[do], "moves": asked.get("moves")} if do in _GO else {}
            return self._changed(visitor, lambda visit: _ACTS[do](self.store, visit, asked), **go)

    def late(self, event: gr.EventData, request: gr.Request) -> list[Any]:
        """Draw what takes longer, where it is still what is shown."""
        visitor, names = self.visitor(request), event._data.get("parts")
        visit = visitor.visit
        answer = drawn_late(self.store, visitor, names if isinstance(names, list) else [])
        shown = visit.shown
        if shown.count is not None or not self.store.has("run", shown.key):
            return answer
        with visitor.turn():  # the weights were read, so that what is masked and zero is known
            before = visitor.visit
            if before.version != answer[0]["at"]:
                return answer
            visitor.put(note_run(before, shown.key, **making.counted(self.store, shown.key)))
            more = drawn(self.store, visitor, before)
        more[0]["at"] = visitor.visit.version
        return [more[0], *(one if _is_skip(other) else other for one, other in zip(answer[1:], more[1:], strict=True))]

    def open(
        self, event: gr.EventData, request: gr.Request, token: gr.OAuthToken | None = None, progress: Any = BAR
    ) -> list[Any]:
        """Open a checkpoint, or push an export: what waits for the network, and not for its turn."""
        asked = {**event._data, "token": None if token is None else token.token}
        do = export.push if asked.get("do") == "push" else model.open_checkpoint
        return self._long(request, asked, do, progress)

    def upload(self, number: Any, files: Any, request: gr.Request, progress: Any = BAR) -> list[Any]:
        """Open an upload."""
        given = files if isinstance(files, list) else [files] if files else []
        asked = {"n": number, "do": "open", "files": [str(file) for file in given]}
        return self._long(request, asked, model.open_checkpoint, progress)

    def work(self, event: gr.EventData, request: gr.Request, progress: Any = BAR) -> list[Any]:
        """Do what takes long; it lands where it belongs, whatever is open by then."""
        asked = dict(event._data)
        do = _WORKS.get(str(asked.get("do")))
        return nothing() if do is None else self._long(request, asked, do, progress, self.store.gate.work())

    def search(self, event: gr.EventData, request: gr.Request, progress: Any = BAR) -> list[Any]:
        """Do what takes so long that others' work goes first meanwhile; it passes the gate by itself."""
        asked = dict(event._data)
        do = _SEARCHES.get(str(asked.get("do")))
        return nothing() if do is None else self._long(request, asked, do, progress)

    def _long(self, request: gr.Request, asked: Asked, do: Any, progress: Any, turn: Any = None) -> list[Any]:
        visitor, name = self.visitor(request), str(asked.get("do"))
        with visitor.turn(asked.get("n")) as fresh:
            begun = visitor.visit
        if not fresh:
            return nothing()
        words, timed = say(begun.language, f"progress_{name}"), self.store.timed()

        def report(share: float, _: str) -> None:
            timed(share, "")
            progress(share, desc=words)

        with visitor.working(report, asked.get("n")) as watched, turn or nullcontext():
            change = do(self.store, visitor, asked, watched)
        with visitor.turn():
            if name not in _MAKES:
                return self._changed(visitor, change)
            made = change(visitor.visit)
            here = visitor.visit.source == begun.source  # otherwise it belongs to another checkpoint than the open one
            ready = {"ready": made.runs[-1].number, "moves": asked.get("moves")} if here else {}
            return self._changed(visitor, lambda visit: let_run_wait(visit, made), **ready)

    def measure(self, request: gr.Request) -> list[Any]:
        """Count and measure the latest run in the background."""
        visitor = self.visitor(request)
        change = cost.measure_first(self.store, visitor)
        if change is None:
            return nothing()
        with visitor.turn():
            before = visitor.visit
            visitor.put(change(before))
            # also where nothing changed, as somebody else measured this run: one that came meanwhile is next
            return self._drawn(visitor, before)

    def stop(self, event: gr.EventData, request: gr.Request) -> None:
        """Stop the work that the visitor waits for: all that was asked for before."""
        visitor, before = self.visitor(request), event._data.get("before")
        if visitor.cancel(before if type(before) is int else 0):
            nothing_done = visitor.wait_for_work(_ENDING)
            self.fail(request)
            if nothing_done:
                gr.Info(say(visitor.visit.language, "cancelled"))

    def failed(self, request: gr.Request, error: BaseException) -> list[Any]:
        """Keep what went wrong, and have the browser ask for it."""
        with suppress(SessionOverError):
            self.visitor(request).failure = error
        # numbered, for the browser does not notice an answer that equals the last one
        return [{"failed": next(self._failures)}, *nothing()[1:]]

    def fail(self, request: gr.Request) -> None:
        """Show what went wrong."""
        visitor = self.visitor(request)
        failure, visitor.failure = visitor.failure, None
        if failure is not None:
            raise failure

    def leave(self, request: gr.Request) -> None:
        """Stop all work of a visitor who left; the visit is kept, for a reloaded page goes on with it."""
        with suppress(SessionOverError):
            self.visitor(request).leave()

    def texts(self, number: Any, file: Any, request: gr.Request) -> list[Any]:
        """Keep an uploaded file of calibration texts."""
        return self._taken(request, number, file, take_texts, lambda visit, taken: recipe.with_texts(visit, taken))

    def data(self, number: Any, file: Any, request: gr.Request) -> list[Any]:
        """Keep an uploaded file to measure on."""
        return self._taken(request, number, file, take_table, lambda visit, taken: replace(visit, data=taken))

    def recipe(self, number: Any, file: Any, request: gr.Request) -> list[Any]:
        """Replace the steps by those of an uploaded recipe."""

        def read(path: str) -> bp.Recipe:
            with naming_field("yaml"):
                return self.store.admitted(bp.Recipe.load(path))

        return self._taken(request, number, file, read, functools.partial(making.with_recipe, self.store))

    def _taken(self, request: gr.Request, number: Any, file: Any, take: Any, change: Any) -> list[Any]:
        visitor = self.visitor(request)
        with visitor.turn(number):
            pass
        if not file:
            return nothing()
        taken = take(str(file))
        with visitor.turn():
            return self._changed(visitor, lambda visit: change(visit, taken))

    def file(self, event: gr.EventData, request: gr.Request) -> str:
        """Give the browser a file: an export, or the recipe."""
        visitor, asked = self.visitor(request), dict(event._data)
        with visitor.turn(asked.get("n")):
            visit = visitor.visit
        return str((export.file_of if asked.get("do") == "download" else recipe.file_of)(self.store, visit, asked))


def _is_skip(value: Any) -> bool:
    return isinstance(value, dict) and value.get("__type__") == "update" and len(value) == 1


_MANY: dict[str, Any] = {"trigger_mode": "multiple"}
QUICK = {"queue": False, "show_progress": "hidden", **_MANY}
OPENS = {"concurrency_limit": 4, "concurrency_id": "open", "show_progress": "full", **_MANY}
HEAVY = {"concurrency_limit": 1, "concurrency_id": "heavy", "show_progress": "full", **_MANY}
SEARCH = {**HEAVY, "concurrency_id": "search"}
BEHIND = {"concurrency_limit": 2, "concurrency_id": "behind", "show_progress": "hidden"}


def connect(page: Page, blocks: gr.Blocks, store: Store) -> None:
    events, courier = Events(store), page.courier
    everything = [courier, *page.parts_in_order]
    numbered = "(...v) => window.bertprune.numbered(v)"

    def on(listen: Any, do: Any, inputs: Any, outputs: Any, **more: Any) -> Any:
        more = {"show_progress_on": [page.number] if more.get("show_progress") == "hidden" else [page.progress], **more}
        guarded = (
            with_failure_kept(do, events.failed)
            if more.get("queue") is False
            else with_errors_shown(do, events.language)
        )
        return listen(guarded, inputs, outputs, api_visibility="private", **more)

    on(blocks.load, events.start, [page.number, page.kept], everything, js="window.bertprune.begin", **OPENS)
    on(courier.act, events.act, None, everything, **QUICK)
    on(courier.late, events.late, None, everything, **QUICK)
    long = [
        on(courier.open, events.open, None, everything, **OPENS),
        on(courier.work, events.work, None, everything, **HEAVY),
        on(courier.search, events.search, None, everything, **SEARCH),
    ]
    on(courier.measure, events.measure, None, everything, **BEHIND)
    on(courier.stop, events.stop, None, None, cancels=long, show_progress="hidden", concurrency_limit=None)
    on(courier.fail, events.fail, None, None, show_progress="hidden", concurrency_limit=None)
    saved = on(courier.file, events.file, None, page.file, show_progress="hidden")
    saved.success(None, page.file, None, js="(file) => window.bertprune.save(file)", api_visibility="private")
    uploads = (
        (page.checkpoint, events.upload),
        (page.texts, events.texts),
        (page.recipe, events.recipe),
        (page.data, events.data),
    )
    for field, do in uploads:
        on(field.upload, do, [page.number, field], everything, js=numbered, **OPENS)
    blocks.unload(events.leave)

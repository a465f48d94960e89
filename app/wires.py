"""How an event of the page is connected: its inputs, what it draws again, and that the session still exists."""

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import gradio as gr

from .acts import Acts
from .scenes import Scenes, View
from .session import Shelf, Source
from .trouble import SessionOverError, with_errors_shown

if TYPE_CHECKING:
    from .ui import Page

HEAVY: dict[str, Any] = {"concurrency_id": "heavy", "concurrency_limit": 1, "show_progress": "full"}
LIGHT: dict[str, Any] = {"concurrency_limit": None, "show_progress": "hidden"}
EACH: dict[str, Any] = {"trigger_mode": "multiple", "concurrency_id": "each", "concurrency_limit": 1}
"""Every click counts, also one that comes before the last is answered; they run one after the other."""
DIRECT: dict[str, Any] = {"queue": False}


class Wires:
    """Connects the events of one page."""

    def __init__(self, page: "Page", shelf: Shelf) -> None:
        """Know which components each part of the page consists of."""
        self.page, self.acts, self.scenes = page, Acts(shelf), Scenes(shelf)
        r, m, o = page.recipe, page.model, page.result
        amounts = [r.scope, r.amount, r.percent_box, r.count, r.reconstruct]
        self.outputs: dict[str, list[Any]] = {
            "glance": [page.top.status, page.tree, m.facts],
            "overview": [page.top.status, page.tree, m.facts],
            "module": [m.inspector, o.changes, r.chosen],
            "pictures": [o.mask, o.histogram, o.unpictured],
            "choices": [r.cells, r.types],
            "cells": [r.cells],
            "plan": [r.steps, r.yaml, r.undo, r.redo, r.clear, r.progress],
            "kept": [page.kept],
            "preview": [r.preview],
            "method": [r.about, r.method, r.granularity, *amounts],
            "amounts": amounts,
            "texts": [r.texts_box, r.texts_way, r.texts_own, r.texts_line],
            "run": [o.summary, o.grid, o.tensors, o.text, o.code, o.ours, o.more],
            "heatmap": [o.heatmap],
            "tensors": [o.tensors],
            "quality": [page.cost.view, page.cost.answers],
            "estimate": [page.take.estimate, page.take.precision],
            "parcel": [page.take.result, page.take.download, page.take.card_box, page.take.card],
        }
        self.everything = [
            page.top.language, page.source, page.plan, page.done, page.module, page.quality, page.parcel,
            page.take.form, page.take.precision, o.baked, o.shown, *r.form, *r.texts,
        ]  # fmt: skip

    def act(
        self, on: Callable[..., Any], do: Callable[..., Any], inputs: list[Any], outputs: Any, *, fresh: bool = False,
        settled: bool = False, **more: Any,
    ) -> Any:  # fmt: skip
        """On an event, call a function with the language and the inputs.

        A `fresh` one needs no session; a `settled` one waits until earlier changes of the steps have arrived.
        """
        given = [self.page.top.language, *([] if fresh else [self.page.source]), *inputs]
        if settled:
            # Gradio appends the outputs to the inputs
            wait = f"async (...v) => {{ await window.bertprune.settled(); return v.slice(0, {len(given)}); }}"
            more = {**more, "js": wait}
        return self._on(on, do if fresh else within(do), given, outputs, **more)

    def draw(self, on: Callable[..., Any], *parts: str, **more: Any) -> Any:
        """On an event, draw some parts of the page again, all at once."""

        def drawn(*values: Any) -> list[Any]:
            return self._drawn(parts, seen(*values))

        return self._on(on, drawn, self.everything, self._shown(parts), **more)

    def change(
        self, on: Callable[..., Any], do: Callable[..., View], *more_inputs: Any, with_event: bool = False, **more: Any
    ) -> Any:
        """On an event, change the steps and draw what depends on them, all at once: answers keep their order."""
        parts, known = ("plan", "preview", "texts", "overview", "module", "kept"), len(self.everything)

        def changed(language: str, event: gr.EventData, *values: Any) -> list[Any]:
            view = seen(language, *values[: known - 1])
            view = do(view, *values[known - 1 :], *([event._data] if with_event else []))
            return [view.plan, view.module, *self._drawn(parts, view)]

        given = [*self.everything, *more_inputs]
        outputs = [self.page.plan, self.page.module, *self._shown(parts)]
        begin = f"(...v) => {{ window.bertprune.changing(); return v.slice(0, {len(given)}); }}"
        done = self._on(on, changed, given, outputs, js=begin, **more)
        for end in (done.then, done.failure):  # Gradio's `then` is not called after a failure
            end(None, None, None, js="window.bertprune.changed", api_visibility="private")
        return done

    def select(self, on: Callable[..., Any], *parts: str) -> None:
        """On a click on a module, select it and draw some parts at once, past the queue; then the slower ones."""

        def chosen(language: str, event: gr.EventData, *values: Any) -> list[Any]:
            view = seen(language, *values).at(str(event._data["module"]))
            return [view.module, *self._drawn(parts, view)]

        shown = self._on(on, chosen, self.everything, [self.page.module, *self._shown(parts)], **DIRECT)
        self.draw(shown.success, "preview", "pictures")

    def _on(self, on: Callable[..., Any], do: Callable[..., Any], inputs: list[Any], outputs: Any, **more: Any) -> Any:
        more = {**LIGHT, **more}
        if more["show_progress"] == "hidden":
            # Gradio reads anew all that ever showed progress, at each of its steps; a state costs it nothing
            more["show_progress_on"] = [self.page.source]
        return on(with_errors_shown(do), inputs, outputs, api_visibility="private", **more)

    def _shown(self, parts: Iterable[str]) -> list[Any]:
        return [component for part in parts for component in self.outputs[part]]

    def _drawn(self, parts: Iterable[str], view: View) -> list[Any]:
        return [value for part in parts for value in getattr(self.scenes, part)(view)]


def check_session(source: Source) -> None:
    """Stop where the visitor's session is over: every state is empty then. Raises SessionOverError."""
    if not source:
        raise SessionOverError


def seen(*values: Any) -> View:
    """Read a visitor's state from what the page sends. Raises SessionOverError."""
    view = View.of(*values)
    check_session(view.source)
    return view


def within(do: Callable[..., Any]) -> Callable[..., Any]:
    """Run a function within a session only; its source is the second argument, which Gradio finds in the signature."""

    @functools.wraps(do)
    def done(language: str, source: Source, *values: Any) -> Any:
        check_session(source)
        return do(language, *values)

    first, *others = inspect.signature(do).parameters.values()
    second = inspect.Parameter("within", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    done.__signature__ = inspect.Signature([first, second, *others])  # type: ignore[attr-defined]
    return done

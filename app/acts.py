"""What a visitor can do: the callbacks of the page's events, with progress and cancelling."""

from dataclasses import replace
from typing import Any

import gradio as gr
from markupsafe import escape

import bertprune as bp

from . import warm
from .folders import new_folder
from .handlers import compare, cost, model, recipe, results, take, texts
from .i18n import language_of, say
from .plan import Plan
from .runs import Runs
from .scenes import View
from .session import Done, Progress, Shelf, Source
from .texts import TextFile
from .views.recipe import method_title

BAR = gr.Progress()
"""Marks a function as reporting progress; Gradio gives each call its own."""

Opened = tuple[Source, Done | None, str, Any, Any]
"""Source, run, module, quality, parcel: the states that opening a checkpoint resets."""


class Acts:
    """Everything that changes a visitor's state; the first argument is always the language."""

    def __init__(self, shelf: Shelf) -> None:
        """Work on what all visitors share."""
        self.shelf = shelf

    def start(self, language: str, kept: Any = None) -> list[Any]:
        """Wait for the libraries, open the last session's checkpoint or the first one, offer the methods."""
        language = language_of(language)
        warm.wait()
        known = bp.methods()
        first = "l1_unstructured" if "l1_unstructured" in known else next(iter(known))
        offer = gr.update(choices=[(method_title(language, one), name) for name, one in known.items()], value=first)
        kept = kept if isinstance(kept, dict) else {}
        plan, again = recipe.kept_plan(kept), self._again(language, kept)
        given = texts.given_again(self.shelf, kept.get("texts"))
        if lost := texts.is_lost(self.shelf, kept.get("texts")):
            gr.Warning(say(language, "texts_gone", name=escape(lost)))
        if again is None:
            first = model.offered()[0]
            kept, again = {**kept, "run": None}, (first, self._open(language, model.Wanted(first), Source()))
        kind, opened = again
        return [
            kept,
            language,
            offer,
            kind,
            *_ways(kind),
            plan,
            given.file,
            given.way,
            given.count,
            given.max_length,
            *opened,
        ]

    def _again(self, language: str, kept: dict[str, Any]) -> tuple[str, Opened] | None:
        """Open what was open before; None where nothing was, or it cannot be opened again."""
        given, revision = str(kept.get("given") or ""), str(kept.get("revision") or "")
        local, upload = bool(kept.get("shown")), self.shelf.ticketed(kept.get("upload"), Source)
        kind = given if given in model.EMBEDDED else "folder" if local else "hub"
        wanted = model.Wanted(kind, hub_id=given, revision=revision, path=given)
        try:
            if upload is not None:
                return "upload", self._opened(upload)
            if given:
                return kind, self._open(language, wanted, Source())
        except bp.BertpruneError:
            pass  # the Hub cannot be reached, or the checkpoint no longer exists
        if given or kept.get("upload"):
            gr.Warning(say(language, "again_gone", name=escape(str(kept.get("shown") or given))))
        return None

    def resume(self, language: str, kept: Any, source: Source) -> Done:
        """Restore the run of the last session; the same checkpoint, recipe and seed give the same run."""
        try:
            calibrated = texts.texts_again(self.shelf, kept["run"].get("texts"))
            done = Done(source, bp.Recipe.from_yaml(kept["run"]["recipe"]), int(kept["run"]["seed"]), calibrated)
            if not done.recipe.steps:
                raise ValueError("a run has steps")
            self.shelf.run(done)
        except (bp.BertpruneError, TypeError, KeyError, ValueError, AttributeError):
            raise gr.Error("nothing to restore", visible=False, print_exception=False) from None
        return done

    def choose_kind(self, language: str, kind: str, *now: Any) -> list[Any]:
        """Open an embedded checkpoint at once; for other sources show their fields."""
        fields = _ways(kind)
        if kind in ("hub", "upload", "folder"):
            return [*fields, *now]
        return [*fields, *self._open(language, model.Wanted(kind), now[0])]

    def open_hub(self, language: str, hub_id: str, revision: str, old: Source) -> Opened:
        """Open a model from the Hub."""
        return self._open(language, model.Wanted("hub", hub_id=hub_id or "", revision=revision or ""), old)

    def open_upload(self, language: str, files: list[str] | None, old: Source) -> Opened:
        """Open an upload."""
        return self._open(language, model.Wanted("upload", files=tuple(files or ())), old)

    def open_folder(self, language: str, path: str, old: Source) -> Opened:
        """Open a folder of this machine; refused where the page is hosted."""
        return self._open(language, model.Wanted("folder", path=path or ""), old)

    def _open(self, language: str, wanted: model.Wanted, old: Source) -> Opened:
        return self._opened(model.open_source(self.shelf, wanted, old))

    def _opened(self, source: Source) -> Opened:
        self.shelf.checkpoint(source)
        return source, None, model.choices_of(self.shelf.tree(source)).first, None, None

    def add(self, view: View) -> View:
        """Append the step in the fields."""
        longer = recipe.add_step(self.shelf, view.source, view.plan, view.form)
        return replace(view, plan=longer)

    def change(self, view: View, asked: dict[str, Any]) -> View:
        """Move or remove a step by its button in the list."""
        return replace(view, plan=recipe.change_steps(view.plan, str(asked["do"]), int(asked["at"])))

    def undo(self, view: View) -> View:
        """Undo the last change."""
        return replace(view, plan=view.plan.undo())

    def redo(self, view: View) -> View:
        """Redo it."""
        return replace(view, plan=view.plan.redo())

    def clear(self, view: View) -> View:
        """Remove all steps."""
        return replace(view, plan=view.plan.clear())

    def preset(self, view: View, name: str | None) -> View:
        """Load a recipe of the tutorial and select the first module that it prunes."""
        if not name:
            return view
        chosen = recipe.take_preset(view.plan, name)
        try:
            first = results.first_target(self.shelf, view.source, chosen) or view.module
        except bp.BertpruneError:  # the list of steps says why it does not fit
            first = view.module
        return replace(view, plan=chosen).at(first)

    def use_yaml(self, view: View, text: str | None) -> View:
        """Replace the steps by those of a YAML text."""
        return replace(view, plan=recipe.read_yaml(self.shelf, view.plan, text))

    def open_yaml(self, view: View, file: str | None) -> View:
        """Replace the steps by those of a file."""
        return replace(view, plan=recipe.open_yaml(self.shelf, view.plan, file)) if file else view

    def save_yaml(self, language: str, plan: Plan) -> str:
        """Write the recipe to a file for the browser."""
        path = new_folder() / "recipe.yaml"
        path.write_text(plan.recipe.to_yaml(), encoding="utf-8")
        return str(path)

    def take_texts(self, language: str, file: str | None) -> TextFile | None:
        """Keep an uploaded file of calibration texts."""
        return texts.take(file) if file else None

    def prune(self, language: str, request: gr.Request, progress: Any = BAR, *values: Any) -> list[Any]:
        """Prune by the steps; where there is none yet, the one in the fields becomes the first.

        `values` are source, plan, seed, module, the fields of a step, and those of the calibration texts.
        """
        source, plan, seed, module, *fields = values
        given = texts.Given(*fields[recipe.FIELDS :])
        if not plan.steps:
            form = recipe.Form(*fields[: recipe.FIELDS], module=module)
            plan = recipe.add_step(self.shelf, source, plan, form)
        report = self._reporter(language, "progress_prune", request, progress)
        return [plan, results.prune(self.shelf, source, plan, seed, report, given), None, None]

    def measure(
        self,
        language: str,
        source: Source,
        done: Done | None,
        found: cost.Found | None,
        data: str,
        file: str | None,
        tokenizer: str,
        request: gr.Request,
        progress: Any = BAR,
    ) -> cost.Found:
        """Measure quality before and after pruning."""
        report = self._reporter(language, "progress_measure", request, progress)
        with cost.still_there(found):
            shown = self.shelf.shown(source, done)
            quality = cost.measure(self.shelf, shown, data, file, tokenizer or "", report)
        return replace(found or cost.Found(), quality=quality)

    def ask(
        self, language: str, source: Source, done: Done | None, found: cost.Found | None, *given: str
    ) -> cost.Found:
        """Try a sentence on both models; `given` are the sentence, a second one, and another tokenizer."""
        answers = cost.ask(self.shelf, self.shelf.shown(source, done), *given)
        return replace(found or cost.Found(), answers=answers)

    def build(
        self,
        language: str,
        source: Source,
        done: Done | None,
        form: str,
        precision: str,
        old: Any,
        request: gr.Request,
        progress: Any = BAR,
    ) -> Any:
        """Write the checkpoint, check it, zip it; the previous zip is kept until then."""
        report = self._reporter(language, "progress_build", request, progress)
        built = take.build(language, self.shelf, self.shelf.shown(source, done), form, precision, report)
        take.throw_away(old)
        return built

    def remember(self, language: str, runs: Runs, done: Done | None) -> Runs:
        """Add the run that was just made to the list."""
        return compare.remember(self.shelf, runs, done)

    def offer_runs(self, language: str, runs: Runs) -> list[Any]:
        """Offer the runs of the session, the last two selected."""
        offer = compare.choices(language, runs)
        last = [None, *(number for _, number in offer)][-2:]
        return [gr.update(choices=offer, value=number) for number in last]

    def rename_runs(self, language: str, runs: Runs) -> list[Any]:
        """Name the runs in another language; the comparison is cleared."""
        offer = gr.update(choices=compare.choices(language, runs))
        return [offer, offer, ""]

    def compare(
        self,
        language: str,
        runs: Runs,
        first: int | None,
        second: int | None,
        request: gr.Request,
        progress: Any = BAR,
    ) -> Any:
        """Compare two runs."""
        report = self._reporter(language, "progress_compare", request, progress)
        return compare.compare(language, self.shelf, runs, first, second, report)

    def cancel(self, language: str, request: gr.Request) -> None:
        """Stop the visitor's running work at its next report."""
        self.shelf.cancel(_visitor(request))
        gr.Info(say(language, "cancelled"))

    def leave(self, request: gr.Request) -> None:
        """Stop the running work of a visitor who left; what waits is dropped with the connection."""
        self.shelf.cancel(_visitor(request))

    def _reporter(self, language: str, key: str, request: gr.Request, progress: Any) -> Progress:
        words = say(language, key)
        return self.shelf.watched(_visitor(request), lambda share, _: progress(share, desc=words))


def _ways(kind: str) -> list[Any]:
    """Show the fields of one kind of source."""
    return [gr.update(visible=kind == way) for way in ("hub", "upload", "folder")]


def _visitor(request: gr.Request) -> str:
    return str(request.session_hash)

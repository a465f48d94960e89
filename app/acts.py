"""What a visitor can do: handlers with the shared shelf in hand, progress and cancelling tied in."""

from pathlib import Path
from typing import Any

import gradio as gr

import bertprune as bp

from . import warm
from .handlers import cost, model, recipe, results, take
from .i18n import language_of, say
from .plan import Plan
from .session import Done, Progress, Shelf, Source, new_folder
from .trouble import PageError
from .views.recipe import method_title

BAR = gr.Progress()
"""Tells Gradio that a function reports progress; each call gets one of its own."""

Opened = tuple[Source, Done | None, str, Any, Any]
"""Source, run, module, quality, parcel: what a newly opened checkpoint sets anew."""


class Acts:
    """Everything that changes a visitor's state; the first argument is always the language."""

    def __init__(self, shelf: Shelf) -> None:
        """Act on the shared shelf."""
        self.shelf = shelf

    def start(self, language: str, kept: Any = None) -> list[Any]:
        """Wait for the libraries, open the last visit's checkpoint or the first one, offer the methods."""
        language = language_of(language)
        warm.wait()
        known = bp.methods()
        first = "l1_unstructured" if "l1_unstructured" in known else next(iter(known))
        offer = gr.update(choices=[(method_title(language, one), name) for name, one in known.items()], value=first)
        kind, opened = self._again(language, kept if isinstance(kept, dict) else {})
        return [language, offer, kind, *_ways(kind), recipe.kept_plan(kept), *opened]

    def _again(self, language: str, kept: dict[str, Any]) -> tuple[str, Opened]:
        """Open what was open before; where that cannot be, what everybody begins with."""
        given, revision = str(kept.get("given") or ""), str(kept.get("revision") or "")
        local = bool(kept.get("shown"))
        kind = given if given in model.EMBEDDED else "folder" if local else "hub"
        wanted = model.Wanted(kind, hub_id=given, revision=revision, path=given)
        try:
            if given:
                return kind, self._open(language, wanted, Source())
        except bp.BertpruneError:
            pass  # it is gone, or its hub is out of reach
        return model.offered()[0], self._open(language, model.Wanted(model.offered()[0]), Source())

    def choose_kind(self, language: str, kind: str, *now: Any) -> list[Any]:
        """Open an embedded checkpoint at once; for the other ways show their fields."""
        fields = _ways(kind)
        if kind in ("hub", "upload", "folder"):
            return [*fields, *now]
        return [*fields, *self._open(language, model.Wanted(kind), now[0])]

    def open_hub(self, language: str, hub_id: str, revision: str, old: Source) -> Opened:
        """Open a model of the Hub."""
        return self._open(language, model.Wanted("hub", hub_id=hub_id or "", revision=revision or ""), old)

    def open_upload(self, language: str, files: list[str] | None, old: Source) -> Opened:
        """Open what was uploaded."""
        return self._open(language, model.Wanted("upload", files=tuple(files or ())), old)

    def open_folder(self, language: str, path: str, old: Source) -> Opened:
        """Open a folder of this machine; refused where the page is hosted."""
        return self._open(language, model.Wanted("folder", path=path or ""), old)

    def _open(self, language: str, wanted: model.Wanted, old: Source) -> Opened:
        source = model.open_source(language, self.shelf, wanted, old)
        return source, None, model.choices_of(self.shelf.tree(source)).first, None, None

    def add(self, language: str, source: Source, plan: Plan, module: str, *fields: Any) -> Plan:
        """Put the step in the fields at the end."""
        return recipe.add_step(language, self.shelf, source, plan, recipe.Form(*fields, module=module))

    def change(self, language: str, plan: Plan, event: gr.EventData) -> Plan:
        """Do what a button within the list of steps says."""
        return recipe.change_steps(plan, str(event._data["do"]), int(event._data["at"]))

    def undo(self, language: str, plan: Plan) -> Plan:
        """Take the last change back."""
        return plan.undo()

    def redo(self, language: str, plan: Plan) -> Plan:
        """Do it again after all."""
        return plan.redo()

    def clear(self, language: str, plan: Plan) -> Plan:
        """Take all steps out."""
        return plan.clear()

    def preset(self, language: str, source: Source, plan: Plan, module: str, name: str | None) -> list[Any]:
        """Load a recipe of the tutorial and look at the first module that it meets."""
        if not name:
            return [plan, module]
        chosen = recipe.take_preset(plan, name)
        try:
            return [chosen, results.first_target(self.shelf, source, chosen) or module]
        except bp.BertpruneError:  # the list of steps says why it does not fit
            return [chosen, module]

    def use_yaml(self, language: str, plan: Plan, text: str | None) -> Plan:
        """Replace the steps by those of the text."""
        return recipe.read_yaml(language, self.shelf, plan, text)

    def open_yaml(self, language: str, plan: Plan, file: str | None) -> Plan:
        """Replace the steps by those of a file."""
        if not file:
            return plan
        return plan.to(bp.Recipe.load(file))

    def save_yaml(self, language: str, plan: Plan) -> str:
        """Write the recipe to a file for the browser."""
        path = new_folder() / "recipe.yaml"
        path.write_text(plan.recipe.to_yaml(), encoding="utf-8")
        return str(path)

    def prune(self, language: str, request: gr.Request, progress: Any = BAR, *values: Any) -> list[Any]:
        """Carry the steps out; where there is none yet, the one in the fields becomes the first.

        `values` are source, plan, seed, module, and the fields of a step.
        """
        source, plan, seed, module, *fields = values
        if not plan.steps:
            plan = self.add(language, source, plan, module, *fields)
        tell = self._tell(language, "progress_prune", request, progress)
        return [plan, results.prune(language, self.shelf, source, plan, seed, tell), None, None]

    def measure(
        self,
        language: str,
        done: Done | None,
        data: str,
        file: str | None,
        tokenizer: str,
        request: gr.Request,
        progress: Any = BAR,
    ) -> Any:
        """Measure quality before and after."""
        if self.shelf.settings.hosted and (
            Path(tokenizer.strip() or "?").exists() or tokenizer.strip().startswith((".", "/", "~"))
        ):
            raise PageError(say(language, "open_bad_id", given=tokenizer[:80]))
        tell = self._tell(language, "progress_measure", request, progress)
        return cost.measure(language, self.shelf, done, data, file, tokenizer or "", tell)

    def build(
        self, language: str, done: Done | None, form: str, old: Any, request: gr.Request, progress: Any = BAR
    ) -> Any:
        """Write the checkpoint, have it checked, zip it."""
        take.throw_away(old)
        return take.build(language, self.shelf, done, form, self._tell(language, "progress_build", request, progress))

    def cancel(self, language: str, request: gr.Request) -> None:
        """Stop the visitor's running work at its next report."""
        self.shelf.cancel(_visitor(request))

    def _tell(self, language: str, key: str, request: gr.Request, progress: Any) -> Progress:
        words = say(language, key)
        return self.shelf.watched(_visitor(request), lambda share, _: progress(share, desc=words))


def _ways(kind: str) -> list[Any]:
    """Show the fields that belong to a way of opening."""
    return [gr.update(visible=kind == way) for way in ("hub", "upload", "folder")]


def _visitor(request: gr.Request) -> str:
    return str(request.session_hash)

"""What each part of the page shows for a visitor's state: values of handlers as updates of components."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import gradio as gr
from markupsafe import Markup

import bertprune as bp

from . import offers
from .cells import cells_of, chosen, default_cells, grid_value
from .handlers import cost, model, recipe, results, take, texts
from .i18n import LANGUAGES, say
from .panels.take import precisions
from .plan import Plan
from .session import Done, Shelf, Source
from .tree import tree_value
from .views.html import note, tag
from .views.model import facts_card, status, waiting
from .views.recipe import granularity_name, method_card, method_title


@dataclass(frozen=True)
class View:
    """A visitor's state, as the events send it."""

    language: str
    source: Source
    plan: Plan
    done: Done | None
    module: str
    quality: cost.Found | None
    parcel: take.Parcel | None
    take_form: str
    precision: str
    baked: bool
    shown: str
    """Tensors to show: `changed` or `all`."""
    form: recipe.Form
    given: texts.Given
    """The calibration texts."""

    @classmethod
    def of(
        cls,
        language: str,
        source: Source,
        plan: Plan,
        done: Any,
        module: str,
        quality: Any,
        parcel: Any,
        take_form: str,
        precision: str,
        baked: bool,
        shown: str,
        *fields: Any,
    ) -> View:
        """Read the values in the order in which the page sends them."""
        language = language if language in LANGUAGES else "en"
        form, given = recipe.Form(*fields[: recipe.FIELDS], module=module), texts.Given(*fields[recipe.FIELDS :])
        return cls(
            language, source, plan, done, module, quality, parcel, take_form, precision, baked, shown, form, given
        )

    def at(self, module: str) -> View:
        """Select another module."""
        return replace(self, module=module, form=replace(self.form, module=module))


class Scenes:
    """The parts of the page; each takes a `View` and returns one value for each of its components."""

    def __init__(self, shelf: Shelf) -> None:
        """Draw from what all visitors share."""
        self.shelf = shelf

    def glance(self, view: View) -> list[Any]:
        """Draw the status line, the tree, the facts, by the checkpoint's headers alone."""
        return self._overview(view, None, None)

    def overview(self, view: View) -> list[Any]:
        """Draw the same with what is masked and zero: by the run, or as the checkpoint came."""
        if not view.source:
            return self.glance(view)
        shown = self._shown(view)
        counted = self.shelf.counted(view.source) if shown is None else self.shelf.run(shown).report
        return self._overview(view, counted, None if shown is None else counted)

    def _overview(self, view: View, counted: Any, in_tree: Any) -> list[Any]:
        if not view.source:
            return [waiting(view.language, "status_nothing"), None, Markup("")]
        checkpoint, name = self.shelf.checkpoint(view.source), model.name_of(self.shelf, view.source)
        called = f"{view.source.given}@{view.source.revision}"
        quality = cost.headline(view.language, view.quality)
        return [
            status(view.language, name, checkpoint, counted, quality, self._older(view)),
            tree_value(view.language, called, self.shelf.tree(view.source), view.module, in_tree),
            facts_card(view.language, name, checkpoint),
        ]

    def _shown(self, view: View) -> Done | None:
        return self.shelf.shown(view.source, view.done)

    def _older(self, view: View) -> str | None:
        """Say that the steps, or the texts that they read, have changed since the run was made; None otherwise."""
        done, now = view.done, (view.plan.recipe, view.given.chosen(view.source, view.plan.recipe))
        if done is None or (done.recipe, done.texts) == now:
            return None
        return say(view.language, "prune_older" if view.plan.steps else "prune_cleared")

    def module(self, view: View) -> list[Any]:
        """Draw the selected module: unpruned, before and after, and by name."""
        name = view.module or say(view.language, "inspect_root")
        return [
            results.show_module(view.language, self.shelf, view.source, view.module),
            results.show_changes(
                view.language, self.shelf, self._shown(view), view.module, view.baked, view.shown == "all"
            ),
            note(say(view.language, "where_module_is", module=name)),
        ]

    def pictures(self, view: View) -> list[Any]:
        """Draw the mask and the weights of the selected module."""
        drawn = results.pictures(view.language, self.shelf, self._shown(view), view.module)
        return [*drawn, gr.update(visible=not drawn[0])]

    def choices(self, view: View) -> list[Any]:
        """Offer the model's roles, layers and types; select the tutorial's query, key and value."""
        if not view.source:
            return [gr.skip(), gr.skip()]
        root = self.shelf.tree(view.source)
        there, types = cells_of(root), model.choices_of(root).types
        return [
            grid_value(view.language, there, default_cells(there)),
            gr.update(choices=[(f"{kind} ({count})", kind) for kind, count in types], value=[]),
        ]

    def cells(self, view: View) -> list[Any]:
        """Write the grid in another language; the selection stays."""
        if not view.source:
            return [gr.skip()]
        return [grid_value(view.language, cells_of(self.shelf.tree(view.source)), chosen(view.form.cells))]

    def plan(self, view: View) -> list[Any]:
        """Draw the list of steps, its YAML, and enable the buttons that have an effect."""
        plan = view.plan
        return [
            recipe.show_steps(view.language, self.shelf, view.source, plan),
            plan.recipe.to_yaml() if plan.steps else "",
            gr.update(interactive=bool(plan.past)),
            gr.update(interactive=bool(plan.future)),
            gr.update(interactive=bool(plan.steps)),
            self._prune_status(view),
        ]

    def kept(self, view: View) -> list[Any]:
        """Return what the browser keeps: the recipe, the run, and how to open the checkpoint again."""
        source, done = view.source, view.done
        again = {} if source.folder else {"given": source.given, "revision": source.revision}
        run = None
        if done is not None:
            calibrated = texts.to_keep(self.shelf, done.texts)
            run = {"recipe": done.recipe.to_yaml(), "seed": done.seed, "texts": calibrated}
        kept = {"shown": source.shown, "upload": self.shelf.ticket(source), "recipe": view.plan.recipe.to_yaml()}
        return [{**again, **kept, "texts": texts.to_keep(self.shelf, view.given), "run": run}]

    def preview(self, view: View) -> list[Any]:
        """Draw the preview of the step in the fields."""
        return [recipe.look_ahead(view.language, self.shelf, view.source, view.plan, view.form)]

    def texts(self, view: View) -> list[Any]:
        """Show the fields of the calibration texts where a step of the recipe, or that in the fields, needs them."""
        steps = [(step.method, step.reconstruct) for step in view.plan.steps]
        needed = any(offers.reads_texts(*one) for one in (*steps, (view.form.method, view.form.reconstruct)))
        return [
            gr.update(visible=needed),
            gr.update(visible=texts.brings_texts(view.source)),
            gr.update(visible=not view.given.are_own(view.source)),
            texts.show(view.language, self.shelf, view.source, view.given),
        ]

    def method(self, view: View) -> list[Any]:
        """Describe the method and offer what it can do."""
        method = bp.methods().get(view.form.method or "")
        if method is None:
            return [Markup(""), *[gr.skip()] * 7]
        named = [(method_title(view.language, one), name) for name, one in bp.methods().items()]
        offered = offers.granularities(method)
        together = gr.update(
            choices=[(granularity_name(view.language, one), one) for one in offered],
            value=offers.granularity_of(method, view.form.granularity),
            visible=len(offered) > 1,
        )
        return [method_card(view.language, method), gr.update(choices=named), together, *self.amounts(view)]

    def amounts(self, view: View) -> list[Any]:
        """Offer the scopes, amounts and the reconstruction that the method has with what is pruned together."""
        method = bp.methods().get(view.form.method or "")
        if method is None:
            return [gr.skip()] * 5
        together = offers.granularity_of(method, view.form.granularity)
        kind = offers.kind_of(together)
        scopes = method.scopes_by(kind)
        amount = None if kind == "pattern" else view.form.amount  # N:M is its own amount
        adjusts = offers.can_reconstruct(method, together)
        return [
            gr.update(
                choices=[(say(view.language, f"scope_{scope}"), scope) for scope in scopes],
                value=view.form.scope if view.form.scope in scopes else scopes[0],
            ),
            gr.update(visible=amount is not None),
            *(gr.update(visible=amount == way) for way in ("fraction", "count")),
            gr.update(visible=True) if adjusts else gr.update(visible=False, value=False),
        ]

    def run(self, view: View) -> list[Any]:
        """Draw the results of the run."""
        shown = self._shown(view)
        return [
            results.show_summary(view.language, self.shelf, shown),
            results.show_grid(view.language, self.shelf, shown),
            *self.tensors(view),
            results.report_text(view.language, self.shelf, shown),
            *results.code(self.shelf, shown),
            gr.update(visible=shown is not None),
        ]

    def heatmap(self, view: View) -> list[Any]:
        """Draw the sparsity of the run by layer and role."""
        return [results.heatmap(view.language, self.shelf, self._shown(view))]

    def tensors(self, view: View) -> list[Any]:
        """List the tensors of the run."""
        return [results.show_tensors(view.language, self.shelf, self._shown(view), view.shown == "all")]

    def _prune_status(self, view: View) -> Markup:
        """Say below the button whether the results belong to the steps as they are."""
        if view.done is None:
            return Markup("")
        if older := self._older(view):
            return note(older)
        total = self.shelf.run(view.done).report.total
        return tag(
            "p",
            "✓ ",
            say(view.language, "prune_done", masked=f"{total.masked:,}"),
            cls="bp-note bp-good",
            role="status",
        )

    def quality(self, view: View) -> list[Any]:
        """Draw the measured quality, and the predictions for a sentence."""
        return [
            cost.show_quality(view.language, view.quality, self._shown(view)),
            cost.show_answers(view.language, view.quality),
        ]

    def estimate(self, view: View) -> list[Any]:
        """Draw the estimated size of an export, and the numbers in which its form can be written."""
        offer = precisions(view.take_form, partial(say, view.language))
        value = view.precision if view.precision in dict(offer).values() else ""
        return [
            take.show_estimate(view.language, self.shelf, self._shown(view), view.take_form),
            gr.update(choices=offer, value=value),
        ]

    def parcel(self, view: View) -> list[Any]:
        """Draw the export, with its download and card."""
        parcel = view.parcel if view.parcel is not None and view.parcel.zip.is_file() else None
        there = parcel is not None
        return [
            take.show_parcel(view.language, parcel),
            gr.update(visible=there, value=str(parcel.zip) if parcel else None),
            gr.update(visible=there),
            _body(parcel.card) if parcel else "",
        ]


def _body(card: str) -> str:
    """Remove the front matter, which is for the Hub."""
    if card.startswith("---\n") and "\n---\n" in card[4:]:
        return card[4:].partition("\n---\n")[2]
    return card

"""The page: lays out its panels and connects their events."""

from dataclasses import dataclass

import gradio as gr

from .api import publish
from .handlers import take
from .i18n import label
from .panels.compare import ComparePanel, compare_panel
from .panels.cost import CostPanel, cost_panel
from .panels.header import Header, header
from .panels.model import ModelPanel, model_panel
from .panels.recipe import RecipePanel, recipe_panel
from .panels.result import ResultPanel, result_panel
from .panels.take import TakePanel, take_panel
from .plan import Plan
from .runs import Runs
from .session import Shelf, Source
from .settings import Settings
from .tree import module_tree
from .wiring import wire

_KEPT = (600, 2700)
"""Seconds: how often Gradio checks for old uploads, and how old they may become."""


@dataclass(frozen=True)
class Page:
    """The components and states that the events read and change."""

    top: Header
    tree: gr.HTML
    panels: dict[str, gr.Tab]
    model: ModelPanel
    recipe: RecipePanel
    result: ResultPanel
    compare: ComparePanel
    cost: CostPanel
    take: TakePanel
    source: gr.State
    plan: gr.State
    done: gr.State
    runs: gr.State
    module: gr.State
    quality: gr.State
    parcel: gr.State
    kept: gr.BrowserState


def build(settings: Settings | None = None, shelf: Shelf | None = None) -> gr.Blocks:
    """Make the page; `settings` come from the environment by default."""
    settings = settings or Settings.from_environment()
    shelf = shelf or Shelf(settings)
    with gr.Blocks(title="bertprune", analytics_enabled=False, fill_width=True, delete_cache=_KEPT) as page:
        publish(shelf)  # first, so that the API gets its names
        wire(lay_out(settings, shelf), page, shelf)
    return page


def lay_out(settings: Settings, shelf: Shelf) -> Page:
    """Put the panels on the page."""
    states = {
        "source": gr.State(Source()),
        "plan": gr.State(Plan()),
        "done": gr.State(None),
        "runs": gr.State(Runs()),
        "module": gr.State(""),
        "quality": gr.State(None),
        # kept in the browser, so that a reloaded page has the same recipe
        "kept": gr.BrowserState({}, storage_key="bertprune-visit", secret="bertprune"),
        "parcel": gr.State(None, delete_callback=take.throw_away),
    }
    panels: dict[str, gr.Tab] = {}
    top = header()
    with gr.Row(elem_classes="bp-main"):
        with gr.Column(scale=2, min_width=300, elem_classes="bp-side"):
            tree = module_tree()
        with gr.Column(scale=5, min_width=300, elem_classes="bp-work"), gr.Tabs(elem_id="tabs"):
            with gr.Tab(label("tab_model"), id="model") as panels["model"]:
                model_part = model_panel(settings)
            with gr.Tab(label("tab_recipe"), id="recipe") as panels["recipe"]:
                recipe_part = recipe_panel()
            with gr.Tab(label("tab_result"), id="result") as panels["result"]:
                result_part = result_panel()
                compare_part = compare_panel()
            with gr.Tab(label("tab_cost"), id="cost") as panels["cost"]:
                cost_part = cost_panel()
            with gr.Tab(label("tab_take"), id="take") as panels["take"]:
                take_part = take_panel()
    return Page(top, tree, panels, model_part, recipe_part, result_part, compare_part, cost_part, take_part, **states)

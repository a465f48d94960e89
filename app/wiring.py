"""The events of the page: which function each calls, and which parts are drawn again."""

from typing import TYPE_CHECKING, Any

import gradio as gr

from .fields import draw_fields
from .session import Shelf
from .wires import DIRECT, EACH, HEAVY, LIGHT, Wires

if TYPE_CHECKING:
    from .ui import Page

EVERYTHING = (
    "overview", "module", "heatmap", "pictures", "plan", "preview", "method", "texts", "run", "quality", "estimate",
    "parcel",
)  # fmt: skip


def wire(page: "Page", blocks: gr.Blocks, shelf: Shelf) -> None:
    """Connect every event."""
    wires = Wires(page, shelf)
    resumed = wire_start(wires, blocks)
    wire_model(wires)
    wire_recipe(wires)
    pruned = wire_steps(wires)
    wire_compare(wires, pruned, resumed)
    wire_results(wires, pruned)


def wire_start(wires: Wires, blocks: gr.Blocks) -> Any:
    """Open the page in the visitor's language and restore the last session; return the event that restores the run."""
    p, acts, m = wires.page, wires.acts, wires.page.model
    opened = [p.source, p.done, p.module, p.quality, p.parcel]
    loaded = wires.act(
        blocks.load,
        acts.start,
        [p.kept],
        [p.kept, p.top.language, p.recipe.method, m.kind, m.hub, m.upload, m.local, p.plan, *p.recipe.texts, *opened],
        js="window.bertprune.begin",
        fresh=True,
    )
    drawn = wires.draw(wires.draw(loaded.success, "glance", "choices").success, *EVERYTHING)
    resumed = wires.act(drawn.success, acts.resume, [p.kept, p.source], p.done)
    wires.draw(resumed.success, "overview", "module", "heatmap", "pictures", "plan", "run", "quality", "estimate")
    p.kept.change(None, p.kept, None, js="window.bertprune.keep", api_visibility="private")
    for name, panel in p.panels.items():
        panel.select(None, None, None, js=f"() => window.bertprune.turn('{name}')", api_visibility="private")
    blocks.unload(acts.leave)
    switched = p.top.language.input(
        None, p.top.language, p.top.language, js="window.bertprune.speak", api_visibility="private"
    )
    wires.draw(switched.then, "cells", *EVERYTHING)
    return resumed


def wire_model(wires: Wires) -> None:
    """Open checkpoints, select modules."""
    p, acts, m = wires.page, wires.acts, wires.page.model
    opened = [p.source, p.done, p.module, p.quality, p.parcel]
    shown = {"show_progress": "full", "show_progress_on": [m.facts], "fresh": True}
    events = [
        wires.act(m.kind.input, acts.choose_kind, [m.kind, *opened], [m.hub, m.upload, m.local, *opened], **shown),
        wires.act(m.open_hub.click, acts.open_hub, [m.hub_id, m.revision, p.source], opened, **shown),
        wires.act(m.hub_id.submit, acts.open_hub, [m.hub_id, m.revision, p.source], opened, **shown),
        wires.act(m.files.upload, acts.open_upload, [m.files, p.source], opened, **shown),
        wires.act(m.open_path.click, acts.open_folder, [m.path, p.source], opened, **shown),
        wires.act(m.path.submit, acts.open_folder, [m.path, p.source], opened, **shown),
    ]
    for event in events:
        wires.draw(wires.draw(event.success, "glance", "choices", "kept").success, *EVERYTHING)
    wires.select(p.tree.select, "module")
    for table in (p.result.heatmap, p.result.grid, p.result.tensors):
        wires.select(table.select, "overview", "module")


def wire_recipe(wires: Wires) -> None:
    """Enter a step; preview at once what it would prune."""
    p, r = wires.page, wires.page.recipe
    r.where.change(show_where, r.where, [r.cells, r.types, r.pattern, r.chosen], api_visibility="private", **LIGHT)
    wires.draw(r.method.change, "method")
    for field in (r.granularity, r.amount):
        wires.draw(field.change, "amounts")
    draw_fields(p.top.language, r)
    triggers = [field.change for field in r.form]
    wires.draw(
        lambda *given, **more: gr.on(triggers, *given, **more), "preview", "texts", trigger_mode="always_last", **DIRECT
    )
    took = wires.act(r.texts_upload.upload, wires.acts.take_texts, [r.texts_upload], r.texts_file, show_progress="full")
    for done in (took.success, r.texts_way.input, r.texts_count.input, r.texts_length.input):
        wires.draw(done, "texts", "plan", "overview", "kept")


def wire_steps(wires: Wires) -> Any:
    """Change the list of steps, and run it; return the event of pruning."""
    p, acts, r = wires.page, wires.acts, wires.page.recipe
    wires.change(r.add.click, acts.add)
    wires.change(r.steps.act, acts.change, with_event=True)
    wires.change(r.undo.click, acts.undo, **EACH)
    wires.change(r.redo.click, acts.redo, **EACH)
    wires.change(r.clear.click, acts.clear)
    wires.change(r.use_yaml.click, acts.use_yaml, r.yaml)
    wires.change(r.open_yaml.upload, acts.open_yaml, r.open_yaml)
    wires.draw(wires.change(r.preset.input, acts.preset, r.preset).success, "pictures")
    saved = wires.act(r.save_yaml.click, acts.save_yaml, [p.plan], r.yaml_file)
    saved.success(None, r.yaml_file, None, js="(file) => window.bertprune.save(file)", api_visibility="private")
    pruned = wires.act(
        r.prune.click, acts.prune, [p.source, p.plan, r.seed, p.module, *r.form, *r.texts],
        [p.plan, p.done, p.quality, p.parcel],
        show_progress_on=[r.progress], settled=True, **HEAVY,
    )  # fmt: skip
    drawn = wires.draw(pruned.success, "plan", "texts", "run", "overview", "module", "quality", "parcel", "kept")
    drawn.success(None, None, None, js="() => window.bertprune.go('result')", api_visibility="private")
    # figures take longer than the tables
    figures = wires.draw(drawn.success, "heatmap", show_progress="full")
    wires.draw(figures.success, "pictures", "estimate")
    return pruned


def wire_compare(wires: Wires, *made: Any) -> None:
    """Keep a list of the runs; compare two of them."""
    p, acts, c = wires.page, wires.acts, wires.page.compare
    for run in made:
        kept = wires.act(run.success, acts.remember, [p.runs, p.done], p.runs)
        wires.act(kept.success, acts.offer_runs, [p.runs], [c.first, c.second])
    pair = [p.runs, c.first, c.second]
    wires.act(c.compare.click, acts.compare, pair, c.view, show_progress_on=[c.view], **HEAVY)
    wires.act(p.top.language.change, acts.rename_runs, [p.runs], [c.first, c.second, c.view])
    wires.select(c.view.select, "overview", "module")


def wire_results(wires: Wires, pruned: Any) -> None:
    """Measure what pruning cost; export the run."""
    p, acts, c, t = wires.page, wires.acts, wires.page.cost, wires.page.take
    c.data.change(lambda data: gr.update(visible=data == "file"), c.data, c.file, api_visibility="private", **LIGHT)
    measured = wires.act(
        c.measure.click,
        acts.measure,
        [p.source, p.done, p.quality, c.data, c.file, c.tokenizer],
        p.quality,
        show_progress_on=[c.view],
        **HEAVY,
    )
    wires.draw(p.result.baked.change, "module", show_progress="minimal")
    wires.draw(p.result.shown.input, "module", "tensors")
    wires.draw(measured.success, "quality", "overview")
    asked = wires.act(
        c.ask.click, acts.ask, [p.source, p.done, p.quality, c.text, c.pair, c.tokenizer], p.quality,
        show_progress_on=[c.answers], **HEAVY,
    )  # fmt: skip
    wires.draw(asked.success, "quality")
    wires.draw(t.form.change, "estimate")
    built = wires.act(
        t.build.click, acts.build, [p.source, p.done, t.form, t.precision, p.parcel], p.parcel,
        show_progress_on=[t.result], **HEAVY,
    )  # fmt: skip
    wires.draw(built.success, "parcel")
    for button in (p.recipe.cancel, c.cancel, t.cancel):
        wires.act(button.click, acts.cancel, [], None, fresh=True, cancels=[pruned, measured, asked, built])


def show_where(where: str) -> list[Any]:
    """Show the fields of one way to select tensors."""
    wanted = ("roles", "types", "pattern", "module")
    return [gr.update(visible=where == way) for way in wanted]

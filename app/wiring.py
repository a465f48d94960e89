"""The arrows of the page: what happens on each event, and which views are drawn again."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import gradio as gr

from .acts import Acts
from .fields import draw_fields
from .scenes import Scenes, View
from .session import Shelf
from .trouble import friendly

if TYPE_CHECKING:
    from .ui import Page

HEAVY: dict[str, Any] = {"concurrency_id": "heavy", "concurrency_limit": 1, "show_progress": "full"}
LIGHT: dict[str, Any] = {"concurrency_limit": None, "show_progress": "hidden"}
DIRECT: dict[str, Any] = {"queue": False}
EVERYTHING = ("overview", "module", "pictures", "plan", "preview", "method", "run", "quality", "estimate", "parcel")


class Wires:
    """Draws arrows on one page."""

    def __init__(self, page: "Page", shelf: Shelf) -> None:
        """Know the page's components and what they show."""
        self.page, self.acts, self.scenes = page, Acts(shelf), Scenes(shelf)
        r, m, o = page.recipe, page.model, page.result
        self.outputs: dict[str, list[Any]] = {
            "overview": [page.top.status, page.tree, m.facts],
            "module": [m.inspector, o.changes, r.chosen],
            "pictures": [o.mask, o.histogram, o.unpictured],
            "choices": [r.roles, r.layers, r.types],
            "plan": [r.steps, r.yaml, r.undo, r.redo, r.clear],
            "kept": [page.kept],
            "preview": [r.preview],
            "method": [r.about, r.scope, r.method],
            "run": [o.summary, o.heatmap, o.grid, o.tensors, o.text, o.code, o.more, r.progress],
            "quality": [page.cost.view],
            "estimate": [page.take.estimate],
            "parcel": [page.take.result, page.take.download, page.take.card_box, page.take.card],
        }
        self.everything = [
            page.top.language, page.source, page.plan, page.done, page.module, page.quality, page.parcel,
            page.take.form, o.baked, *r.form,
        ]  # fmt: skip

    def act(
        self, on: Callable[..., Any], do: Callable[..., Any] | None, inputs: list[Any], outputs: Any, **more: Any
    ) -> Any:
        """On an event, do something with the language and the inputs."""
        function = friendly(do) if do is not None else None
        return on(function, [self.page.top.language, *inputs], outputs, api_visibility="private", **{**LIGHT, **more})

    def draw(self, on: Callable[..., Any], *parts: str, **more: Any) -> Any:
        """On an event, draw some parts of the page again, in one go."""

        def drawn(*values: Any) -> list[Any]:
            view = View.of(*values)
            return [value for part in parts for value in getattr(self.scenes, part)(view)]

        outputs = [component for part in parts for component in self.outputs[part]]
        return on(friendly(drawn), self.everything, outputs, api_visibility="private", **{**LIGHT, **more})

    def select(self, on: Callable[..., Any], *parts: str) -> Any:
        """On a click on a module, choose it and draw some parts of the page, in one go and past the queue."""

        def chosen(language: str, event: gr.EventData, *values: Any) -> list[Any]:
            view = View.of(language, *values).at(str(event._data["module"]))
            return [view.module, *(value for part in parts for value in getattr(self.scenes, part)(view))]

        outputs = [component for part in parts for component in self.outputs[part]]
        return on(
            friendly(chosen), self.everything, [self.page.module, *outputs], api_visibility="private", **LIGHT, **DIRECT
        )


def wire(page: "Page", blocks: gr.Blocks, shelf: Shelf) -> None:
    """Draw every arrow."""
    wires = Wires(page, shelf)
    wire_start(wires, blocks)
    wire_model(wires)
    wire_recipe(wires)
    wire_steps(wires)
    wire_results(wires)


def wire_start(wires: Wires, blocks: gr.Blocks) -> None:
    """Open the page in the visitor's language; change the language."""
    p, acts, m = wires.page, wires.acts, wires.page.model
    opened = [p.source, p.done, p.module, p.quality, p.parcel]
    loaded = wires.act(
        blocks.load,
        acts.start,
        [p.kept],
        [p.top.language, p.recipe.method, m.kind, m.hub, m.upload, m.local, p.plan, *opened],
        js="window.bertprune.begin",
        show_progress="hidden",
    )
    wires.draw(wires.draw(loaded.success, "overview", "choices").success, *EVERYTHING)
    spoken = p.top.language.input(
        None, p.top.language, p.top.language, js="window.bertprune.speak", api_visibility="private"
    )
    wires.draw(spoken.then, *EVERYTHING)


def wire_model(wires: Wires) -> None:
    """Open checkpoints, choose modules."""
    p, acts, m = wires.page, wires.acts, wires.page.model
    opened = [p.source, p.done, p.module, p.quality, p.parcel]
    shown = {"show_progress": "full", "show_progress_on": [m.facts]}
    events = [
        wires.act(m.kind.input, acts.choose_kind, [m.kind, *opened], [m.hub, m.upload, m.local, *opened], **shown),
        wires.act(m.open_hub.click, acts.open_hub, [m.hub_id, m.revision, p.source], opened, **shown),
        wires.act(m.hub_id.submit, acts.open_hub, [m.hub_id, m.revision, p.source], opened, **shown),
        wires.act(m.files.upload, acts.open_upload, [m.files, p.source], opened, **shown),
        wires.act(m.open_path.click, acts.open_folder, [m.path, p.source], opened, **shown),
        wires.act(m.path.submit, acts.open_folder, [m.path, p.source], opened, **shown),
    ]
    for event in events:
        wires.draw(wires.draw(event.success, "overview", "choices", "kept").success, *EVERYTHING)
    shown = wires.select(p.tree.select, "module")
    wires.draw(shown.success, "preview", "pictures")
    for table in (p.result.grid, p.result.tensors):
        shown = wires.select(table.select, "overview", "module")
        wires.draw(shown.success, "preview", "pictures")


def wire_recipe(wires: Wires) -> None:
    """Say where, how and how much; see at once what would go."""
    p, r = wires.page, wires.page.recipe
    r.where.change(
        show_where, r.where, [r.roles, r.layers, r.types, r.pattern, r.chosen], api_visibility="private", **LIGHT
    )
    r.amount.change(show_amount, r.amount, [r.percent, r.count], api_visibility="private", **LIGHT)
    wires.draw(r.method.change, "method")
    draw_fields(p.top.language, r)
    triggers = [field.change for field in r.form]
    wires.draw(lambda *given, **more: gr.on(triggers, *given, **more), "preview", trigger_mode="always_last", **DIRECT)


def wire_steps(wires: Wires) -> None:
    """Change the list of steps, and carry it out."""
    p, acts, r = wires.page, wires.acts, wires.page.recipe
    events = [
        wires.act(r.add.click, acts.add, [p.source, p.plan, p.module, *r.form], p.plan),
        wires.act(r.steps.act, acts.change, [p.plan], p.plan),
        wires.act(r.undo.click, acts.undo, [p.plan], p.plan),
        wires.act(r.redo.click, acts.redo, [p.plan], p.plan),
        wires.act(r.clear.click, acts.clear, [p.plan], p.plan),
        wires.act(r.use_yaml.click, acts.use_yaml, [p.plan, r.yaml], p.plan),
        wires.act(r.open_yaml.upload, acts.open_yaml, [p.plan, r.open_yaml], p.plan),
        wires.act(r.preset.input, acts.preset, [p.source, p.plan, p.module, r.preset], [p.plan, p.module]),
    ]
    for event in events:
        wires.draw(event.success, "plan", "preview", "overview", "module", "kept", **DIRECT)
    saved = wires.act(r.save_yaml.click, acts.save_yaml, [p.plan], r.yaml_file)
    saved.success(None, None, None, js="() => document.querySelector('#yaml-file')?.click()", api_visibility="private")
    pruned = wires.act(
        r.prune.click, acts.prune, [p.source, p.plan, r.seed, p.module, *r.form], [p.plan, p.done, p.quality, p.parcel],
        show_progress_on=[r.progress], **HEAVY,
    )  # fmt: skip
    drawn = wires.draw(pruned.success, "plan", "run", "overview", "module", "quality", "estimate", "parcel")
    wires.draw(drawn.success, "pictures")
    drawn.success(lambda: gr.update(selected="result"), None, p.tabs, api_visibility="private", **LIGHT)
    wires.act(r.cancel.click, acts.cancel, [], None, queue=False)


def wire_results(wires: Wires) -> None:
    """Measure what it cost; take it home."""
    p, acts, c, t = wires.page, wires.acts, wires.page.cost, wires.page.take
    c.data.change(lambda data: gr.update(visible=data == "file"), c.data, c.file, api_visibility="private", **LIGHT)
    measured = wires.act(
        c.measure.click,
        acts.measure,
        [p.done, c.data, c.file, c.tokenizer],
        p.quality,
        show_progress_on=[c.view],
        **HEAVY,
    )
    wires.draw(p.result.baked.change, "module", show_progress="minimal")
    wires.draw(measured.success, "quality", "overview")
    wires.draw(t.form.change, "estimate")
    built = wires.act(
        t.build.click, acts.build, [p.done, t.form, p.parcel], p.parcel, show_progress_on=[t.result], **HEAVY
    )
    wires.draw(built.success, "parcel")
    for button in (c.cancel, t.cancel):
        wires.act(button.click, acts.cancel, [], None, queue=False)


def show_where(where: str) -> list[Any]:
    """Show the fields of one way to say where."""
    wanted = ("roles", "roles", "types", "pattern", "module")
    return [gr.update(visible=where == way) for way in wanted]


def show_amount(amount: str) -> list[Any]:
    """Show the field of one way to say how much."""
    return [gr.update(visible=amount == way) for way in ("fraction", "count")]

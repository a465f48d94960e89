"""Put together a recipe: where, how, how much; the list of steps; Prune."""

from dataclasses import dataclass

import gradio as gr

from ..cells import cell_grid
from ..i18n import label
from ..presets import PRESETS
from ..theme import static


@dataclass(frozen=True)
class RecipePanel:
    """The components of the panel."""

    preset: gr.Dropdown
    where: gr.Radio
    cells: gr.HTML
    types: gr.CheckboxGroup
    pattern: gr.Row
    include: gr.Textbox
    exclude: gr.Textbox
    chosen: gr.HTML
    tensor: gr.Dropdown
    method: gr.Dropdown
    about: gr.HTML
    options: gr.State
    granularity: gr.Dropdown
    amount: gr.Radio
    percent_box: gr.Column
    percent: gr.Slider
    count: gr.Number
    scope: gr.Radio
    reconstruct: gr.Checkbox
    preview: gr.HTML
    add: gr.Button
    steps: gr.HTML
    undo: gr.Button
    redo: gr.Button
    clear: gr.Button
    texts_box: gr.Column
    texts_way: gr.Radio
    texts_own: gr.Group
    texts_upload: gr.UploadButton
    texts_file: gr.State
    texts_count: gr.Number
    texts_length: gr.Number
    texts_line: gr.HTML
    seed: gr.Number
    prune: gr.Button
    cancel: gr.Button
    progress: gr.HTML
    yaml: gr.Code
    use_yaml: gr.Button
    open_yaml: gr.UploadButton
    save_yaml: gr.Button
    yaml_file: gr.DownloadButton
    draw_options: gr.Column

    @property
    def form(self) -> list[gr.components.Component]:
        """The fields from which a step is made, in the order of `handlers.recipe.Form`."""
        return [
            self.where, self.cells, self.types, self.include, self.exclude, self.tensor, self.method,
            self.options, self.amount, self.percent, self.count, self.scope, self.granularity, self.reconstruct,
        ]  # fmt: skip

    @property
    def texts(self) -> list[gr.components.Component]:
        """The fields of the calibration texts, in the order of `handlers.texts.Given`."""
        return [self.texts_file, self.texts_way, self.texts_count, self.texts_length]


def recipe_panel() -> RecipePanel:
    """Lay the panel out."""
    preset = gr.Dropdown(
        [(label(f"preset_{name}"), name) for name in PRESETS],
        value=None, label=label("preset"), info=label("preset_info"), filterable=False,
    )  # fmt: skip
    with gr.Row(elem_classes="bp-columns"):
        with gr.Column(min_width=300):
            gr.Markdown(label("recipe_where"), elem_classes="bp-h")
            where_fields = _where()
        with gr.Column(min_width=300):
            gr.Markdown(label("recipe_how"), elem_classes="bp-h")
            how_fields = _how()
    preview = gr.HTML(elem_id="preview", apply_default_css=False)
    add = gr.Button(label("recipe_add"), variant="secondary", elem_id="add-step")
    gr.Markdown(label("recipe_steps"), elem_classes="bp-h")
    steps = gr.HTML(elem_id="steps", apply_default_css=False, js_on_load=static("buttons.js"))
    with gr.Row():
        undo, redo, clear = (
            gr.Button(label(f"recipe_{name}"), size="sm", min_width=90) for name in ("undo", "redo", "clear")
        )
    texts_fields = _texts()
    with gr.Row(equal_height=True, elem_classes="bp-go"):
        seed = gr.Number(
            0,
            label=label("recipe_seed"),
            info=label("recipe_seed_info"),
            scale=1,
            min_width=160,
        )
        prune = gr.Button(label("prune"), variant="primary", scale=2, min_width=160, elem_id="prune")
        cancel = gr.Button(label("cancel"), variant="secondary", scale=0, min_width=110, elem_classes="bp-cancel")
    progress = gr.HTML(elem_id="prune-progress", apply_default_css=False, min_height=64)
    with gr.Accordion(label("yaml_title"), open=False):
        yaml = gr.Code(language="yaml", label=label("yaml"), interactive=True, lines=6, max_lines=24)
        with gr.Row():
            use_yaml = gr.Button(label("yaml_use"), size="sm", min_width=140)
            open_yaml = gr.UploadButton(label("yaml_open"), size="sm", min_width=140)
            save_yaml = gr.Button(label("yaml_save"), size="sm", min_width=140)
            yaml_file = gr.DownloadButton(visible="hidden")
    where, cells, types, pattern, include, exclude, chosen, tensor = where_fields
    method, about, draw_options, options, *shape = how_fields
    return RecipePanel(
        preset, where, cells, types, pattern, include, exclude, chosen, tensor, method, about, options, *shape, preview,
        add, steps, undo, redo, clear, *texts_fields, seed, prune, cancel, progress, yaml, use_yaml,
        open_yaml, save_yaml, yaml_file, draw_options,
    )  # fmt: skip


def _texts() -> tuple:
    """Lay out the calibration texts, which show where a step needs them."""
    with gr.Column(visible=False, elem_id="texts") as box:
        gr.Markdown(label("texts_title"), elem_classes="bp-h")
        way = gr.Radio(
            [(label("texts_own"), "own"), (label("texts_file"), "file")], value="own", label=label("texts_way")
        )
        with gr.Group(visible=False) as own, gr.Row(equal_height=True):
            upload = gr.UploadButton(label("texts_choose"), scale=0, min_width=200)
            count = gr.Number(512, label=label("texts_count"), info=label("texts_count_info"), min_width=160)
            length = gr.Number(128, label=label("texts_length"), info=label("texts_length_info"), min_width=160)
        line = gr.HTML(apply_default_css=False)
    return box, way, own, upload, gr.State(None), count, length, line


def _where() -> tuple:
    where = gr.Radio(
        [(label(f"where_{name}"), name) for name in ("roles", "module", "types", "pattern")],
        value="roles", label=label("where"),
    )  # fmt: skip
    cells = cell_grid()
    types = gr.CheckboxGroup([], label=label("types"), visible=False, elem_id="types")
    with gr.Row(visible=False) as pattern:
        include = gr.Textbox(
            label=label("include"),
            info=label("include_info"),
            placeholder="encoder.layer.{0,1}.attention.*",
            lines=2,
            min_width=200,
        )
        exclude = gr.Textbox(label=label("exclude"), placeholder="*.LayerNorm", lines=2, min_width=200)
    chosen = gr.HTML(visible=False, apply_default_css=False)
    tensor = gr.Dropdown(
        ["weight", "bias"], value="weight", label=label("tensor"), allow_custom_value=True, elem_id="tensor"
    )
    return where, cells, types, pattern, include, exclude, chosen, tensor


def _how() -> tuple:
    # custom values: a server that dropped the session dropped its choices too, and has to get them to say so
    method = gr.Dropdown([], label=label("method"), allow_custom_value=True, elem_id="method")
    about = gr.HTML(apply_default_css=False)
    draw_options = gr.Column()
    options = gr.State({})
    granularity = gr.Dropdown(
        [], label=label("granularity"), info=label("granularity_info"), allow_custom_value=True, visible=False,
        elem_id="granularity",
    )  # fmt: skip
    amount = gr.Radio(
        [(label("amount_fraction"), "fraction"), (label("amount_number"), "count")],
        value="fraction",
        label=label("amount"),
    )
    with gr.Column() as percent_box:  # shown and hidden in its place: Gradio makes what it updates anew
        percent = gr.Slider(0.1, 100, value=20, step=0.1, label=label("percent"), info=label("percent_info"))
    percent.preprocess = lambda value: value  # Gradio would refuse values out of bounds in English
    count = gr.Number(None, label=label("count"), info=label("count_info"), visible=False)
    scope = gr.Radio(
        [(label("scope_local"), "local"), (label("scope_global"), "global")],
        value="local",
        label=label("scope"),
        info=label("scope_info"),
    )
    reconstruct = gr.Checkbox(False, label=label("reconstruct"), info=label("reconstruct_info"), visible=False)
    return method, about, draw_options, options, granularity, amount, percent_box, percent, count, scope, reconstruct

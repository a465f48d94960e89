"""Before and after: what the run did to the model, and to the selected module."""

from dataclasses import dataclass

import gradio as gr

from ..i18n import label
from ..theme import static


@dataclass(frozen=True)
class ResultPanel:
    """The components of the panel."""

    summary: gr.HTML
    changes: gr.HTML
    heatmap: gr.HTML
    grid: gr.HTML
    shown: gr.Radio
    baked: gr.Checkbox
    mask: gr.HTML
    histogram: gr.HTML
    unpictured: gr.Markdown
    tensors: gr.HTML
    text: gr.Code
    code: gr.Code
    ours: gr.Code
    more: gr.Column


def result_panel() -> ResultPanel:
    """Lay the panel out."""
    summary = gr.HTML(elem_id="summary", apply_default_css=False)
    with gr.Column(visible=False) as more:
        gr.Markdown(label("result_heatmap"), elem_classes="bp-h")
        heatmap = gr.HTML(elem_id="heatmap", apply_default_css=False, js_on_load=static("buttons.js"), min_height=120)
        with gr.Accordion(label("grid_title"), open=False):
            grid = gr.HTML(elem_id="grid", apply_default_css=False, js_on_load=static("buttons.js"))
        gr.Markdown(label("result_module"), elem_classes="bp-h")
        with gr.Row(elem_classes="bp-beside"):
            shown = gr.Radio(
                [(label("shown_changed"), "changed"), (label("shown_all"), "all")],
                value="changed",
                label=label("shown"),
            )
            baked = gr.Checkbox(False, label=label("result_baked"), info=label("result_baked_info"))
        changes = gr.HTML(elem_id="changes", apply_default_css=False)
        gr.Markdown(label("result_pictures"), elem_classes="bp-h")
        with gr.Row(elem_classes="bp-beside"):
            mask = gr.HTML(elem_id="mask", apply_default_css=False)
            histogram = gr.HTML(elem_id="histogram", apply_default_css=False)
        unpictured = gr.Markdown(label("result_unpictured"), elem_classes="bp-note")
        tensors = gr.HTML(elem_id="tensors", apply_default_css=False, js_on_load=static("buttons.js"))
        with gr.Accordion(label("result_text"), open=False):
            text = gr.Code(label=label("result_text_label"), language=None, interactive=False, max_lines=40)
        with gr.Accordion(label("result_code"), open=False):
            code, ours = (
                gr.Code(label=label(f"code_{way}"), language="python", interactive=False, max_lines=60)
                for way in ("torch", "ours")
            )
    return ResultPanel(
        summary, changes, heatmap, grid, shown, baked, mask, histogram, unpictured, tensors, text, code, ours, more
    )

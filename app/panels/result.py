"""Before and after: what the run did to the model, and to the chosen module."""

from dataclasses import dataclass

import gradio as gr

from ..i18n import label
from ..theme import static


@dataclass(frozen=True)
class ResultPanel:
    """The components of the panel."""

    summary: gr.HTML
    changes: gr.HTML
    heatmap: gr.Plot
    grid: gr.HTML
    baked: gr.Checkbox
    mask: gr.Plot
    histogram: gr.Plot
    unpictured: gr.Markdown
    tensors: gr.HTML
    text: gr.Code
    code: gr.Code
    more: gr.Column


def result_panel() -> ResultPanel:
    """Lay the panel out."""
    summary = gr.HTML(elem_id="summary", apply_default_css=False)
    with gr.Column(visible=False) as more:
        gr.Markdown(label("result_heatmap"), elem_classes="bp-h")
        heatmap = gr.Plot(label=label("result_heatmap_label"), format="png", elem_id="heatmap", show_label=False)
        grid = gr.HTML(elem_id="grid", apply_default_css=False, js_on_load=static("buttons.js"))
        gr.Markdown(label("result_module"), elem_classes="bp-h")
        baked = gr.Checkbox(False, label=label("result_baked"), info=label("result_baked_info"))
        changes = gr.HTML(elem_id="changes", apply_default_css=False)
        gr.Markdown(label("result_pictures"), elem_classes="bp-h")
        with gr.Row(elem_classes="bp-pictures"):
            mask = gr.Plot(
                label=label("result_mask"), format="png", elem_id="mask", min_width=260, scale=2, show_label=False
            )
            histogram = gr.Plot(
                label=label("result_histogram"),
                format="png",
                elem_id="histogram",
                min_width=300,
                scale=3,
                show_label=False,
            )
        unpictured = gr.Markdown(label("result_unpictured"), elem_classes="bp-note")
        tensors = gr.HTML(elem_id="tensors", apply_default_css=False, js_on_load=static("buttons.js"))
        with gr.Accordion(label("result_text"), open=False):
            text = gr.Code(label=label("result_text_label"), language=None, interactive=False, max_lines=40)
        with gr.Accordion(label("result_code"), open=False):
            code = gr.Code(label=label("result_code_label"), language="python", interactive=False, max_lines=60)
    return ResultPanel(summary, changes, heatmap, grid, baked, mask, histogram, unpictured, tensors, text, code, more)

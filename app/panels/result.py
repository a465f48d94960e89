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
        gr.Markdown(label("result_module"), elem_classes="bp-h")
        changes = gr.HTML(elem_id="changes", apply_default_css=False)
        tensors = gr.HTML(elem_id="tensors", apply_default_css=False, js_on_load=static("buttons.js"))
        with gr.Accordion(label("result_text"), open=False):
            text = gr.Code(label=label("result_text_label"), language=None, interactive=False, max_lines=40)
        with gr.Accordion(label("result_code"), open=False):
            code = gr.Code(label=label("result_code_label"), language="python", interactive=False, max_lines=60)
    return ResultPanel(summary, changes, heatmap, tensors, text, code, more)

"""What it cost: quality before and after on the same texts."""

from dataclasses import dataclass

import gradio as gr

from ..i18n import label


@dataclass(frozen=True)
class CostPanel:
    """The components of the panel."""

    data: gr.Radio
    file: gr.File
    tokenizer: gr.Textbox
    measure: gr.Button
    cancel: gr.Button
    view: gr.HTML


def cost_panel() -> CostPanel:
    """Lay the panel out."""
    data = gr.Radio(
        [(label("cost_samples"), "samples"), (label("cost_file"), "file")],
        value="samples",
        label=label("cost_data"),
        info=label("cost_data_info"),
    )
    file = gr.File(
        label=label("cost_upload"),
        file_types=[".csv", ".tsv", ".txt", ".jsonl"],
        visible=False,
        height=130,
        elem_id="cost-file",
    )
    tokenizer = gr.Textbox(label=label("cost_tokenizer"), info=label("cost_tokenizer_info"), max_lines=1)
    with gr.Row():
        measure = gr.Button(label("cost_measure"), variant="primary", scale=2, elem_id="measure")
        cancel = gr.Button(label("cancel"), variant="secondary", scale=0, min_width=110)
    view = gr.HTML(elem_id="quality", apply_default_css=False, min_height=80)
    return CostPanel(data, file, tokenizer, measure, cancel, view)

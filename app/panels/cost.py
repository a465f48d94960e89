"""Cost: quality before and after on the same texts, and a sentence on both models."""

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
    text: gr.Textbox
    pair: gr.Textbox
    ask: gr.Button
    answers: gr.HTML


def cost_panel() -> CostPanel:
    """Lay the panel out."""
    gr.Markdown(label("cost_many"), elem_classes="bp-h")
    many = _many()
    gr.Markdown(label("cost_one"), elem_classes="bp-h")
    return CostPanel(*many, *_one())


def _many() -> tuple:
    data = gr.Radio(
        [(label("cost_samples"), "samples"), (label("cost_file"), "file")],
        value="samples",
        label=label("cost_data"),
        info=label("cost_data_info"),
    )
    file = gr.File(label=label("cost_upload"), visible=False, height=130, elem_id="cost-file")
    tokenizer = gr.Textbox(label=label("cost_tokenizer"), info=label("cost_tokenizer_info"), max_lines=1)
    with gr.Row():
        measure = gr.Button(label("cost_measure"), variant="primary", scale=2, elem_id="measure")
        cancel = gr.Button(label("cancel"), variant="secondary", scale=0, min_width=110, elem_classes="bp-cancel")
    view = gr.HTML(elem_id="quality", apply_default_css=False, min_height=80)
    return data, file, tokenizer, measure, cancel, view


def _one() -> tuple:
    with gr.Row():
        text = gr.Textbox(
            label=label("ask_text"), info=label("ask_text_info"), lines=2, scale=3, min_width=260, elem_id="sentence"
        )
        pair = gr.Textbox(label=label("ask_pair"), info=label("ask_pair_info"), lines=2, scale=2, min_width=260)
    ask = gr.Button(label("ask"), variant="primary", elem_id="ask")
    answers = gr.HTML(elem_id="answers", apply_default_css=False, min_height=40)
    return text, pair, ask, answers

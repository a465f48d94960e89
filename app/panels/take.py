"""Export: form, size, check, download."""

from dataclasses import dataclass

import gradio as gr

from ..i18n import label


@dataclass(frozen=True)
class TakePanel:
    """The components of the panel."""

    form: gr.Radio
    estimate: gr.HTML
    build: gr.Button
    cancel: gr.Button
    result: gr.HTML
    download: gr.DownloadButton
    card: gr.Markdown
    card_box: gr.Accordion


def take_panel() -> TakePanel:
    """Lay the panel out."""
    form = gr.Radio(
        [(label("form_baked"), "baked"), (label("form_masked"), "masked")], value="baked", label=label("form")
    )
    estimate = gr.HTML(apply_default_css=False, elem_id="estimate")
    with gr.Row():
        build = gr.Button(label("take_build"), variant="primary", scale=2, elem_id="build")
        cancel = gr.Button(label("cancel"), variant="secondary", scale=0, min_width=110, elem_classes="bp-cancel")
    result = gr.HTML(apply_default_css=False, elem_id="parcel", min_height=80)
    download = gr.DownloadButton(label("take_download"), variant="primary", visible=False, elem_id="download")
    with gr.Accordion(label("take_card"), open=False, visible=False) as card_box:
        card = gr.Markdown(elem_id="card", sanitize_html=True)
    return TakePanel(form, estimate, build, cancel, result, download, card, card_box)

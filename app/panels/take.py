"""Export: form, size, check, download."""

from collections.abc import Callable
from dataclasses import dataclass

import gradio as gr

from ..i18n import label


@dataclass(frozen=True)
class TakePanel:
    """The components of the panel."""

    form: gr.Radio
    precision: gr.Radio
    estimate: gr.HTML
    build: gr.Button
    cancel: gr.Button
    result: gr.HTML
    download: gr.DownloadButton
    card: gr.Markdown
    card_box: gr.Accordion


PRECISIONS: dict[str, tuple[str, ...]] = {
    "baked": ("", "float16", "bfloat16"),
    "small": ("", "float16", "bfloat16"),
    "masked": ("", "float16", "bfloat16"),
    "onnx": ("", "float16", "int8"),
}
"""The numbers in which each form can be written; empty for those of the source, and for float32 in ONNX."""


def precisions(form: str, named: Callable[[str], str]) -> list[tuple[str, str]]:
    """Return the choices for a form, named by their keys."""
    as_stored = "precision_onnx" if form == "onnx" else "precision_source"
    return [(named(f"precision_{one}" if one else as_stored), one) for one in PRECISIONS[form]]


def take_panel() -> TakePanel:
    """Lay the panel out."""
    form = gr.Radio([(label(f"form_{form}"), form) for form in PRECISIONS], value="baked", label=label("form"))
    precision = gr.Radio(precisions("baked", label), value="", label=label("precision"), elem_id="precision")
    estimate = gr.HTML(apply_default_css=False, elem_id="estimate")
    with gr.Row():
        build = gr.Button(label("take_build"), variant="primary", scale=2, elem_id="build")
        cancel = gr.Button(label("cancel"), variant="secondary", scale=0, min_width=110, elem_classes="bp-cancel")
    result = gr.HTML(apply_default_css=False, elem_id="parcel", min_height=80)
    download = gr.DownloadButton(label("take_download"), variant="primary", visible=False, elem_id="download")
    with gr.Accordion(label("take_card"), open=False, visible=False) as card_box:
        card = gr.Markdown(elem_id="card", sanitize_html=True)
    return TakePanel(form, precision, estimate, build, cancel, result, download, card, card_box)

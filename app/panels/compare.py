"""Two runs of the session side by side."""

from dataclasses import dataclass

import gradio as gr

from ..i18n import label
from ..theme import static


@dataclass(frozen=True)
class ComparePanel:
    """The components of the panel."""

    first: gr.Dropdown
    second: gr.Dropdown
    compare: gr.Button
    view: gr.HTML


def compare_panel() -> ComparePanel:
    """Lay the panel out."""
    with gr.Accordion(label("compare_title"), open=False, elem_id="compare"):
        with gr.Row(equal_height=True, elem_classes="bp-go"):
            first, second = (
                gr.Dropdown([], label=label(f"compare_{name}"), filterable=False, interactive=True, min_width=240)
                for name in ("first", "second")
            )
            compare = gr.Button(label("compare_do"), variant="primary", scale=0, min_width=120)
        view = gr.HTML(elem_id="comparison", apply_default_css=False, js_on_load=static("buttons.js"))
    return ComparePanel(first, second, compare, view)

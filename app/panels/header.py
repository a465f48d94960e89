"""The top of the page: its title, its language, and the status line."""

from dataclasses import dataclass

import gradio as gr

from ..i18n import LANGUAGES, label


@dataclass(frozen=True)
class Header:
    """The components of the header."""

    language: gr.Dropdown
    status: gr.HTML


def header() -> Header:
    """Lay the header out."""
    with gr.Row(elem_classes="bp-header", equal_height=True):
        gr.HTML(label("header_title"), elem_classes="bp-title", apply_default_css=False)
        language = gr.Dropdown(
            [(name, code) for code, name in LANGUAGES.items()],
            value="en",
            label=label("header_language"),
            filterable=False,
            interactive=True,
            scale=0,
            min_width=130,
            elem_classes="bp-language",
        )
    status = gr.HTML(label("status_loading"), elem_id="status", elem_classes="bp-sticky", apply_default_css=False)
    return Header(language, status)

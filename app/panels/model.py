"""Choose a checkpoint, read its facts, inspect one of its modules."""

from dataclasses import dataclass

import gradio as gr

from ..handlers.model import offered
from ..i18n import label
from ..settings import Settings


@dataclass(frozen=True)
class ModelPanel:
    """The components of the panel."""

    kind: gr.Radio
    hub: gr.Group
    hub_id: gr.Textbox
    revision: gr.Textbox
    open_hub: gr.Button
    upload: gr.Group
    files: gr.UploadButton
    local: gr.Group
    path: gr.Textbox
    open_path: gr.Button
    facts: gr.HTML
    inspector: gr.HTML


def model_panel(settings: Settings) -> ModelPanel:
    """Lay the panel out; a field for a folder of this machine only where the page is not hosted."""
    names = offered()
    ways = ("hub", "upload") if settings.hosted else ("hub", "upload", "folder")
    choices = [(label(f"source_{name.replace('-', '_')}"), name) for name in (*names, *ways)]
    kind = gr.Radio(choices, value=names[0], label=label("source"), info=label("source_info"))
    with gr.Group(visible=False) as hub, gr.Row(equal_height=True):
        hub_id = gr.Textbox(label=label("hub_id"), placeholder="monologg/kobert", max_lines=1, scale=3)
        revision = gr.Textbox(label=label("hub_revision"), placeholder="main", max_lines=1, scale=1)
        open_hub = gr.Button(label("open"), variant="primary", scale=0, min_width=120)
    with gr.Group(visible=False) as upload:
        gr.Markdown(label("upload_info"), elem_classes="bp-pad")
        if settings.hosted:
            gr.Markdown(label("limit_upload"), elem_classes="bp-pad")
        # any type, here and for the other files: Gradio would refuse it in English; `archives` says what is wrong
        files = gr.UploadButton(label("upload_choose"), file_count="multiple", variant="primary")
    with gr.Group(visible=False) as local, gr.Row(equal_height=True):
        path = gr.Textbox(label=label("folder_path"), placeholder="~/models/my-bert", max_lines=1, scale=3)
        open_path = gr.Button(label("open"), variant="primary", scale=0, min_width=120)
    facts = gr.HTML(elem_id="facts", apply_default_css=False)
    inspector = gr.HTML(elem_id="inspector", apply_default_css=False)
    return ModelPanel(kind, hub, hub_id, revision, open_hub, upload, files, local, path, open_path, facts, inspector)

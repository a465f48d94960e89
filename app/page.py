"""The layout of the page: header, bar, tree, one panel for each view; and which of its parts are drawn again."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gradio as gr
from markupsafe import Markup

from .html import Part, joined, select, tag
from .i18n import LANGUAGES, gradio_texts, label, say
from .kept import to_keep
from .settings import Settings
from .store import Store
from .tabs import bar, cost, export, model, recipe, result, runs, search
from .visit import Visit
from .visitors import Visitor

# Fonts of the machine only: the page downloads none.
_SANS = ("system-ui", "-apple-system", "Segoe UI", "Noto Sans KR", "Malgun Gothic", "NanumGothic", "sans-serif")
_MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "DejaVu Sans Mono", "NanumGothicCoding", "monospace")
_HUES = {
    "button_primary_background_fill": ("*primary_700", "*primary_700"),
    "button_primary_background_fill_hover": ("*primary_800", "*primary_800"),
    "checkbox_border_color": ("*neutral_400", "*neutral_400"),
    "block_label_text_color": ("*neutral_700", "*neutral_200"),
    "block_title_text_color": ("*neutral_700", "*neutral_200"),
    "block_info_text_color": ("*neutral_600", "*neutral_300"),
    "body_text_color_subdued": ("*neutral_600", "*neutral_300"),
    "input_placeholder_color": ("*neutral_500", "*neutral_400"),
}
"""Gradio's own colours that are too pale to read; light, and dark."""


def own_component(name: str, elem_id: str) -> gr.HTML:
    """Make a custom component from its three files in `static`."""
    return gr.HTML(
        value=None,
        html_template=static(f"{name}.html"),
        css_template=static(f"{name}.css"),
        js_on_load=static(f"{name}.js"),
        apply_default_css=False,
        elem_id=elem_id,
    )


def static(name: str) -> str:
    """Read one of the page's own style sheets or scripts."""
    return (Path(__file__).parent / "static" / name).read_text(encoding="utf-8")


def theme() -> gr.themes.Base:
    made = gr.themes.Default(
        primary_hue="teal", neutral_hue="slate", font=_SANS, font_mono=_MONO, radius_size="sm", spacing_size="sm"
    )
    both = {f"{name}{mode}": hue for name, hues in _HUES.items() for mode, hue in zip(("", "_dark"), hues, strict=True)}
    return made.set(**both, color_accent="*primary_700", button_primary_text_color="white")


PANELS = ("model", "recipe", "runs", "result", "cost", "export")
"""The views, in the order of the links to them."""


def styles() -> str:
    """Return the style sheet; the view that the browser has chosen is the only one that is shown."""
    chosen = ", ".join(f"body[data-panel={name}] #panel-{name}" for name in PANELS)
    return f"{static('page.css')}{chosen} {{ display: flex !important; }}"


def scripts() -> str:
    """Return the scripts, which know the views, and Gradio's own texts in both languages."""
    known = f"window.bertprune.panels = {json.dumps(PANELS)}; translate({json.dumps(gradio_texts())});"
    return "".join([*map(static, ("page.js", "acts.js", "theirs.js")), known])


def show_header(store: Store, visit: Visit) -> Markup:
    """Write the title, the language, and the links to the views."""
    language = visit.language
    languages = select("language", [(name, code) for code, name in LANGUAGES.items()], language, data_choose="language")
    chosen = tag("label", tag("span", say(language, "header_language"), cls="bp-name"), languages, cls="bp-language")
    links = [tag("a", say(language, f"tab_{name}"), href=f"#{name}", data_panel=name) for name in PANELS]
    nav = tag("nav", *links, aria_label=say(language, "header_nav"), cls="bp-nav")
    title = tag("div", tag("h1", "bertprune"), tag("span", say(language, "header_title")), cls="bp-title")
    return tag("div", title, chosen, nav, cls="bp-header")


HEADER = Part("header", show_header, ())
PARTS: tuple[Part, ...] = (
    HEADER, *bar.PARTS, *recipe.PARTS, *model.PARTS, *runs.PARTS, *search.PARTS, *result.PARTS, *cost.PARTS,
    *export.PARTS,
)  # fmt: skip


@dataclass(frozen=True)
class Page:
    """The components that the events read and change."""

    courier: gr.HTML
    """Brings what a visitor does to the server, and the state of the answers back."""
    number: gr.Number
    kept: gr.Textbox
    progress: gr.HTML
    file: gr.DownloadButton
    checkpoint: gr.File
    texts: gr.File
    recipe: gr.UploadButton
    data: gr.File
    parts: dict[str, gr.HTML] = field(default_factory=dict)

    @property
    def parts_in_order(self) -> list[gr.HTML]:
        """The components of `PARTS`."""
        return [self.parts[part.name] for part in PARTS]


def lay_out(settings: Settings) -> Page:
    parts: dict[str, gr.HTML] = {}

    def put(*names: str) -> None:
        for name in names:
            begun = _loading() if name == "bar" else ""
            parts[name] = gr.HTML(begun, elem_id=name, apply_default_css=False, js_on_load=None)

    courier = own_component("courier", "courier")
    number, kept = gr.Number(0, visible=False), gr.Textbox("", visible=False)
    file = gr.DownloadButton(visible="hidden")
    put("header")
    with gr.Column(elem_classes="bp-sticky"):
        put("bar")
        progress = gr.HTML("", elem_id="progress", apply_default_css=False, js_on_load=None)
    with gr.Row(elem_classes="bp-main"):
        with gr.Column(scale=2, min_width=280, elem_classes="bp-side"):
            parts["tree"] = own_component("tree", "module-tree")
        with gr.Column(scale=5, min_width=300, elem_classes="bp-work"):
            with _panel("model"):
                put("start", "open")
                checkpoint = _files("upload_info", "upload", file_count="multiple")
                if settings.hosted:
                    gr.Markdown(label("limit_upload"), elem_classes="bp-note")
                put("facts", "inspector")
            with _panel("recipe"):
                put("cards", "texts")
                texts = _files("texts_choose", "texts-file")
                put("yaml")
                yaml = gr.UploadButton(label("yaml_open"), size="sm")
            with _panel("runs"):
                put("runs", "pair", "sweep")
            with _panel("result"):
                put("run")
                with gr.Row(elem_classes="bp-beside"):
                    put("map", "pictures", "changes")
                put("details")
            with _panel("cost"):
                put("quality")
                data = _files("cost_upload", "cost-file")
                put("answers")
            with _panel("export"):
                put("forms")
                if can_sign_in(settings):
                    gr.LoginButton(elem_id="sign-in")
                put("push")
    return Page(courier, number, kept, progress, file, checkpoint, texts, yaml, data, parts)


def _loading() -> Markup:
    """Write that the page is not ready; a text that Gradio translates would come back whenever the language changes."""
    return joined(tag("span", say(code, "status_loading"), lang=code, cls="bp-loading") for code in LANGUAGES)


def can_sign_in(settings: Settings) -> bool:
    """Return whether visitors can sign in to the Hub: only in a Space, which brings what that needs."""
    return settings.hosted and "OAUTH_CLIENT_ID" in os.environ and find_spec("itsdangerous") is not None


def _panel(name: str) -> gr.Column:
    return gr.Column(elem_id=f"panel-{name}", elem_classes="bp-panel")


def _files(key: str, elem_id: str, file_count: str = "single") -> gr.File:
    # any type: Gradio would refuse it in English; `uploads` says what is wrong
    return gr.File(label=label(key), file_count=file_count, height=120, elem_id=elem_id)  # type: ignore[arg-type]


def drawn(store: Store, visitor: Visitor, before: Visit | None, **more: Any) -> list[Any]:
    """Return the value of each part that differs from `before`, and what the browser has to know; in a turn only.

    What takes long to draw is left empty, and named, so that the browser asks for it. Without `before` all is drawn.
    """
    visit, late = visitor.visit, []
    values: list[Any] = []
    for part in PARTS:
        if before is not None and not part.differs(before, visit):
            values.append(gr.skip())
        elif part.slow(store, visit):
            late.append(part.name)
            values.append(waiting(visit) if part.meanwhile is None else part.meanwhile(store, visit))
        else:
            values.append(part.show(store, visit))
    state = {
        "from": None if before is None else before.version,
        "to": visit.version,
        "late": late,
        "language": visit.language,
        "kept": to_keep(store, visit, visitor.ticket),
        **more,
    }
    return [state, *values]


def waiting(visit: Visit) -> Any:
    """Return what is shown until a part is drawn."""
    return tag("p", say(visit.language, "drawing"), cls="bp-waiting", aria_busy="true")


def drawn_late(store: Store, visitor: Visitor, names: Iterable[str]) -> list[Any]:
    """Draw parts that take long, and return those for which the visit has not changed meanwhile."""
    visit, wanted = visitor.visit, set(names)
    found = {part.name: part.show(store, visit) for part in PARTS if part.name in wanted}
    with visitor.turn():
        now = visitor.visit
        values = [
            found[part.name] if part.name in found and not part.differs(visit, now) else gr.skip() for part in PARTS
        ]
        return [{"late": [], "at": now.version}, *values]


def nothing() -> list[Any]:
    """Return an answer that changes nothing."""
    return [gr.skip()] * (1 + len(PARTS))

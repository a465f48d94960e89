"""How the page looks: one quiet theme, in light and dark, from a phone to a wide screen."""

from pathlib import Path

import gradio as gr

# Fonts of the machine only: the page downloads none.
_SANS = ("system-ui", "-apple-system", "Segoe UI", "Noto Sans KR", "Malgun Gothic", "NanumGothic", "sans-serif")
_MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "DejaVu Sans Mono", "NanumGothicCoding", "monospace")


def theme() -> gr.themes.Base:
    """Build the theme."""
    return gr.themes.Default(
        primary_hue="teal", neutral_hue="slate", font=_SANS, font_mono=_MONO, radius_size="sm", spacing_size="sm"
    ).set(
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover_dark="*primary_800",
        checkbox_border_color="*neutral_400",
        checkbox_border_color_dark="*neutral_400",
        color_accent="*primary_700",
        slider_color="*primary_600",
        button_primary_text_color="white",
        block_label_text_color="*neutral_700",
        block_label_text_color_dark="*neutral_200",
        block_title_text_color="*neutral_700",
        block_title_text_color_dark="*neutral_200",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_300",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        input_placeholder_color="*neutral_500",
        input_placeholder_color_dark="*neutral_400",
    )


def static(name: str) -> str:
    """Read one of the page's own style sheets or scripts."""
    return (Path(__file__).parent / "static" / name).read_text(encoding="utf-8")


def component(name: str, elem_id: str) -> gr.HTML:
    """Make a custom component from its three files in `static`."""
    return gr.HTML(
        value=None,
        html_template=static(f"{name}.html"),
        css_template=static(f"{name}.css"),
        js_on_load=static(f"{name}.js"),
        apply_default_css=False,
        elem_id=elem_id,
    )

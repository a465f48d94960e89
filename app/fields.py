"""The options of the chosen method as fields, read from the method's own JSON schema."""

from typing import Any

import gradio as gr

import bertprune as bp

from .handlers.recipe import OptionField, option_fields, option_value
from .i18n import LANGUAGES, say
from .panels.recipe import RecipePanel
from .views.recipe import has_text


def draw_fields(language: gr.Dropdown, panel: RecipePanel) -> None:
    """Draw the fields anew whenever another method or language is chosen; defaults are left to the method."""
    panel.method.change(dict, None, panel.options, api_visibility="private", show_progress="hidden")
    with panel.draw_options:

        @gr.render([language, panel.method], triggers=[panel.method.change, language.change], show_progress="hidden")
        def _fields(spoken: str, name: str | None) -> None:
            method = bp.methods().get(name or "")
            for field in option_fields(method) if method is not None else ():
                component = make_field(spoken if spoken in LANGUAGES else "en", field)
                component.change(
                    put(field),
                    [panel.options, component],
                    panel.options,
                    api_visibility="private",
                    show_progress="hidden",
                )


def put(field: OptionField) -> Any:
    """Make the handler that keeps an entered value among the options; an empty field means the default."""

    def kept(options: dict[str, Any], entered: Any) -> dict[str, Any]:
        value = option_value(field, entered)
        rest = {key: old for key, old in (options or {}).items() if key != field.name}
        return rest if value is None else {**rest, field.name: value}

    return kept


def make_field(language: str, field: OptionField) -> gr.components.Component:
    """Make the component for an option."""
    key = f"option_{field.name}"
    info = say(language, key) if has_text(language, key) else field.help or None
    given: dict[str, Any] = {"label": field.name, "info": info, "value": field.default, "interactive": True}
    if field.kind == "choice":
        return gr.Dropdown(list(field.choices), **given)
    if field.kind == "boolean":
        return gr.Checkbox(**given)
    if field.kind in ("integer", "number"):
        return gr.Number(precision=0 if field.kind == "integer" else None, **given)
    return gr.Textbox(max_lines=1, **{**given, "value": "" if field.default is None else str(field.default)})

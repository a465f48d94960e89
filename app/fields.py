"""The options of the selected method as fields, read from the method's JSON schema."""

from typing import Any

import gradio as gr

import bertprune as bp

from .handlers.recipe import OptionField, Options, option_fields, option_value
from .i18n import LANGUAGES, say
from .panels.recipe import RecipePanel
from .views.recipe import has_text


def draw_fields(language: gr.Dropdown, panel: RecipePanel) -> None:
    """Draw the fields again when another method or language is selected, with the values last typed for it."""
    with panel.draw_options:

        @gr.render(
            [language, panel.method, panel.options],
            triggers=[panel.method.change, language.change],
            show_progress="hidden",
        )
        def _fields(code: str, name: str | None, options: Options) -> None:
            method = bp.methods().get(name or "")
            for field in option_fields(method) if method is not None else ():
                value = options.get(method.name, {}).get(field.name, field.default)
                component = make_field(code if code in LANGUAGES else "en", field, value)
                component.change(
                    put(method.name, field),
                    [panel.options, component],
                    panel.options,
                    api_visibility="private",
                    show_progress="hidden",
                    concurrency_limit=1,  # two at a time would each store their own value, and lose the other's
                    concurrency_id="options",
                )


def put(method: str, field: OptionField) -> Any:
    """Make the handler that stores a typed value among the options; an empty field means the default."""

    def stored(options: Options, typed: Any) -> Options:
        value = option_value(field, typed)
        rest = {key: old for key, old in options.get(method, {}).items() if key != field.name}
        return {**options, method: rest if value is None else {**rest, field.name: value}}

    return stored


def make_field(language: str, field: OptionField, value: Any) -> gr.components.Component:
    """Make the component for an option."""
    key = f"option_{field.name}"
    info = say(language, key) if has_text(language, key) else field.help or None
    given: dict[str, Any] = {"label": field.name, "info": info, "value": value, "interactive": True}
    if field.kind == "choice":
        return gr.Dropdown(list(field.choices), **given)
    if field.kind == "boolean":
        return gr.Checkbox(**given)
    if field.kind in ("integer", "number"):
        return gr.Number(**given)
    return gr.Textbox(max_lines=1, **{**given, "value": "" if value is None else str(value)})

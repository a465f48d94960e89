"""What the page shows while a recipe is put together: the preview and the list of steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

import bertprune as bp

from ..i18n import say
from ..words import percent
from .html import breakable, joined, note, tag


def preview_line(language: str, seen: Any) -> Markup:
    """Write how many tensors and weights a step selects, and how many it would prune."""
    low, high = seen.removed
    gone = f"{low:,}" if low == high else say(language, "preview_range", low=f"{low:,}", high=f"{high:,}")
    share = percent(high / seen.weights) if seen.weights else percent(0.0)
    parts = [
        _figure(language, "preview_tensors", f"{len(seen.targets):,}"),
        _figure(language, "preview_weights", f"{seen.weights:,}"),
        _figure(language, "preview_go" if low == high else "preview_go_range", gone, share=share),
    ]
    if seen.needs_texts:
        parts.append(tag("span", say(language, "preview_texts"), cls="bp-figure"))
    names = joined([*(breakable(name) for name in seen.targets[:3]), *(["…"] if len(seen.targets) > 3 else [])], ", ")
    chosen = tag("p", tag("code", selection(language, seen.step.select)), cls="bp-names")
    body = [tag("p", joined(parts)), chosen, tag("p", tag("code", names), cls="bp-names")]
    return tag("div", *body, cls="bp-preview", role="status")


def _figure(language: str, key: str, value: str, **more: str) -> Markup:
    """Write a figure in bold within its words."""
    before, _, after = say(language, key, value="\0", **more).partition("\0")
    return tag("span", before, tag("strong", value), after, cls="bp-figure")


def refusal(error: str) -> Markup:
    """Write why there is nothing to preview."""
    return tag("div", tag("p", error), cls="bp-preview bp-refused", role="status")


def amount(step: bp.Step) -> str:
    """Write a step's amount."""
    if step.fraction is not None:
        return percent(step.fraction, 2).replace(".00%", "%")
    return str(step.granularity) if step.count is None else f"{step.count:,}"  # N:M is its own amount


def granularity_name(language: str, granularity: str) -> str:
    """Name what is pruned together; N:M and blocks by their numbers."""
    key = f"together_{granularity}"
    if has_text(language, key):
        return say(language, key)
    kind, _, numbers = granularity.rpartition(":")
    if kind == "block":
        return say(language, "blocks_of", size=numbers.replace("x", " × "))
    return say(language, "pattern_of", kept=kind, of=numbers) if kind else granularity


def manner(language: str, step: bp.Step) -> str:
    """Write what a step prunes together, who is compared with whom, and whether what stays is adjusted."""
    together = [granularity_name(language, step.granularity)] if step.granularity and not step.is_pattern else []
    scope = [] if step.is_pattern else [say(language, f"scope_{step.scope}")]
    return " · ".join([*together, *scope, *([say(language, "step_reconstructed")] if step.reconstruct else [])])


def step_list(language: str, steps: Sequence[bp.Step], seen: Sequence[Any] | None, error: str | None = None) -> Markup:
    """Write the steps with their buttons; `seen` are their previews, where the recipe fits the model."""
    if not steps:
        return note(say(language, "steps_none"), "bp-empty")
    rows = [_step(language, at, step, len(steps), seen[at] if seen else None) for at, step in enumerate(steps)]
    warning = note(error, "bp-refused") if error else ""
    return joined([tag("ol", joined(rows), cls="bp-steps", aria_label=say(language, "steps_title")), warning])


def _step(language: str, at: int, step: bp.Step, of: int, seen: Any | None) -> Markup:
    options = "".join(f", {key}={value}" for key, value in step.options.items())
    effect = ""
    if seen is not None:
        low, high = seen.removed
        gone = f"{low:,}" if low == high else f"{low:,} – {high:,}"
        said = say(language, "steps_effect", tensors=f"{len(seen.targets):,}", gone=gone)
        texts = f" · {say(language, 'preview_texts')}" if seen.needs_texts else ""
        effect = tag("span", said, texts, cls="bp-effect")
    text = tag(
        "div",
        tag("p", tag("strong", step.method), " ", tag("strong", amount(step)), f" · {manner(language, step)}{options}"),
        tag("p", tag("code", selection(language, step.select)), effect),
        cls="bp-step-text",
    )
    buttons = [
        _button(language, "up", at, "↑", at == 0),
        _button(language, "down", at, "↓", at == of - 1),
        _button(language, "remove", at, "✕", False),
    ]
    return tag("li", text, tag("div", joined(buttons), cls="bp-step-buttons"))


def selection(language: str, select: bp.Selection) -> str:
    """Describe what a step selects, in a few words."""
    parts = []
    for name in ("roles", "layers", "types", "include", "exclude"):
        if values := getattr(select, name):
            parts.append(f"{say(language, f'select_{name}')} {', '.join(map(str, values))}")
    if select.tensor != "weight":
        parts.append(f"{say(language, 'select_tensor')} {select.tensor}")
    return " · ".join(parts) or say(language, "where_everything")


def _button(language: str, do: str, at: int, sign: str, off: bool) -> Markup:
    words = say(language, f"steps_{do}", number=at + 1)
    given = {"type": "button", "data_do": do, "data_at": str(at), "aria_label": words, "title": words}
    return tag("button", sign, **given, **({"disabled": "disabled"} if off else {}))


def method_card(language: str, method: Any) -> Markup:
    """Describe a method in one line, with its paper."""
    key = f"method_{method.name}"
    words = say(language, key) if has_text(language, key) else method.summary
    # where there are several, they are a choice of the form
    single = len(method.granularities) == 1
    removes = tag("span", say(language, f"removes_{method.removes}"), cls="bp-kind") if single else ""
    paper = (
        tag("a", say(language, "method_paper"), href=method.paper, target="_blank", rel="noreferrer")
        if str(method.paper or "").startswith("https://")
        else ""
    )
    return tag("p", words, " ", removes, " ", paper, cls="bp-method")


def method_title(language: str, method: Any) -> str:
    """Write a method's title, with the name that recipes use."""
    key = f"title_{method.name}"
    return f"{say(language, key) if has_text(language, key) else method.title} · {method.name}"


def has_text(language: str, key: str) -> bool:
    """Return whether the page has a text for a key."""
    from ..i18n import texts

    return key in texts(language)

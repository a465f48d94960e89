"""What is known of the model: the status line, and the facts."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

import bertprune as bp

from ..i18n import say
from ..i18n.errors import translate_error
from ..words import short_number, size_of
from .html import facts, joined, note, tag
from .result import shares


def status(
    language: str,
    name: str,
    checkpoint: bp.Checkpoint,
    report: Any = None,
    quality: str | None = None,
    remark: str | None = None,
) -> Markup:
    """Write the status line: model, weights, alive, sparsity, bytes, quality; and a remark on them."""
    counted = [] if report is None else [
        ("status_alive", f"{report.model.alive:,}"), ("status_sparsity", shares(language, report.model)),
    ]  # fmt: skip
    stored = size_of(checkpoint.facts.bytes) if checkpoint.facts.bytes else say(language, "status_not_stored")
    pairs = [
        ("status_model", name),
        ("status_weights", f"{checkpoint.facts.parameters:,}"),
        *counted,  # known once the weights are read
        ("status_bytes", stored),
    ]
    if quality:
        pairs.append(("status_quality", quality))
    shown = facts((say(language, key), value) for key, value in pairs)
    return tag("div", shown, note(remark) if remark else "", cls="bp-status")


def waiting(language: str, key: str = "status_loading") -> Markup:
    """Write a status line without a model."""
    return tag("div", say(language, key), cls="bp-status bp-waiting")


def facts_card(language: str, name: str, checkpoint: bp.Checkpoint) -> Markup:
    """Write what the headers say, before a weight is read."""
    known = checkpoint.facts
    pairs = [
        ("facts_architecture", known.architecture),
        ("facts_parameters", f"{known.parameters:,} ({short_number(known.parameters)})"),
        ("facts_tensors", f"{len(known.tensors):,}"),
        ("facts_dtype", known.dtype),
        ("facts_bytes", f"{size_of(known.bytes)} ({known.bytes:,} B)" if known.bytes else say(language, "facts_none")),
        ("facts_files", ", ".join(known.files) or say(language, "facts_none")),
    ]
    if checkpoint.revision:
        pairs.append(("facts_revision", checkpoint.revision))
    notes = joined(note(translate_error(language, one)) for one in known.notes)
    return tag(
        "section",
        tag("h2", name),
        facts((say(language, key), value) for key, value in pairs),
        notes,
        aria_label=say(language, "facts_title"),
        cls="bp-card",
    )

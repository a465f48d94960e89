"""An export: its size, how it was checked, how it is loaded."""

from typing import Any

from markupsafe import Markup

from ..i18n import say
from ..weigh import ExportSize
from ..words import size_of
from .html import facts, joined, note, table, tag

SIZED = ("baked", "masked")
"""The forms whose size is known before they are built."""

_LOAD = {
    "plain": 'from transformers import {cls}\n\nmodel = {cls}.from_pretrained("{name}")',
    "bertprune": 'import bertprune as bp\n\nmodel = bp.load("{name}")',
    "anywhere": 'import onnxruntime\n\nsession = onnxruntime.InferenceSession("{name}/onnx/model.onnx")',
}


def estimate_view(language: str, form: str, size: ExportSize | None, source: int | None) -> Markup:
    """Describe the selected form, with its size beside that of the original."""
    pairs = []
    if size is not None:
        pairs.append((say(language, "take_estimate"), size_of(size.stored)))
        pairs.append((say(language, "take_estimate_zip"), say(language, "take_about", size=size_of(size.zipped))))
        if source:
            pairs.append((say(language, "take_source"), size_of(source)))
    return joined([
        note(say(language, f"form_{form}_what")),
        facts(pairs) if pairs else "",
        note(say(language, "take_honest"), "bp-honest") if form in SIZED else "",
    ])  # fmt: skip


def result_view(language: str, parcel: Any) -> Markup:
    """Show what was built, that it was read back identically, and how to load it."""
    rows = [(tag("code", name), f"{size:,}") for name, size in sorted(parcel.files.items())]
    headers = [say(language, "take_file"), say(language, "take_size")]
    name = parcel.zip.stem
    pairs = [
        (say(language, "take_bytes"), f"{size_of(parcel.bytes)} ({parcel.bytes:,} B)"),
        (say(language, "take_zipped"), f"{size_of(parcel.zipped)} ({parcel.zipped:,} B)"),
    ]
    checked = say(language, "take_checked" if parcel.checked else "take_computed", count=f"{parcel.checked:,}")
    return joined([
        note("✓ " + checked, "bp-good"),
        note(_drift(language, parcel.drift)) if parcel.drift is not None else "",
        note(say(language, f"loads_{parcel.loads}")),
        note(say(language, "take_speed")),
        facts(pairs),
        table(headers, rows, numbers=(1,), caption=say(language, "take_files")),
        tag("h2", say(language, "take_load")),
        tag("pre", tag("code", _LOAD[parcel.loads].format(name=name, cls=parcel.architecture))),
    ])  # fmt: skip


def _drift(language: str, drift: Any) -> str:
    """Say how far the answers are from those of the pruned model, and on what that was measured."""
    texts = "take_made_up" if drift.data_name is None else "take_texts"
    return say(
        language, "take_drift", measure=say(language, f"drift_{drift.measure}"), value=f"{drift.value:.2g}",
        texts=say(language, texts, count=f"{drift.texts:,}", name=drift.data_name or ""),
    )  # fmt: skip

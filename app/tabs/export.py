"""Export: each form with what it weighs, how fast it is and what loads it, built, downloaded, or pushed to the Hub."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from markupsafe import Markup

import bertprune as bp

from ..errors import PageError, naming_field
from ..exporting import Built, export
from ..html import Part, button, check, entry, field, form, joined, note, scrolling, select, size_of, tag
from ..i18n import say
from ..offers import whole_number
from ..runs import Run
from ..runtime import new_folder, remove
from ..store import Progress, Store
from ..visit import Change, Visit, find_run, note_run, row_of
from ..visitors import Visitor
from .cost import ROUNDS
from .result import older
from .runs import figure_of, form_name, run_name

SIZED = ("baked", "masked")
"""The forms whose size is known before they are built."""
FORMS: dict[str, tuple[str, ...]] = {
    "baked": ("", "float16", "bfloat16"),
    "small": ("", "float16", "bfloat16"),
    "masked": ("", "float16", "bfloat16"),
    "onnx": ("", "float16"),
    "int8": ("int8",),
}
"""The forms, and the numbers in which each can be written; empty for those of the source, and for float32 in ONNX."""
LOADS = {"baked": "plain", "small": "either", "masked": "bertprune", "onnx": "anywhere", "int8": "anywhere"}
"""What loads each form, as far as that is known before it is built."""
_LOAD = {
    "plain": 'from transformers import {cls}\n\nmodel = {cls}.from_pretrained("{name}")',
    "bertprune": 'import bertprune as bp\n\nmodel = bp.load("{name}")',
    "anywhere": 'import onnxruntime\n\nsession = onnxruntime.InferenceSession("{name}/onnx/model.onnx")',
}
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")


def show_export(store: Store, visit: Visit) -> Markup:
    """List the forms, each with what it weighs, what loads it, and what was built of it."""
    language, run = visit.language, visit.shown
    rows = [_row(language, run, name, _weight(store, run, name)) for name in FORMS]
    heads = tag("thead", tag("tr", *(tag("th", name, scope="col") for name in _heads(language))))
    source = store.checkpoint(run.key.source).facts.bytes
    parts = [
        tag("h2", run_name(language, run)),
        older(visit, run),
        scrolling(tag("table", heads, tag("tbody", *rows)), say(language, "take_forms"), "bp-forms"),
        note(f"{say(language, 'take_source')}: {size_of(source)}") if source else "",
        note(say(language, "take_honest"), "bp-honest"),
        _last(language, run) if run.exports else "",
    ]
    return joined(parts)


def _weight(store: Store, run: Run, name: str) -> str:
    """Write what a form weighs: what was built, or an estimate for the plain ones."""
    if built := [one for one in run.exports if one.form == name]:
        return size_of(built[-1].bytes)
    if name not in SIZED or run.is_dense or run.count is None:
        return "–"
    return f"≈ {size_of(stored(store.checkpoint(run.key.source).facts.dtype, run, name))}"


def stored(dtype: str, run: Run, form: str) -> int:
    """Estimate the bytes of a counted run's weights: of all values, and a byte per value that has a mask."""
    import torch

    masks = run.masked[1] if run.masked is not None and form == "masked" else 0
    return int(run.count.size * getattr(torch, dtype, torch.float32).itemsize) + masks


def _row(language: str, run: Run, name: str, weight: str) -> Markup:
    built = [one for one in run.exports if one.form == name]
    offers = [(say(language, f"precision_{one}" if one else _plain_numbers(name)), one) for one in FORMS[name]]
    chosen = built[-1].precision if built else FORMS[name][0]
    label = {"aria_label": f"{say(language, 'take_precision')}: {name}"}
    precision = select("precision", offers, chosen, **label) if len(offers) > 1 else offers[0][0]
    best = "small" if is_smaller(run) else "baked"
    off = say(language, "take_small_none") if name == "small" and best != "small" else ""
    words = [note(say(language, f"form_{name}_what")), note(off, "bp-honest") if off else ""]
    what = joined([tag("strong", say(language, f"form_{name}")), *words])
    primary = name == best and not run.exports
    make = button(say(language, "take_build"), "build", via="work", form=name, primary=primary, off=off)
    downloads = [_download(language, run, one) for one in built if one.zip.is_file()]
    loads = say(language, f"loads_short_{built[-1].loads if built else LOADS[name]}")
    timed = _speed(language, run, built[-1]) if built else "–"
    cells = [what, precision, weight, timed, loads, tag("div", make, *downloads, cls="bp-step-buttons")]
    # the names are shown where there is no room for a head
    named = [tag("td", cell, data_name=name) for name, cell in zip(_heads(language), cells, strict=True)]
    return tag("tr", *named, data_form="1")


def _heads(language: str) -> list[str]:
    return [say(language, f"take_{name}") for name in ("form", "precision", "bytes", "speed", "loads", "do")]


def _speed(language: str, run: Run, built: Built) -> object:
    if built.speed is not None:
        before = built.speed.before
        beside = say(language, "speed_beside", runtime=before.runtime, dtype=before.dtype)
        return figure_of(f"{built.speed.timings[-1].ratio.value:.2f}×", beside)
    return button(say(language, "cost_time"), "clock", via="work", run=run.number, **built.named)


def is_smaller(run: Run) -> bool:
    """Return whether a run may have left something to take out: heads, neurons, layers or tokens."""
    kinds = {step.granularity for step in run.key.recipe.steps}
    return run.macs is None or run.macs[0] != run.macs[1] or not kinds.isdisjoint(("layer", "token"))


def _download(language: str, run: Run, built: Built) -> Markup:
    """Write the button that downloads what was built; the last one is the next step."""
    label = f"{say(language, 'take_file')} {built.zip.name}"
    words = say(language, "take_download", size=size_of(built.zipped))
    return button(
        words, "download", via="file", primary=built is run.exports[-1], label=label, run=run.number, **built.named
    )


def _plain_numbers(name: str) -> str:
    return "precision_onnx" if name == "onnx" else "precision_source"


def _last(language: str, run: Run) -> Markup:
    """Show what was built last: how it was checked, its files, how to load it, its card."""
    built = run.exports[-1]
    rows = [tag("li", tag("code", name), f" {size:,} B") for name, size in sorted(built.files.items())]
    checked = say(language, "take_checked" if built.checked else "take_computed", count=f"{built.checked:,}")
    code = _LOAD[built.loads].format(name=built.zip.stem, cls=built.architecture)
    return joined([
        tag("h3", say(language, "take_built", name=built.zip.name)),
        note("✓ " + checked, "bp-good"),
        note(_drift(language, built)) if built.drift is not None else "",
        note(say(language, f"loads_{built.loads}")),
        tag("pre", tag("code", code), cls="bp-code", tabindex="0"),
        tag("details", tag("summary", say(language, "take_files")), tag("ul", *rows), data_key="files-box"),
        tag("details", tag("summary", say(language, "take_card")), _card(built.card), data_key="card-box"),
    ])  # fmt: skip


def _card(text: str) -> Markup:
    return tag("pre", text, cls="bp-code", tabindex="0")


def _drift(language: str, built: Built) -> str:
    """Say how far the answers are from those of the pruned model, and on what that was measured."""
    drift = built.drift
    texts = "take_made_up" if drift.data_name is None else "take_texts"
    return say(
        language, "take_drift", measure=say(language, f"drift_{drift.measure}"), value=f"{drift.value:.2g}",
        texts=say(language, texts, count=f"{drift.texts:,}", name=built.texts or drift.data_name or ""),
    )  # fmt: skip


def show_push(store: Store, visit: Visit) -> Markup:
    """Offer to push what was built to the Hub."""
    language, run = visit.language, visit.shown
    off = "" if run.exports else say(language, "push_nothing")
    named = [(form_name(language, one), f"{one.form} {one.precision}") for one in run.exports]
    chosen = named[-1][1] if named else ""
    box = form(
        field(say(language, "push_form"), select("which", named, chosen)),
        field(
            say(language, "push_name"),
            entry("repository", "", placeholder="me/my-small-bert"),
            say(language, "push_info"),
        ),
        check("private", True, say(language, "push_private")),
        check("overwrite", False, say(language, "push_overwrite"), say(language, "push_overwrite_info")),
        button(say(language, "push_do"), "push", via="open", off=off),
    )
    there = [note(joined(["✓ ", say(language, "push_done"), " ", _link(one)]), "bp-good") for one in run.pushed]
    opened = {"open": ""} if there else {}
    return tag("details", tag("summary", say(language, "push_title")), box, *there, data_key="push-box", **opened)


def _link(address: str) -> Markup:
    return tag("a", address, href=address, target="_blank", rel="noreferrer")


def build(store: Store, visitor: Visitor, asked: dict[str, Any], report: Progress) -> Change:
    """Write the checkpoint, check it, zip it; it lands at its run. What was built before of that form is replaced."""
    visit = visitor.visit
    key, precision = visit.shown.key, str(asked.get("precision") or "")
    built = export(store, key, str(asked.get("form")), precision, visit.language, report, visit.given.file)

    def change(now: Visit) -> Visit:
        run = row_of(now, key)
        if run is None:
            remove(built.zip.parent)
            return now
        same = [one for one in run.exports if one.named == built.named]
        for one in same:
            remove(one.zip.parent)
        return note_run(now, key, exports=(*(one for one in run.exports if one not in same), built))

    return change


def file_of(store: Store, visit: Visit, asked: dict[str, Any]) -> Path:
    """Return the zip that is asked for. Raises PageError."""
    return _asked_for(visit, asked)[1].zip


def _asked_for(visit: Visit, asked: dict[str, Any]) -> tuple[Run, Built]:
    """Find what was built of a run. Raises PageError."""
    run = find_run(visit, whole_number(asked.get("run")))
    wanted = {name: asked.get(name) for name in ("form", "precision")}
    found = [one for one in run.exports if one.named == wanted] if run is not None else []
    if run is None or not found or not found[-1].zip.is_file():
        raise PageError("take_gone")
    return run, found[-1]


def clock(store: Store, visitor: Visitor, asked: dict[str, Any], report: Progress) -> Change:
    """Time what was built beside the checkpoint."""
    run, built = _asked_for(visitor.visit, asked)
    with _unpacked(built, run) as folder, naming_field("speed"):
        given = {"rounds": ROUNDS, "progress": report}
        speed = bp.speed(folder, against=store.checkpoint(run.key.source), **given)

    def change(now: Visit) -> Visit:
        here = row_of(now, run.key)
        exports = [replace(one, speed=speed) if one.zip == built.zip else one for one in here.exports] if here else []
        return note_run(now, run.key, exports=tuple(exports)) if here else now

    return change


def push(store: Store, visitor: Visitor, asked: dict[str, Any], report: Progress) -> Change:
    """Push what was built to the Hub, with the visitor's own token, which is not kept."""
    visit, repository = visitor.visit, str(asked.get("repository") or "").strip()
    if not _REPOSITORY.fullmatch(repository):
        raise PageError("push_bad_name", given=repository[:80])
    if not visit.shown.exports:
        raise PageError("push_nothing")
    form, _, precision = str(asked.get("which") or "").partition(" ")
    run, built = _asked_for(visit, {"run": visit.run, "form": form, "precision": precision})
    if store.settings.hosted and not asked.get("token"):
        raise PageError("push_login")
    given = {name: asked.get(name) is True for name in ("private", "overwrite")}
    with _unpacked(built, run) as folder, naming_field("push"):
        pushed = bp.push(folder, repository, **given, token=asked.get("token"), progress=report)
    there = tuple(dict.fromkeys((*run.pushed, pushed.address)))
    return lambda now: note_run(now, run.key, pushed=there)


@contextmanager
def _unpacked(built: Built, run: Run) -> Iterator[Path]:
    """Unpack an export for a while, with what was measured of its run, of which the card gets a table."""
    home = new_folder()
    try:
        with zipfile.ZipFile(built.zip) as packed:
            packed.extractall(home)
        for name, found in (("quality", run.quality), ("speed", run.speed)):
            if found is not None:
                (home / built.zip.stem / f"{name}.json").write_text(json.dumps(found.to_dict()), encoding="utf-8")
        yield home / built.zip.stem
    finally:
        remove(home)


PARTS = (
    Part("forms", show_export, ("run", "runs", "cards", "given", "seed", "source")),
    Part("push", show_push, ("run", "runs")),
)

"""The results of a run in figures and tables, and as a map whose cells are buttons."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

import bertprune as bp

from ..html import breakable, button, facts, joined, note, percent, scrolling, table, tag
from ..i18n import say, texts, translate_error
from .steps import step_line

Key = tuple[Any, Any]
_DEEP = 0.64
"""From which depth of colour on white is easier to read than black."""


def summary(language: str, run: Any) -> Markup:
    """Write how much of the targets, and of the model, is pruned; and what each step pruned, if there was one."""
    total = run.report.total
    masks = [
        ("result_targets", f"{len(run.report.targets):,}"),
        ("result_masked", say(language, "result_of", part=f"{total.masked:,}", whole=f"{total.size:,}")),
        ("result_sparsity", percent(total.sparsity)),
    ]
    pairs = [
        *(masks if run.report.targets else []),
        ("result_model", shares(language, run.report.model)),
        ("result_zero", f"{run.report.model.zero:,}"),
    ]
    if not run.steps:
        return facts((say(language, key), value) for key, value in pairs)
    pairs.append(("result_seed", str(run.seed)))
    if read := run.recipe.calibration:
        given = {"count": f"{read.count:,}", "length": f"{read.max_length:,}", "hash": read.sha256[:12]}
        pairs.append(("result_texts", say(language, "result_texts_are", **given)))
    notes = [note(translate_error(language, one)) for one in run.notes]
    notes += [
        note(say(language, "outcome_no_effect", number=at), "bp-refused")
        for at, one in enumerate(run.steps, 1)
        if not one.removed
    ]
    return joined([facts((say(language, key), value) for key, value in pairs), *notes])


def outcomes(language: str, run: Any) -> Markup:
    """Write what each step pruned."""
    rows = [
        (
            str(at),
            tag("code", step_line(language, one.step)),
            f"{len(one.tensors):,}",
            f"{one.alive_before:,}",
            f"{one.removed:,}",
        )
        for at, one in enumerate(run.steps, 1)
    ]
    headers = [say(language, f"outcome_{key}") for key in ("number", "step", "tensors", "alive", "removed")]
    return table(headers, rows, numbers=(0, 2, 3, 4), label=say(language, "outcome_title"))


def tensor_table(language: str, report: Any, everything: bool = False) -> Markup:
    """List the pruned tensors, or all; each name is a button that selects its module."""
    rows = [
        (
            module_link(tensor),
            f"{tensor.count.size:,}",
            f"{tensor.count.masked:,}",
            joined([bar(tensor.count.sparsity), percent(tensor.count.sparsity)]),
            f"{tensor.count.zero:,}",
            joined((tag("code", name) for name in tensor.history), " → "),
        )
        for tensor in (report.tensors if everything else report.rows)
    ]
    headers = [say(language, f"tensors_{key}") for key in ("name", "size", "masked", "sparsity", "zero", "history")]
    return table(
        headers,
        rows,
        numbers=(1, 2, 3, 4),
        caption=say(language, f"tensors_{_listed(report, everything)}", count=len(rows)),
    )


def _listed(report: Any, everything: bool) -> str:
    """Return which tensors a table lists, as the key of its caption: a model without masks has zeros at most."""
    if everything:
        return "all"
    return "title" if report.targets else "zeros"


def module_link(tensor: Any) -> Markup:
    """Write a tensor's name as a button that selects its module."""
    return button(breakable(tensor.name), "module", cls="bp-link", module=tensor.module)


def shares(language: str, count: Any, digits: int = 2) -> str:
    """Write the masked share of a count, and that of its zeros where there are any to show."""
    masked, zero = (percent(one / count.size if count.size else 0.0, digits) for one in (count.masked, count.zero))
    return masked if zero == percent(0.0, digits) else masked + " + " + say(language, "share_zero", share=zero)


def words(language: str, start: str) -> dict[str, str]:
    """Return the words of the library's figures (`draw_`) or reports (`words_`) in the visitor's language."""
    return {key.removeprefix(start): text for key, text in texts(language).items() if key.startswith(start)}


def bar(share: float) -> Markup:
    """Draw a share as a short bar."""
    return tag("span", tag("span", style=f"width:{share:.1%}"), cls="bp-bar", aria_hidden="true")


@dataclass(frozen=True)
class Cell:
    """One cell of a map: its figure, the same exactly and in words, and how deep its colour is, from -1 to 1."""

    text: str
    said: str
    depth: float


def of_report(language: str, report: bp.SparsityReport) -> Markup:
    """Show by layer and role how much is masked or zero, on a fixed scale; zeros of biases come from no pruning."""
    pruned = bp.SparsityReport(tuple(one for one in report.tensors if one.masks or one.is_zeroed))

    def cell(count: Any) -> Cell:
        amount = say(language, "result_of", part=f"{count.masked:,}", whole=f"{count.size:,}")
        return Cell(shares(language, count, 1), f"{shares(language, count)} · {amount}", _gone(count))

    return _map(language, pruned, pruned.rows, cell) or tensor_table(language, pruned)


def of_comparison(language: str, found: Any) -> Markup:
    """Show by layer and role how much sparser the second run is than the first, on the scale of the largest."""
    far = max([0.05, *(abs(_gone(second) - _gone(first)) for first, second in found.matrix().values())])

    def cell(sides: Any) -> Cell:
        first, second = sides
        said = f"{shares(language, first)} → {shares(language, second)}"
        return Cell(points(second.sparsity - first.sparsity), said, (_gone(second) - _gone(first)) / far)

    return _map(language, found, [one.tensor for one in found.tensors], cell)


def _gone(count: Any) -> float:
    return 1 - count.alive / count.size if count.size else 0.0


def points(share: float) -> str:
    """Write a difference of shares in percentage points."""
    return f"{100 * share:+.2f}"


def _map(language: str, of: Any, tensors: Sequence[Any], cell: Callable[[Any], Cell]) -> Markup:
    """Draw layers × roles with their sums, and below them the roles outside; empty where no role is known.

    Each cell is a button that selects its module.
    """
    modules = {(one.layer, role): one.module for one in reversed(tensors) for role, _ in one.by_role()}
    if not modules.keys() - {(None, None)}:
        return Markup("")
    cells = {key: cell(value) for key, value in of.matrix().items()}
    sums = [{name: cell(value).text for name, value in of.by(what).items()} for what in ("layer", "role")]
    drawn = {
        key: _cell(f"{_name(language, key)}: {one.said}", one, modules[key], first=not at)
        for at, (key, one) in enumerate(cells.items())
    }
    inside = {key: one for key, one in drawn.items() if key[0] is not None}
    outside = {key: one for key, one in drawn.items() if key[0] is None}
    blocks = [
        scrolling(_block(language, one, *sums), say(language, "result_heatmap")) for one in (inside, outside) if one
    ]
    return tag("div", *blocks, note(say(language, "grid_info")), cls="bp-map")


def _block(
    language: str, drawn: Mapping[Key, Markup], by_layer: Mapping[Any, str], by_role: Mapping[Any, str]
) -> Markup:
    """Put cells into rows of layers and columns of roles, and their sums at the ends; roles outside have none."""
    layers = list(dict.fromkeys(layer for layer, _ in drawn))
    roles = [role for role in by_role if any(role == other for _, other in drawn)]
    outside = layers == [None]
    names = [say(language, "grid_layer"), *(breakable(role or say(language, "draw_other")) for role in roles)]
    every = say(language, "grid_all")
    rows = [tag("tr", *(tag("th", name, scope="col") for name in (names if outside else [*names, every])))]
    for layer in layers:
        name = tag("th", say(language, "grid_outside") if layer is None else str(layer), scope="row")
        figures = [tag("td", drawn.get((layer, role), "")) for role in roles]
        rows.append(tag("tr", name, *figures, "" if outside else tag("td", by_layer[layer], cls="num")))
    if not outside:
        figures = [tag("td", by_role[role], cls="num") for role in roles]
        rows.append(tag("tr", tag("th", every, scope="row"), *figures, tag("td")))
    return tag("table", tag("thead", rows[0]), tag("tbody", *rows[1:]))


def _name(language: str, key: Key) -> str:
    """Name a cell by its role and layer."""
    layer, role = key
    where = say(language, "cells_outside") if layer is None else f"{say(language, 'cells_layer')} {layer}"
    return f"{role or say(language, 'draw_other')}, {where}"


def _cell(label: str, cell: Cell, module: str, first: bool) -> Markup:
    deep, less = " bp-deep" * (abs(cell.depth) > _DEEP), " bp-less" * (cell.depth < 0)
    given = {"label": label, "style": f"--share:{abs(cell.depth):.1%}", "tabindex": "0" if first else "-1"}
    return button(cell.text, "module", cls=f"bp-map-cell{deep}{less}", module=module, **given)

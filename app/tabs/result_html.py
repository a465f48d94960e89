"""The results of a run in figures and tables, and as a picture whose cells are buttons."""

from collections.abc import Iterable, Mapping
from typing import Any

from markupsafe import Markup

import bertprune as bp

from ..html import breakable, button, facts, joined, note, percent, picture, table, tag
from ..i18n import say, texts
from ..i18n.errors import translate_error
from .steps import amount

Key = tuple[Any, Any]
_READABLE = 100
"""Pixels of a column, with its share of the legend, at which its numbers are legible."""


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
            tag("code", _did(one.step)),
            f"{len(one.tensors):,}",
            f"{one.alive_before:,}",
            f"{one.removed:,}",
        )
        for at, one in enumerate(run.steps, 1)
    ]
    headers = [say(language, f"outcome_{key}") for key in ("number", "step", "tensors", "alive", "removed")]
    return table(headers, rows, numbers=(0, 2, 3, 4), label=say(language, "outcome_title"))


def _did(step: bp.Step) -> str:
    """Write a step's method and amount, with what it prunes together where that is not the method's own."""
    together = [step.granularity] if step.granularity and not step.is_pattern else []
    return " ".join([step.method, *together, amount(step)])


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


def shares(language: str, count: Any) -> str:
    """Write the masked share of a count, and that of its zeros where there are any to show."""
    masked, zero = percent(count.sparsity), percent(count.zero / count.size if count.size else 0.0)
    return masked if zero == percent(0.0) else masked + " + " + say(language, "share_zero", share=zero)


def words(language: str, start: str) -> dict[str, str]:
    """Return the words of the library's figures (`draw_`) or reports (`words_`) in the visitor's language."""
    return {key.removeprefix(start): text for key, text in texts(language).items() if key.startswith(start)}


def bar(share: float) -> Markup:
    """Draw a share as a short bar."""
    return tag("span", tag("span", style=f"width:{share:.1%}"), cls="bp-bar", aria_hidden="true")


def grid(language: str, report: Any) -> Markup:
    """Write sparsity by layer and role in numbers, with sums; a click on a cell selects its module."""
    cells = {key: count for key, count in report.matrix().items() if key[1] is not None}
    if not cells:
        return Markup("")
    module = {(one.layer, role): one.module for one in reversed(report.rows) for role, _ in one.by_role()}
    by_layer, by_role = report.by("layer"), report.by("role")
    roles = [role for role in by_role if any(key[1] == role for key in cells)]
    layers = sorted({layer for layer, _ in cells}, key=lambda layer: (layer is None, layer))
    rows = [
        (
            say(language, "grid_outside") if layer is None else str(layer),
            *(_cell(language, cells.get((layer, role)), module.get((layer, role)), layer, role) for role in roles),
            shares(language, by_layer[layer]),
        )
        for layer in layers
    ]
    sums = (say(language, "grid_all"), *(shares(language, by_role[role]) for role in roles))
    headers = [say(language, "grid_layer"), *roles, say(language, "grid_all")]
    rows.append((*sums, shares(language, report.total)))
    return table(headers, rows, numbers=range(1, len(headers)), caption=say(language, "grid_title"))


def _cell(language: str, count: Any, module: str | None, layer: Any, role: str) -> Markup:
    if count is None or module is None:
        return Markup("")
    share = shares(language, count)
    name = f"{role} {'' if layer is None else layer} {share}"
    return button(share, "module", cls="bp-link", module=module, label=name)


def of_report(language: str, figure: Any, report: Any) -> Markup:
    """Show sparsity by layer and role."""
    numbers = {key: _numbers(language, count) for key, count in report.matrix().items()}
    return _clickable(language, figure, bp.figures.cells(figure, report), report.rows, numbers)


def of_comparison(language: str, figure: Any, found: Any) -> Markup:
    """Show by layer and role how much sparser the second run is than the first."""
    numbers = {
        key: f"{shares(language, first)} → {shares(language, second)}"
        for key, (first, second) in found.matrix().items()
    }
    targets = [one.tensor for one in found.tensors]
    return _clickable(language, figure, bp.figures.cells(figure, found), targets, numbers)


def _numbers(language: str, count: Any) -> str:
    amount = say(language, "result_of", part=f"{count.masked:,}", whole=f"{count.size:,}")
    return f"{shares(language, count)} · {amount}"


def _clickable(
    language: str, figure: Any, boxes: Mapping[Key, Any], targets: Iterable[Any], numbers: Mapping[Key, str]
) -> Markup:
    modules: dict[Key, str] = {}
    for one in targets:
        for key in (*((one.layer, role) for role, _ in one.by_role()), (one.module, one.tensor)):
            modules.setdefault(key, one.module)
    buttons = [
        _button(place, f"{_name(language, key)}: {numbers.get(key, '')}", modules[key], first=not at)
        for at, (key, place) in enumerate(boxes.items())
    ]
    # a few columns fit on a phone; more of them scroll
    least = min(440, _READABLE * len({column for _, column in boxes}))
    style = f"min-width:{least}px;max-width:{figure.bbox.width:.0f}px"
    inside = tag("div", picture(figure), joined(buttons), cls="bp-map-inside", style=style)
    return tag("div", inside, cls="bp-map")


def _name(language: str, key: Key) -> str:
    """Name a cell: role and layer, or module and tensor."""
    row, column = key
    if isinstance(row, str):
        return f"{row}.{column}"
    role = column or say(language, "draw_other")
    return f"{role}, {say(language, 'cells_outside') if row is None else say(language, 'cells_layer') + f' {row}'}"


def _button(place: Any, label: str, module: str, first: bool) -> Markup:
    box = ";".join(f"{side}:{share:.3%}" for side, share in zip(("left", "top", "width", "height"), place, strict=True))
    more = {"label": label, "style": box, "tabindex": "0" if first else "-1"}
    return button("", "module", cls="bp-map-cell", module=module, **more)

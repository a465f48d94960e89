"""The results of a run in figures and tables."""

from typing import Any

from markupsafe import Markup

from ..i18n import say
from ..words import percent
from .html import breakable, facts, joined, note, table, tag
from .recipe import amount


def summary(language: str, name: str, run: Any) -> Markup:
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
        opened = note(say(language, "result_opened", name=name))
        return joined([opened, facts((say(language, key), value) for key, value in pairs)])
    pairs.append(("result_seed", str(run.seed)))
    return joined([facts((say(language, key), value) for key, value in pairs), _outcomes(language, run)])


def _outcomes(language: str, run: Any) -> Markup:
    """Write what each step pruned."""
    rows = [
        (
            str(at),
            tag("code", f"{one.step.method} {amount(one.step)}"),
            f"{len(one.tensors):,}",
            f"{one.alive_before:,}",
            f"{one.removed:,}",
        )
        for at, one in enumerate(run.steps, 1)
    ]
    headers = [say(language, f"outcome_{key}") for key in ("number", "step", "tensors", "alive", "removed")]
    nothing = [
        note(say(language, "outcome_no_effect", number=at), "bp-refused")
        for at, one in enumerate(run.steps, 1)
        if not one.removed
    ]
    return joined([table(headers, rows, numbers=(0, 2, 3, 4), caption=say(language, "outcome_title")), *nothing])


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
    return tag("button", breakable(tensor.name), type="button", data_module=tensor.module, cls="bp-link")


def shares(language: str, count: Any) -> str:
    """Write the masked share of a count, and that of its zeros where there are any to show."""
    masked, zero = percent(count.sparsity), percent(count.zero / count.size if count.size else 0.0)
    return masked if zero == percent(0.0) else masked + " + " + say(language, "share_zero", share=zero)


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
    return tag("button", share, type="button", data_module=module, cls="bp-link", aria_label=name)

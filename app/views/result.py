"""What a run did, in figures and tables."""

from typing import Any

from ..i18n import say
from ..words import percent
from .html import Html, breakable, facts, joined, note, table, tag
from .recipe import amount


def summary(language: str, run: Any) -> Html:
    """Say how much of the targets, and of everything, is gone; and what each step took."""
    total, model = run.report.total, run.report.model
    pairs = [
        ("result_targets", f"{len(run.report.targets):,}"),
        ("result_masked", say(language, "result_of", part=f"{total.masked:,}", whole=f"{total.size:,}")),
        ("result_sparsity", percent(total.sparsity)),
        ("result_model", percent(model.masked / model.size if model.size else 0.0)),
        ("result_zero", f"{total.zero:,}"),
        ("result_seed", str(run.seed)),
    ]
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
    return joined([
        facts((say(language, key), value) for key, value in pairs),
        table(headers, rows, numbers=(0, 2, 3, 4), caption=say(language, "outcome_title")),
        *nothing,
    ])  # fmt: skip


def tensor_table(language: str, report: Any) -> Html:
    """List the pruned tensors; the name of each is a button that selects its module."""
    rows = [
        (
            tag("button", breakable(tensor.name), type="button", data_module=tensor.module, cls="bp-link"),
            f"{tensor.count.size:,}",
            f"{tensor.count.masked:,}",
            joined([_bar(tensor.count.sparsity), percent(tensor.count.sparsity)]),
            f"{tensor.count.zero:,}",
            joined((tag("code", name) for name in tensor.history), " → "),
        )
        for tensor in report.targets
    ]
    headers = [say(language, f"tensors_{key}") for key in ("name", "size", "masked", "sparsity", "zero", "history")]
    return table(headers, rows, numbers=(1, 2, 3, 4), caption=say(language, "tensors_title", count=len(rows)))


def _bar(share: float) -> Html:
    return tag("span", tag("span", style=f"width:{share:.1%}"), cls="bp-bar")

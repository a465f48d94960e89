"""The module tree, and one module as torch sees it: parameters, buffers, derived tensors, hooks, keys."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from markupsafe import Markup

import bertprune as bp

from ..html import breakable, joined, note, percent, short_number, table, tag
from ..i18n import say


def heading(language: str, node: bp.ModuleNode) -> Markup:
    """Write the module's name, class and size."""
    path = breakable(node.path) if node.path else say(language, "inspect_root")
    size = say(language, "inspect_size", parameters=f"{node.parameters:,}", share=percent(node.share))
    extra = tag("span", f"({node.extra})", cls="bp-extra") if node.extra and "\n" not in node.extra else ""
    return tag(
        "header", tag("h2", tag("code", path)), tag("p", tag("code", node.type), extra, " · ", size), cls="bp-module"
    )


def inspector(
    language: str, node: bp.ModuleNode, moments: dict[str, bp.Snapshot], changed: frozenset[str] | None = None
) -> Markup:
    """Show a module at each of the moments (`before`, `after` …), side by side where there is room.

    With the names of the tensors whose values `changed`, those that are the same at all moments are only named.
    """
    gone = bp.Snapshot((), (), (), (node.path,))  # of a module in a layer that a run takes out
    parts = {key: moment.module(node.path) if node.path in moment.modules else gone for key, moment in moments.items()}
    same = frozenset() if changed is None else _same(parts.values(), changed)
    columns = [_moment(language, key, part, same) for key, part in parts.items()]
    children = _children(language, node) if node.children else ""
    return joined([heading(language, node), tag("div", joined(columns), cls="bp-moments"), children])


def _same(parts: Iterable[bp.Snapshot], changed: frozenset[str]) -> frozenset[Any]:
    """Return the records that are the same at all moments; they hold four values of a tensor, and others may change."""
    equal = frozenset.intersection(*(frozenset(part.tensors) for part in parts))
    return frozenset(record for record in equal if record.name not in changed)


def _moment(language: str, key: str, moment: bp.Snapshot, same: frozenset[Any]) -> Markup:
    title = tag("h3", say(language, f"moment_{key}"))
    if not moment.tensors and not moment.hooks:
        return tag("section", title, note(say(language, "inspect_nothing")), cls=f"bp-moment bp-{key}")
    return tag(
        "section",
        title,
        _story(language, moment),
        _tensors(language, moment, same),
        _hooks(language, moment),
        _keys(language, moment),
        cls=f"bp-moment bp-{key}",
    )


def _story(language: str, moment: bp.Snapshot) -> Markup:
    """Show how torch computes each pruned tensor."""
    lines = []
    for derived in moment.derived:
        equation = joined([
            tag("code", derived.local, cls="bp-derived"), " = ",
            tag("code", f"{derived.local}_orig", cls="bp-parameter"), " × ",
            tag("code", f"{derived.local}_mask", cls="bp-buffer"),
        ])  # fmt: skip
        lines.append(tag("p", equation, tag("span", say(language, "inspect_story"), cls="bp-aside"), cls="bp-story"))
    return joined(lines)


def _tensors(language: str, moment: bp.Snapshot, same: frozenset[Any]) -> Markup:
    headers = [say(language, f"tensor_{key}") for key in ("name", "shape", "values")]
    rows = [
        (
            joined([tag("code", record.local), " ", _kind(language, record.kind)]),
            joined(["×".join(map(str, record.shape)) or "·", f" {record.dtype}", _gradient(record)]),
            _corner(record.corner),
        )
        for kind in ("parameter", "buffer", "derived")
        for record in moment.tensors
        if record.kind == kind and record not in same
    ]
    left_out = ", ".join(record.local for record in moment.tensors if record in same)
    unchanged = note(say(language, "inspect_same", names=left_out)) if left_out else ""
    return joined([table(headers, rows, label=say(language, "inspect_tensors")) if rows else "", unchanged])


def _gradient(record: Any) -> Markup:
    words = f"grad_fn={record.grad_fn}" if record.grad_fn else Markup(f"requires_<wbr>grad={record.requires_grad}")
    return tag("div", tag("code", words), cls="bp-dim")


def _kind(language: str, kind: str) -> Markup:
    return tag("span", say(language, f"kind_{kind}"), cls=f"bp-kind bp-{kind}")


def _corner(values: tuple[float, ...]) -> Markup:
    texts = [str(value) if isinstance(value, bool) else f"{value:.4g}" for value in values]
    whole = [tag("span", text, cls="bp-whole") for text in texts]
    if len(whole) < 4:
        return joined(whole, ", ") or Markup("–")
    return joined([joined(whole[:2], ", "), joined(whole[2:], ", ")], " … ")


def _hooks(language: str, moment: bp.Snapshot) -> Markup:
    lines = [
        tag("li", tag("code", hook.name), f" ({hook.tensor})" if hook.tensor else "", _history(hook.history))
        for hook in moment.hooks
    ]
    listed = tag("ul", joined(lines)) if lines else note(say(language, "inspect_no_hooks"))
    return tag("div", tag("h4", "_forward_pre_hooks"), listed, cls="bp-hooks")


def _history(history: tuple[str, ...]) -> Markup:
    if len(history) < 2:
        return Markup("")
    return joined([": ", joined((tag("code", name) for name in history), " → ")])


def _keys(language: str, moment: bp.Snapshot) -> Markup:
    names = joined((tag("code", key.rpartition(".")[2]) for key in moment.state_dict_keys), ", ")
    return tag("div", tag("h4", "state_dict"), tag("p", names or "–"), cls="bp-keys")


def _children(language: str, node: bp.ModuleNode) -> Markup:
    rows = []
    for run in node.groups():
        label = run[0].name if len(run) == 1 else f"{run[0].name}–{run[-1].name}"
        kind = run[0].type if len(run) == 1 else f"{len(run)} × {run[0].type}"
        rows.append(
            (
                tag("code", label),
                tag("code", kind),
                short_number(sum(one.parameters for one in run)),
                percent(sum(one.share for one in run), 1),
            )
        )
    headers = [say(language, f"children_{key}") for key in ("name", "type", "parameters", "share")]
    return table(headers, rows, numbers=(2, 3), caption=say(language, "inspect_children"))


_Tensors = dict[str, dict[str, tuple[int, int]]]


def tree_value(language: str, name: str, root: bp.ModuleNode, selected: str, report: Any = None) -> dict[str, Any]:
    """Write a tree as the data that the component draws; with what is masked or zero where there is a report."""
    there = None if report is None else _by_module(report)
    keys = ("search", "expand", "fold", "none", "tree", "sparsity")
    return {
        "model": name,
        "selected": selected,
        "nodes": [_node(root, root.type, there)],
        "text": {**{key: say(language, f"tree_{key}") for key in keys}, "root": say(language, "inspect_root")},
    }


def _node(node: bp.ModuleNode, name: str, there: _Tensors | None) -> dict[str, Any]:
    children = []
    for run in node.groups():
        drawn = [_node(child, child.name, there) for child in run]
        children += drawn if len(run) == 1 else [_group(run, drawn, there)]
    return {
        "p": node.path,
        "n": name,
        "t": node.type if name != node.type else "",
        "c": node.parameters,
        "f": short_number(node.parameters),
        "m": _share((node,), there),
        "k": children,
    }


def _group(run: tuple[bp.ModuleNode, ...], drawn: list[dict[str, Any]], there: _Tensors | None) -> dict[str, Any]:
    total = sum(node.parameters for node in run)
    return {
        "g": True,
        "p": run[0].path,
        "n": f"{run[0].name}–{run[-1].name}",
        "t": f"{len(run)} × {run[0].type}",
        "c": total,
        "f": short_number(total),
        "m": _share(run, there),
        "k": drawn,
    }


def _by_module(report: Any) -> _Tensors:
    """Return the tensors of each module, with how many of their weights are gone; tied ones wherever they are."""
    counted = {tensor.name for tensor in report.rows}
    found: _Tensors = {}
    for tensor in report.tensors:
        for name in (tensor.name, *tensor.aliases):
            found.setdefault(name.rpartition(".")[0], {})[tensor.name] = (
                tensor.count.size - tensor.count.alive if tensor.name in counted else 0,
                tensor.count.size,
            )
    return found


def _share(run: tuple[bp.ModuleNode, ...], there: _Tensors | None) -> float | None:
    """Return the share of masked and zero weights in some modules and those below; a tied tensor counts once."""
    if there is None:
        return None
    counts: dict[str, tuple[int, int]] = {}
    for node in run:
        for below in node.walk():
            counts |= there.get(below.path, {})
    total = sum(size for _, size in counts.values())
    return sum(gone for gone, _ in counts.values()) / total if total else None

"""The module tree as a component of the page, and the data that it draws."""

from __future__ import annotations

from typing import Any

import gradio as gr

import bertprune as bp

from .i18n import say
from .theme import component
from .words import short_number


def module_tree() -> gr.HTML:
    """Make the component; its `select` event carries the selected module's path as `module`."""
    return component("tree", "module-tree")


def tree_value(language: str, name: str, root: bp.ModuleNode, selected: str, report: Any = None) -> dict[str, Any]:
    """Write a tree as the data that the component draws; with what is masked or zero where there is a report."""
    gone = None if report is None else {path: one.size - one.alive for path, one in report.by("module").items()}
    keys = ("search", "expand", "fold", "none", "tree", "sparsity")
    return {
        "model": name,
        "selected": selected,
        "nodes": [_node(root, root.type, gone)],
        "text": {**{key: say(language, f"tree_{key}") for key in keys}, "root": say(language, "inspect_root")},
    }


def _node(node: bp.ModuleNode, name: str, gone: dict[str, int] | None) -> dict[str, Any]:
    children = []
    for run in node.groups():
        drawn = [_node(child, child.name, gone) for child in run]
        children += drawn if len(run) == 1 else [_group(run, drawn, gone)]
    return {
        "p": node.path,
        "n": name,
        "t": node.type if name != node.type else "",
        "c": node.parameters,
        "f": short_number(node.parameters),
        "m": _share((node,), gone),
        "k": children,
    }


def _group(run: tuple[bp.ModuleNode, ...], drawn: list[dict[str, Any]], gone: dict[str, int] | None) -> dict[str, Any]:
    total = sum(node.parameters for node in run)
    return {
        "g": True,
        "p": run[0].path,
        "n": f"{run[0].name}–{run[-1].name}",
        "t": f"{len(run)} × {run[0].type}",
        "c": total,
        "f": short_number(total),
        "m": _share(run, gone),
        "k": drawn,
    }


def _share(run: tuple[bp.ModuleNode, ...], gone: dict[str, int] | None) -> float | None:
    """Return the share of masked and zero weights in some modules and those below."""
    total = sum(node.parameters for node in run)
    if gone is None or not total:
        return None
    return min(1.0, sum(gone.get(below.path, 0) for node in run for below in node.walk()) / total)

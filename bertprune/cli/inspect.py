"""Commands that look and change nothing: tree, inspect, report, methods."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import BertpruneError
from ..recipe import Recipe
from .arguments import Either, Json, Revision, Seed, open_checkpoint, open_model, open_noted, open_skeleton
from .bar import progress_bar
from .beside import GROUPS, Group, show_both
from .console import Table, percent, print_json, say
from .options import load_methods, with_recipe

if TYPE_CHECKING:
    from ..model.snapshot import Snapshot
    from ..model.tree import ModuleNode
    from ..reports.sparsity import SparsityReport
    from ..scores import Method


def tree(
    source: Either,
    path: Annotated[str, typer.Argument(metavar="PATH", help="A module to start from.", show_default=False)] = "",
    depth: Annotated[
        int | None, typer.Option("--depth", min=0, help="How many levels to show.", show_default=False)
    ] = None,
    no_fold: Annotated[bool, typer.Option("--no-fold", help="Show identical layers one by one.")] = False,
    json: Json = False,
    revision: Revision = None,
) -> None:
    """Show the modules of a checkpoint and their sizes."""
    with progress_bar("reading"):
        from ..model.tree import tree as read

        node = read(open_skeleton(source, revision), path)
    if json:
        print_json(_node(node, depth))
    else:
        print(node.render(fold=not no_fold, depth=depth))


def _node(node: "ModuleNode", depth: int | None) -> dict[str, Any]:
    below = None if depth is None else depth - 1
    place = node.place and {"family": node.place.family, "layer": node.place.layer, "role": node.place.role}
    return {
        "path": node.path,
        "type": node.type,
        "extra": node.extra,
        "own_parameters": node.own_parameters,
        "parameters": node.parameters,
        "share": node.share,
        "place": place,
        "children": [] if depth == 0 else [_node(child, below) for child in node.children],
    }


@with_recipe
def inspect(
    source: Either,
    module: Annotated[str, typer.Argument(metavar="MODULE", help="A path such as encoder.layer.0.attention.self.key.")],
    recipe: Recipe | None,
    seed: Seed = 0,
    json: Json = False,
    revision: Revision = None,
) -> None:
    """Show a module's parameters, buffers and hooks. Given a step: before and after it."""
    shown = _inspect(source, module, recipe, seed, revision)
    if json:
        print_json({name: snapshot.to_dict() for name, snapshot in shown.items()})
        return
    for name, snapshot in shown.items():
        print(f"{name}:\n{snapshot.render()}" if len(shown) > 1 else snapshot.render())


def _inspect(source: str, module: str, recipe: Recipe | None, seed: int, revision: str | None) -> "dict[str, Snapshot]":
    with progress_bar("reading") as progress:
        if recipe is None:
            from ..model.snapshot import snapshot

            return {"now": snapshot(open_model(source, revision)).module(module)}
        from ..runs.run import prune

        run = prune(open_checkpoint(source, revision), recipe, seed, progress=progress)
        return {"before": run.before.module(module), "after": run.after.module(module)}


def report(
    source: Either,
    by: Annotated[
        str | None,
        typer.Option("--by", metavar="|".join(GROUPS), help="One table: a line each.", show_default=False),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option("--against", metavar="OTHER", help="Compare with another of the kind.", show_default=False),
    ] = None,
    json: Json = False,
    revision: Revision = None,
) -> None:
    """Show how sparse a checkpoint is, alone or against another."""
    groupings = _groupings(by)
    if against is not None:
        show_both(source, against, groupings, json, revision)
        return
    with progress_bar("counting"):
        from ..reports.sparsity import sparsity

        model, notes = open_noted(source, revision)
        found = sparsity(model)
    for note in notes:
        say(f"note: {note}")
    if json:
        print_json(found.to_dict())
    elif by is None and not sys.stdout.isatty():
        print(found.to_text())
    else:
        for grouping in groupings:
            _sparsities(found, grouping).print()


def _groupings(by: str | None) -> tuple[Group, ...]:
    chosen = tuple(group for group in GROUPS if group == by)
    if by is not None and not chosen:
        raise BertpruneError(f"--by {by!r}: not a way to group; choose {', '.join(GROUPS)}")
    return chosen or ("tensor", "layer", "role")


def _sparsities(report: "SparsityReport", by: Group) -> Table:
    """Lay out what is masked and what is merely zero, with the whole model at the foot."""
    if by == "tensor":
        counts = {(tensor.name, " → ".join(tensor.history) or "-"): tensor.count for tensor in report.targets}
    else:
        counts = {("-" if name is None else str(name), "-"): count for name, count in report.by(by).items()}
    counts |= {("all targets", "-"): report.total, ("whole model", "-"): report.model}
    rows = [
        (name, percent(c.sparsity), f"{c.masked:,}", f"{c.size:,}", f"{c.zero:,}", history)
        for (name, history), c in counts.items()
    ]
    columns = (by, "sparsity", "masked", "of", "zero", "steps")
    kept = 6 if by == "tensor" else 5
    return Table.of(columns[:kept], [row[:kept] for row in rows], numbers=columns[1:5])


def methods(
    methods_file: Annotated[
        list[Path] | None, typer.Option("--methods", metavar="FILE.py", help="Methods of your own.", show_default=False)
    ] = None,
    json: Json = False,
) -> None:
    """List the ways to prune and their options."""
    load_methods(methods_file)
    from ..scores import methods as registered

    known = sorted(registered().values(), key=lambda method: method.name)
    if json:
        print_json([_method(method) for method in known])
        return
    columns = ("method", "removes", "scopes", "options", "what it does")
    rows = [(m.name, m.removes, ", ".join(m.scopes), _options(m) or "-", m.summary) for m in known]
    Table.of(columns, rows).print()


def _method(method: "Method") -> dict[str, Any]:
    return {
        "name": method.name,
        "title": method.title,
        "summary": method.summary,
        "paper": method.paper,
        "removes": method.removes,
        "scopes": method.scopes,
        "options": method.options.model_json_schema().get("properties", {}),
    }


def _options(method: "Method") -> str:
    fields = method.options.model_fields.items()
    return ", ".join(name if field.is_required() else f"{name}={field.default}" for name, field in fields)


COMMANDS = {"tree": tree, "inspect": inspect, "report": report, "methods": methods}

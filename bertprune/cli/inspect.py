"""Commands that only show: tree, inspect, report, methods."""

import sys
from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args

import typer

import bertprune as bp

from ..errors import BertpruneError
from ..recipe import Recipe
from .console import Table, print_json, print_note, print_run_notes, progress_bar
from .options import (
    CheckpointName,
    Json,
    MethodFiles,
    Revision,
    Seed,
    load_methods,
    with_recipe_flags,
)
from .values import parse_source

Grouping = Literal["tensor", "layer", "role", "module", "type"]
_GROUPINGS: tuple[Grouping, ...] = get_args(Grouping)


def tree(
    source: CheckpointName,
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
        # the sizes of a checkpoint are in its headers
        node = bp.tree(bp.Checkpoint.open(source, revision=revision).skeleton(), path)
    if json:
        print_json(_node(node, depth))
    else:
        print(node.render(fold=not no_fold, depth=depth))


def _node(node: "bp.ModuleNode", depth: int | None) -> dict[str, Any]:
    below = None if depth is None else depth - 1
    place = node.place and {name: getattr(node.place, name) for name in ("family", "layer", "role", "uses")}
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


@with_recipe_flags
def inspect(
    source: CheckpointName,
    module: Annotated[str, typer.Argument(metavar="MODULE", help="A path such as encoder.layer.0.attention.self.key.")],
    recipe: Recipe | None,
    calibration: Any,
    seed: Seed = 0,
    json: Json = False,
    revision: Revision = None,
) -> None:
    """Show a module's parameters, buffers and hooks. With a recipe: before and after it."""
    with progress_bar("reading") as progress:
        checkpoint = bp.Checkpoint.open(source, revision=revision)
        run = None
        if recipe is None:
            shown = {"now": bp.snapshot(checkpoint.model())}
        else:
            run = bp.prune(checkpoint, recipe, seed, calibration=calibration, progress=progress)
            shown = {"before": run.before, "after": run.after}
        shown = {when: snapshot.module(module) for when, snapshot in shown.items()}
    if run is not None:
        print_run_notes(run)
    if json:
        print_json({when: snapshot.to_dict() for when, snapshot in shown.items()})
        return
    for when, snapshot in shown.items():
        print(snapshot.render() if recipe is None else f"{when}:\n{snapshot.render()}")


def report(
    source: CheckpointName,
    by: Annotated[
        str | None,
        typer.Option(
            "--by", metavar="|".join(_GROUPINGS), help="Print one table, grouped by this.", show_default=False
        ),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            metavar="OTHER",
            help="Another checkpoint to compare with.",
            show_default=False,
            parser=parse_source,
        ),
    ] = None,
    json: Json = False,
    revision: Revision = None,
) -> None:
    """Show how sparse a checkpoint is, alone or against another."""
    groupings = _groupings(by)
    found: bp.SparsityReport | bp.Comparison
    sources = [(source, revision)] if against is None else [(source, revision), (against, None)]
    with progress_bar("counting"):
        opened = [bp.Checkpoint.open(name, revision=version) for name, version in sources]
        models = [one.model() for one in opened]
        found = bp.sparsity(*models) if against is None else bp.compare(*models)
    for (name, _), one in zip(sources, opened, strict=True):
        for note in one.facts.notes:
            print_note(f"note: {note}" if against is None else f"note: {name}: {note}")
    if json:
        print_json(found.to_dict())
    elif isinstance(found, bp.SparsityReport) and by is None and not sys.stdout.isatty():
        print(found.to_text())
    else:
        for grouping in groupings:
            _table(found, grouping).print()


def _groupings(by: str | None) -> tuple[Grouping, ...]:
    chosen = tuple(grouping for grouping in _GROUPINGS if grouping == by)
    if by is not None and not chosen:
        sentence = "--by {by!r}: not a way to group; choose {known}"
        raise BertpruneError(sentence, code="cli.grouping", by=by, known=", ".join(_GROUPINGS))
    return chosen or ("tensor", "layer", "role")


def _table(found: "bp.SparsityReport | bp.Comparison", by: Grouping) -> Table:
    return _compared(found, by) if isinstance(found, bp.Comparison) else _counted(found, by)


def _counted(report: "bp.SparsityReport", by: Grouping) -> Table:
    """Lay out what is masked and what is zero without a mask, with the whole model last."""
    from ..reports import table  # loads torch

    words, totals = table.LABELS, list(table.total_rows(report.total, report.model, table.LABELS))
    columns = table.heading(by, words)[:-1]
    if by != "tensor":
        rows = [*table.group_rows(by, report.by(by), words), *totals]
        return Table.of(columns, [row[:-1] for row in rows], numbers=columns[1:])
    steps = [*(" → ".join(tensor.history) for tensor in report.rows), *("" for _ in totals)]
    rows = [*table.tensor_rows(report.rows, words), *totals]
    listed = [(*row, "; ".join(filter(None, (did, remark)))) for (*row, remark), did in zip(rows, steps, strict=True)]
    return Table.of((*columns, "steps"), listed, numbers=columns[1:])


def _compared(found: "bp.Comparison", by: Grouping) -> Table:
    """Lay out both sides' sparsity and, for tensors, how many values both mask, with the whole model last."""
    rows = list(_tensor_rows(found) if by == "tensor" else _group_rows(found, by))
    for name, sides in (("all targets", found.total), ("whole model", found.model)):
        rows.append((name, *_sides(*sides), ""))
    columns = (by, "first", "second", "difference", "masked in both")
    kept = 5 if by == "tensor" else 4
    return Table.of(columns[:kept], [row[:kept] for row in rows], numbers=columns[1:])


def _tensor_rows(found: "bp.Comparison") -> Iterator[tuple[str, ...]]:
    for one in found.tensors:
        yield one.name, *_sides(one.first, one.second), "?" if one.both is None else f"{one.both:,}"


def _group_rows(found: "bp.Comparison", by: Literal["layer", "role", "module", "type"]) -> Iterator[tuple[str, ...]]:
    for name, sides in found.by(by).items():
        yield "-" if name is None else str(name), *_sides(*sides), ""


def _sides(first: Any, second: Any) -> tuple[str, str, str]:
    """Write the sparsity of two counts, each None where a side lacks the tensor, and their difference."""
    one, other = ("-" if count is None else count.shares_text for count in (first, second))
    before, after = (0.0 if count is None else count.sparsity for count in (first, second))
    return one, other, f"{100 * (after - before):+.2f} pp"


def methods(methods_file: MethodFiles = None, json: Json = False) -> None:
    """List the ways to prune and their options."""
    load_methods(methods_file)
    known = sorted(bp.methods().values(), key=lambda method: method.name)
    if json:
        print_json([_method(method) for method in known])
        return
    columns = ("method", "granularities", "scopes", "texts", "options", "what it does")
    rows = [
        (m.name, ", ".join(m.granularities), ", ".join(m.scopes), _texts(m), _options(m) or "-", m.summary)
        for m in known
    ]
    Table.of(columns, rows).print()


def _method(method: Any) -> dict[str, Any]:
    return {
        "name": method.name,
        "title": method.title,
        "summary": method.summary,
        "paper": method.paper,
        "removes": method.removes,
        "granularities": method.granularities,
        "scopes": method.scopes,
        "needs_texts": method.needs_texts,
        "options": method.options.model_json_schema().get("properties", {}),
    }


def _texts(method: Any) -> str:
    return "needed" if method.needs_texts else "-"


def _options(method: Any) -> str:
    fields = method.options.model_fields.items()
    return ", ".join(name if field.is_required() else f"{name}={field.default}" for name, field in fields)


COMMANDS = {"tree": tree, "inspect": inspect, "report": report, "methods": methods}

"""Prune, and show the results."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

import bertprune as bp

from ..i18n import say, texts
from ..plan import Plan
from ..session import Done, Progress, Shelf, Source
from ..trouble import PageError, naming_field
from ..views.heatmap import of_report
from ..views.html import note, picture
from ..views.inspector import inspector
from ..views.result import grid, summary, tensor_table
from ..weights import mask_after, mask_before, weight_after
from .model import name_of


def prune(shelf: Shelf, source: Source, plan: Plan, seed: float | None, progress: Progress | None = None) -> Done:
    """Prune the checkpoint by the plan and return the key of the run. Raises BertpruneError."""
    if not source:
        raise PageError("open_nothing")
    if not plan.steps:
        raise PageError("prune_no_steps")
    if seed is None or not 0 <= seed < 2**63 or seed != int(seed):
        raise PageError("prune_seed")
    done = Done(source, plan.recipe, int(seed))
    with naming_field("step"):
        shelf.run(done, progress)
    return done


def report_of(shelf: Shelf, done: Done | None) -> Any:
    """Return the sparsity report of a run, or None."""
    return shelf.run(done).report if done is not None else None


def show_module(language: str, shelf: Shelf, source: Source, module: str) -> Markup:
    """Show a module before pruning."""
    if not source:
        return Markup("")
    node = _node(shelf, source, module)
    return inspector(language, node, {"before": shelf.before(source)})


def show_changes(
    language: str, shelf: Shelf, done: Done | None, module: str, baked: bool = False, everything: bool = True
) -> Markup:
    """Show a module before and after the run, optionally baked; with all its tensors, or only those that changed.

    Where no step was run there is one state alone, with all its tensors.
    """
    if done is None:
        return Markup("")
    run = shelf.run(done)
    moments = {"before": run.before, "after": run.after} if run.steps else {"before": run.before}
    if baked:
        moments["baked"] = _baked(shelf, done)
    shown = None if everything or not run.steps else _changed(shelf, done)
    return inspector(language, _node(shelf, done.source, module), moments, shown)


def _changed(shelf: Shelf, done: Done) -> frozenset[str]:
    """Return the names of the masks and values that the run changed, and of what the masks are applied to."""

    def make() -> tuple[frozenset[str], int]:
        run, model = shelf.run(done), shelf.checkpoint(done.source).model(done.seed)
        masks = {one: mask_before(model, one) for one in run.report.targets if one.name in run.masks}
        changed = [one for one, mask in masks.items() if mask is None or not mask.equal(run.masks[one.name])]
        names = [name for one in changed for name in (one.name, *one.aliases)]
        names += [f"{name}_mask" for name in names]
        names += [f"{name}_orig" for one in changed if one.name in run.values for name in (one.name, *one.aliases)]
        return frozenset(names), 100 * len(names)

    return shelf.keep((done, "changed"), make)


def _node(shelf: Shelf, source: Source, module: str) -> bp.ModuleNode:
    root = shelf.tree(source)
    return next((node for node in root.walk() if node.path == module), root)


def show_summary(language: str, shelf: Shelf, done: Done | None) -> Markup:
    """Summarise the run in numbers."""
    if done is None:
        return note(say(language, "result_none"), "bp-empty")
    return summary(language, name_of(shelf, done.source), shelf.run(done))


def show_tensors(language: str, shelf: Shelf, done: Done | None, everything: bool = False) -> Markup:
    """List the pruned tensors, or all of the model."""
    return Markup("") if done is None else tensor_table(language, shelf.run(done).report, everything)


def show_grid(language: str, shelf: Shelf, done: Done | None) -> Markup:
    """List sparsity by layer and role."""
    return Markup("") if done is None else grid(language, shelf.run(done).report)


def report_text(language: str, shelf: Shelf, done: Done | None) -> str:
    """Write the report as text, as in the tutorial."""
    return "" if done is None else shelf.run(done).report.to_text(words(language, "words_"))


def heatmap(language: str, shelf: Shelf, done: Done | None) -> Markup:
    """Draw sparsity by layer and role; empty where nothing is pruned."""
    if done is None or not (report := shelf.run(done).report).rows:
        return Markup("")

    def make() -> tuple[Markup, int]:
        drawn = of_report(language, bp.figures.heatmap(report, labels=words(language, "draw_")), report)
        return drawn, len(drawn)

    return shelf.keep((done, "heatmap", language), make)


def pictures(language: str, shelf: Shelf, done: Done | None, module: str) -> list[Markup]:
    """Draw the mask and the weights of the selected module's first pruned tensor; both empty where it has none."""
    target = None if done is None else _target(shelf.run(done).report, module)
    if done is None or target is None:
        return [Markup(""), Markup("")]

    def make() -> tuple[list[Markup], int]:
        run, model = shelf.run(done), shelf.checkpoint(done.source).model(done.seed)
        mask, weight = mask_after(run, model, target), weight_after(run, model, target)
        given = {"labels": words(language, "draw_"), "title": target.name}
        drawn = [
            picture(bp.figures.mask(mask, **given), say(language, "result_mask")),
            picture(bp.figures.histogram(weight, mask, **given), say(language, "result_histogram")),
        ]
        return drawn, sum(map(len, drawn))

    return shelf.keep((done, "pictures", target.name, language), make)


def _target(report: Any, module: str) -> Any:
    """Find the tensor to draw: a matrix rather than a bias."""
    here = [tensor for tensor in report.targets if tensor.module == module]
    return next((tensor for tensor in here if tensor.tensor == "weight"), here[0] if here else None)


def words(language: str, start: str) -> dict[str, str]:
    """Return the words of the library's figures (`draw_`) or reports (`words_`) in the visitor's language."""
    return {key.removeprefix(start): text for key, text in texts(language).items() if key.startswith(start)}


def _baked(shelf: Shelf, done: Done) -> bp.Snapshot:
    """Record the model with its masks baked in, once per run."""

    def make() -> tuple[Any, int]:
        with shelf.model_of(done) as run:
            # another visitor may be using run.model; baked, it computes the same
            return bp.snapshot(bp.bake(run.model)), 1_000_000

    return shelf.keep((done, "baked"), make)


def code(shelf: Shelf, done: Done | None) -> list[str]:
    """Write the run as a Python script: in plain torch where torch can do it, and in bertprune."""
    return ["", ""] if done is None else [shelf.run(done).as_python(), shelf.run(done).as_python(ours=True)]


def first_target(shelf: Shelf, source: Source, plan: Plan) -> str | None:
    """Return the first module that the plan prunes, to select it."""
    if not plan.steps:
        return None
    steps = bp.preview(shelf.checkpoint(source), plan.recipe).steps
    return steps[0].targets[0].rpartition(".")[0]

"""Prune, and show what became of the model."""

from __future__ import annotations

from typing import Any

import bertprune as bp

from ..i18n import say, texts
from ..plan import Plan
from ..session import Done, Progress, Shelf, Source
from ..trouble import PageError, entered
from ..views.heatmap import of_report
from ..views.html import Html, note, picture
from ..views.inspector import inspector
from ..views.result import grid, summary, tensor_table


def prune(
    language: str, shelf: Shelf, source: Source, plan: Plan, seed: float | None, progress: Progress | None = None
) -> Done:
    """Carry out the plan on the checkpoint and name the run. Raises BertpruneError."""
    if not source:
        raise PageError(say(language, "open_nothing"))
    if not plan.steps:
        raise PageError(say(language, "prune_no_steps"))
    if seed is None or not 0 <= seed < 2**63 or seed != int(seed):
        raise PageError(say(language, "prune_seed"))
    done = Done(source, plan.recipe, int(seed))
    with entered("step"):
        shelf.run(done, progress)
    return done


def report_of(shelf: Shelf, done: Done | None) -> Any:
    """Give the sparsity report of a run, or None."""
    return shelf.run(done).report if done is not None else None


def show_module(language: str, shelf: Shelf, source: Source, module: str) -> Html:
    """Show a module as it comes."""
    if not source:
        return Html("")
    node = _node(shelf, source, module)
    return inspector(language, node, {"before": shelf.before(source)})


def show_changes(
    language: str, shelf: Shelf, done: Done | None, module: str, baked: bool = False, everything: bool = True
) -> Html:
    """Show a module before and after the run, and baked if that is wanted; all its tensors, or what changed alone."""
    if done is None:
        return Html("")
    run = shelf.run(done)
    moments = {"before": run.before, "after": run.after}
    if baked:
        moments["baked"] = _baked(shelf, done)
    return inspector(language, _node(shelf, done.source, module), moments, everything)


def _node(shelf: Shelf, source: Source, module: str) -> bp.ModuleNode:
    root = shelf.tree(source)
    return next((node for node in root.walk() if node.path == module), root)


def show_summary(language: str, shelf: Shelf, done: Done | None) -> Html:
    """Say in figures what the run did."""
    if done is None:
        return note(say(language, "result_none"), "bp-empty")
    return summary(language, shelf.run(done))


def show_tensors(language: str, shelf: Shelf, done: Done | None, everything: bool = False) -> Html:
    """List the tensors that the run touched, or all of the model."""
    return Html("") if done is None else tensor_table(language, shelf.run(done).report, everything)


def show_grid(language: str, shelf: Shelf, done: Done | None) -> Html:
    """List sparsity by layer and role in numbers."""
    return Html("") if done is None else grid(language, shelf.run(done).report)


def report_text(language: str, shelf: Shelf, done: Done | None) -> str:
    """Write the report as the tutorial prints it."""
    return "" if done is None else shelf.run(done).report.to_text(words(language, "words_"))


def heatmap(language: str, shelf: Shelf, done: Done | None) -> Html:
    """Draw sparsity by layer and role; nothing where nothing is pruned."""
    if done is None or not (report := shelf.run(done).report).targets:
        return Html("")

    def make() -> tuple[Html, int]:
        drawn = of_report(language, bp.figures.heatmap(report, labels=words(language, "draw_")), report)
        return drawn, len(drawn)

    return shelf.keep((done, "heatmap", language), make)


def pictures(language: str, shelf: Shelf, done: Done | None, module: str) -> list[Html]:
    """Draw the mask and the weights of the chosen module's first pruned tensor; nothing twice where it has none."""
    target = None if done is None else _target(shelf.run(done).report, module)
    if done is None or target is None:
        return [Html(""), Html("")]

    def make() -> tuple[list[Html], int]:
        mask = shelf.run(done).masks[target.name]
        weight = shelf.checkpoint(done.source).model(done.seed).get_parameter(target.name).detach()
        said = {"labels": words(language, "draw_"), "title": target.name}
        drawn = [
            picture(bp.figures.mask(mask, **said), say(language, "result_mask")),
            picture(bp.figures.histogram(weight, mask, **said), say(language, "result_histogram")),
        ]
        return drawn, sum(map(len, drawn))

    return shelf.keep((done, "pictures", target.name, language), make)


def _target(report: Any, module: str) -> Any:
    """Find the tensor to picture: a matrix rather than a bias."""
    here = [tensor for tensor in report.targets if tensor.module == module]
    return next((tensor for tensor in here if tensor.tensor == "weight"), here[0] if here else None)


def words(language: str, start: str) -> dict[str, str]:
    """Give the words of the library's figures (`draw_`) or reports (`words_`) in the visitor's language."""
    return {key.removeprefix(start): text for key, text in texts(language).items() if key.startswith(start)}


def _baked(shelf: Shelf, done: Done) -> bp.Snapshot:
    """Record the model with its masks baked in, made once a run."""

    def make() -> tuple[Any, int]:
        with shelf.model_of(done) as run:
            # run.model may be looked at by another visitor meanwhile: baked, it computes the same
            return bp.snapshot(bp.bake(run.model)), 1_000_000

    return shelf.keep((done, "baked"), make)


def code(shelf: Shelf, done: Done | None) -> list[str]:
    """Write the run as a Python script: in plain torch where torch can do it, and in bertprune."""
    return ["", ""] if done is None else [shelf.run(done).as_python(), shelf.run(done).as_python(ours=True)]


def first_target(shelf: Shelf, source: Source, plan: Plan) -> str | None:
    """Name the module that the plan meets first, so that it can be looked at."""
    if not plan.steps:
        return None
    steps = bp.preview(shelf.checkpoint(source), plan.recipe).steps
    return steps[0].targets[0].rpartition(".")[0]

"""One run: what it did in one sentence, the map of layers and parts, and the selected module before and after."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from markupsafe import Markup

import bertprune as bp

from ..html import Part, check, heading, joined, next_step, note, percent, picture, plus_minus, short_number, tag
from ..i18n import say
from ..runs import Run, RunKey, is_pruned
from ..store import Store
from ..visit import Visit
from .cost_html import figure_name
from .inspector import inspector, tree_value
from .model import node_at
from .recipe import changed_since
from .result_html import of_report, outcomes, shares, summary, tensor_table, words
from .runs import run_name


def show_run(store: Store, visit: Visit) -> Markup:
    """Write what the run did to the model in one sentence, and whether the cards are still those of it."""
    language, run = visit.language, visit.shown
    title = tag("h2", run_name(language, run))
    lead = tag("p", *_sentence(language, run), cls="bp-lead", role="status")
    return joined([title, lead, _of_foreign_texts(language, run), older(visit, run)])


def _of_foreign_texts(language: str, run: Run) -> Markup:
    """Say that a plan's texts seem to be in another language than the model's; empty where they do not."""
    if run.planned is None or not run.planned.is_foreign:
        return Markup("")
    return note(say(language, "run_foreign", share=percent(run.planned.spelled, 0)), "bp-honest")


def older(visit: Visit, run: Run) -> Markup:
    """Say that the cards have changed since a run, wherever it is looked at; empty where they have not."""
    words = changed_since(visit.language, visit, run)
    return note(words, "bp-honest") if words else Markup("")


def _sentence(language: str, run: Run) -> list[Any]:
    if run.is_dense and not run.came_pruned:
        return [say(language, "run_dense")]
    parts = [say(language, "result_opened", name=run.name)] if run.is_dense else []
    if run.masked is not None and not run.is_dense:
        count, size = run.masked
        parts.append(say(language, "run_masked", count=f"{count:,}", size=short_number(size)))
        parts.append(say(language, "run_model", share=shares(language, run.count)))
    if run.planned is not None:
        parts.append(say(language, "run_planned", share=percent(run.planned.macs, 1)))
    if run.quality is not None and (measured := headline(language, run.quality)):
        parts.append(measured)
    if run.speed is not None:
        parts.append(say(language, "run_faster", times=f"{run.speed.timings[-1].ratio.value:.2f}"))
    return [say(language, "run_and").join(parts) + "."]


def headline(language: str, report: Any) -> str:
    """Write the first figure of a measurement, before and after, with its interval."""
    for name, score in report.scores.items():
        before = f"{score.before.value:.3f} → " if score.before else ""
        return f"{figure_name(language, name)} {before}{plus_minus(score.after)}"
    for name, figure in report.fidelity.items():
        return f"{figure_name(language, name)} {figure.value:.3f}"
    return ""


def show_map(store: Store, visit: Visit) -> Markup:
    """Show the sparsity of the run by layer and role; where nothing is masked, say so."""
    language, run = visit.language, visit.shown
    report = store.run(run.key).report
    title = heading(say(language, "result_heatmap"))
    if not report.rows or (run.is_dense and not is_pruned(report)):
        return joined([title, note(say(language, "result_no_masks"), "bp-empty")])

    return joined([title, of_report(language, report), emptied(language, report)])


def emptied(language: str, report: Any) -> Markup:
    """Name the tensors that nothing is left of."""
    names = [tensor.name for tensor in report.tensors if tensor.count.masked and not tensor.count.alive]
    if not names:
        return Markup("")
    shown = ", ".join(names[:3]) + ("…" if len(names) > 3 else "")
    return note(say(language, "result_emptied", count=len(names), names=shown), "bp-honest")


def show_changes(store: Store, visit: Visit) -> Markup:
    """Show the selected module before and after the run, with its mask and its weights."""
    language, run = visit.language, visit.shown
    boxes = [
        check("everything", visit.everything, say(language, "shown_all"), data_choose="view"),
        check(
            "baked", visit.baked, say(language, "result_baked"), say(language, "result_baked_info"), data_choose="view"
        ),
    ]
    node = node_at(store, run.key.source, visit.module)
    moments, changed = moments_of(store, run.key, visit.baked), None
    if not visit.everything and not run.is_dense:
        changed = _changed(store, run.key)
    shown = inspector(language, node, moments, changed)
    return joined([heading(say(language, "result_module")), tag("div", *boxes, cls="bp-actions"), shown])


def show_pictures(store: Store, visit: Visit) -> Markup:
    """Draw the mask and the weights of the selected module."""
    language, run = visit.language, visit.shown
    drawn = pictures_of(store, language, run.key, visit.module)
    return tag("div", *drawn, cls="bp-pictures") if drawn else note(say(language, "result_unpictured"))


def _is_unmade(store: Store, visit: Visit) -> bool:
    return not store.has("run", visit.shown.key)


def _is_undrawn(store: Store, visit: Visit) -> bool:
    key = visit.shown.key
    if _is_unmade(store, visit):
        return True
    target = target_of(store.run(key).report, visit.module)
    return target is not None and not store.has("light", (key, "pictures", target.name, visit.language))


def moments_of(store: Store, key: RunKey, baked: bool) -> dict[str, bp.Snapshot]:
    """Return the model before and after a run, and baked; a checkpoint as it was opened is alone."""
    run = store.run(key)
    moments = {"before": run.before, "after": run.after} if run.steps else {"before": run.before}
    return {**moments, "baked": _baked(store, key)} if baked else moments


def _changed(store: Store, key: RunKey) -> frozenset[str]:
    """Return the names of the masks and values that the run changed, and of what the masks are applied to."""

    def make() -> tuple[frozenset[str], int]:
        run, model = store.run(key), store.checkpoint(key.source).model(key.seed)
        masks = {one: mask_before(model, one) for one in run.report.targets if one.name in run.masks}
        changed = [one for one, mask in masks.items() if mask is None or not mask.equal(run.masks[one.name])]
        names = [name for one in changed for name in (one.name, *one.aliases)]
        names += [f"{name}_mask" for name in names]
        names += [f"{name}_orig" for one in changed if one.name in run.values for name in (one.name, *one.aliases)]
        return frozenset(names), 100 * len(names)

    return store.keep((key, "changed"), make)


def _baked(store: Store, key: RunKey) -> bp.Snapshot:
    """Record the model with its masks baked in, once per run."""

    def make() -> tuple[Any, int]:
        with store.model_of(key) as run:
            # another visitor may be using run.model; baked, it computes the same
            return bp.snapshot(bp.bake(run.model)), 1_000_000

    return store.keep((key, "baked"), make)


def pictures_of(store: Store, language: str, key: RunKey, module: str) -> list[Markup]:
    """Draw the mask and the weights of the selected module's first pruned tensor; none where it has none."""
    run = store.run(key)
    target = target_of(run.report, module)
    if target is None:
        return []

    def make() -> tuple[list[Markup], int]:
        model = store.checkpoint(key.source).model(key.seed)
        mask, weight = mask_after(run, model, target), weight_after(run, model, target)
        given = {"labels": words(language, "draw_"), "title": target.name}
        drawn = [
            picture(bp.figures.mask(mask, **given), say(language, "result_mask")),
            picture(bp.figures.histogram(weight, mask, **given), say(language, "result_histogram")),
        ]
        return drawn, sum(map(len, drawn))

    return store.keep((key, "pictures", target.name, language), make)


def weight_after(run: Any, model: Any, tensor: Any) -> Any:
    """Return the values of a counted tensor without its mask: those that a run adjusted, or those that it came with."""
    if tensor.name in run.values:
        return run.values[tensor.name]
    module = model.get_submodule(tensor.module)
    return getattr(module, f"{tensor.tensor}_orig", getattr(module, tensor.tensor)).detach()


def mask_before(model: Any, tensor: Any) -> Any:
    """Return the mask with which a tensor came, as bool; None for one that came without."""
    mask = getattr(model.get_submodule(tensor.module), f"{tensor.tensor}_mask", None)
    return None if mask is None else mask.bool()


def mask_after(run: Any, model: Any, tensor: Any) -> Any:
    """Return the mask that a run leaves on a tensor: its own, or the one with which the tensor came."""
    return run.masks[tensor.name] if tensor.name in run.masks else mask_before(model, tensor)


def target_of(report: Any, module: str) -> Any:
    """Find the tensor of a module to draw: a matrix rather than a bias; None where none is masked."""
    here = [tensor for tensor in report.targets if tensor.module == module]
    return next((tensor for tensor in here if tensor.tensor == "weight"), here[0] if here else None)


def show_details(store: Store, visit: Visit) -> Markup:
    """Write the run in numbers: what each step did, the tensors, the report as text, the same in Python."""
    language, shown = visit.language, visit.shown
    run = store.run(shown.key)
    text = run.report.to_text(words(language, "words_"))
    folds = [
        _fold("steps", say(language, "outcome_title"), outcomes(language, run)) if run.steps else "",
        _fold("tensors", say(language, "result_tensors"), tensor_table(language, run.report, visit.everything)),
        _fold("report", say(language, "result_text"), _code(text)),
    ]
    if not shown.is_dense:
        ways = (("torch", run.as_python()), ("ours", run.as_python(ours=True)))
        code = [joined([tag("h3", say(language, f"code_{way}")), _code(script)]) for way, script in ways]
        folds.append(_fold("code", say(language, "result_code"), joined(code)))
    going_on = next_step(say(language, "next_export"), "export")
    return joined([summary(language, run), tag("div", *folds, cls="bp-folds"), going_on])


def _fold(key: str, title: str, inner: object) -> Markup:
    return tag("details", tag("summary", title), inner, data_key=f"fold-{key}")


def _code(text: str) -> Markup:
    return tag("pre", tag("code", text), cls="bp-code", tabindex="0")


def show_tree(store: Store, visit: Visit) -> Any:
    """Give the module tree, with what the run that is shown masks, where it is of the open checkpoint."""
    run = _counted(visit)
    return _tree(store, visit, None if run is None else store.run(run.key).report)


def _counted(visit: Visit) -> Run | None:
    """Return the run that is shown, where it is one of the open checkpoint and its weights were counted."""
    run = visit.shown
    if run.key.source != visit.source or run.count is None:
        return None
    return run if run.came_pruned or not run.is_dense else None


def _tree(store: Store, visit: Visit, report: Any = None) -> Any:
    called = f"{visit.source.given}@{visit.source.revision}"
    return tree_value(visit.language, called, store.tree(visit.source), visit.module, report)


def _is_uncounted(store: Store, visit: Visit) -> bool:
    run = _counted(visit)
    return run is not None and not store.has("run", run.key)


def choose_view(store: Store, visit: Visit, asked: dict[str, Any]) -> Visit:
    """Choose what is shown of a module."""
    name = str(asked.get("name"))
    return replace(visit, **{name: asked.get("value") is True}) if name in ("everything", "baked") else visit


PARTS = (
    Part("run", show_run, ("run", "runs", "cards", "given", "seed", "source")),
    Part("map", show_map, ("run",), _is_unmade),
    Part("changes", show_changes, ("run", "module", "everything", "baked"), _is_unmade),
    Part("pictures", show_pictures, ("run", "module"), _is_undrawn),
    Part("details", show_details, ("run", "everything"), _is_unmade),
    Part("tree", show_tree, ("source", "module", "run", "runs"), _is_uncounted, _tree),
)
ACTS = {"view": choose_view}

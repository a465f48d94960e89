"""The results of a run: modules, tables, pictures, words; without a browser."""

import re

import bertprune as bp
from app.handlers import results
from app.plan import Plan
from app.presets import preset
from app.scenes import Scenes, View
from app.session import Done, Shelf, Source

KEY = "bert.encoder.layer.0.attention.self.key"


def test_a_run_equals_the_librarys(shelf: Shelf, source: Source, done: Done) -> None:
    ours = bp.prune(source.given, preset("random"), seed=0)
    assert results.report_of(shelf, done).to_dict() == ours.report.to_dict()
    assert results.code(shelf, done) == [ours.as_python(), ours.as_python(ours=True)]
    assert source.given not in "".join(results.code(shelf, done))


def test_a_module_is_shown_with_torchs_tensors_and_hooks(shelf: Shelf, source: Source, done: Done) -> None:
    before = results.show_module("en", shelf, source, KEY)
    assert "weight_orig" not in before
    after = results.show_changes("en", shelf, done, KEY, baked=True)
    for word in ("weight_orig", "weight_mask", "MulBackward0", "RandomUnstructured", "Baked"):
        assert word in after
    assert after.count("weight_mask") == 3  # the story, the buffer, the state_dict
    assert "no tensors of its own" in results.show_changes("en", shelf, done, "bert.encoder")


def test_pictures_are_drawn_for_pruned_modules_only(shelf: Shelf, done: Done) -> None:
    assert all("<img" in figure for figure in results.pictures("ko", shelf, done, KEY))
    assert results.pictures("en", shelf, done, "bert.pooler.dense") == ["", ""]
    assert results.heatmap("en", shelf, None) == ""


def test_each_cell_of_the_heatmap_chooses_its_module_and_has_its_numbers(shelf: Shelf, source: Source) -> None:
    done = results.prune(shelf, source, Plan(preset("global")), 0)
    drawn, report = results.heatmap("en", shelf, done), shelf.run(done).report
    assert drawn.count("<img") == 1
    assert drawn.count("bp-map-cell") == drawn.count("data-module") == len(report.matrix()) == 6
    count = report.matrix()[0, "attention.key"]
    said = f"attention.key, layer 0: {count.sparsity:.2%} · {count.masked:,} of {count.size:,}"
    assert re.search(f'data-module="{KEY}" aria-label="{re.escape(said)}"', drawn)
    assert drawn.count('tabindex="0"') == 1


def test_unchanged_tensors_are_only_named_unless_all_are_shown(shelf: Shelf, done: Done) -> None:
    whole = results.show_changes("en", shelf, done, KEY, everything=True)
    changed = results.show_changes("en", shelf, done, KEY, everything=False)
    assert whole.count("<code>bias</code>") > changed.count("<code>bias</code>")
    assert changed.count("Unchanged, not shown: bias") == 2
    assert changed.count("weight_mask") == whole.count("weight_mask")
    assert "Unchanged, not shown: weight, bias" in results.show_changes(
        "en", shelf, done, "bert.pooler.dense", everything=False
    )
    assert results.show_tensors("en", shelf, done).count("data-module") == 1
    every = results.show_tensors("en", shelf, done, everything=True)
    assert every.count("data-module") == len(shelf.run(done).report.tensors)


def test_showing_it_baked_leaves_the_run_unchanged(shelf: Shelf, done: Done) -> None:
    results.show_changes("en", shelf, done, KEY, baked=True)
    assert "weight_mask" in dict(shelf.run(done).model.get_submodule(KEY).named_buffers())


def test_the_report_is_the_librarys_in_the_visitors_words(shelf: Shelf, done: Done) -> None:
    assert results.report_text("en", shelf, done) == shelf.run(done).report.to_text()
    assert "모델 전체" in results.report_text("ko", shelf, done)
    figures = bp.figures.LABELS
    assert results.words("en", "draw_").items() <= figures.items()
    assert results.words("ko", "draw_").keys() == figures.keys()


def test_results_of_other_steps_are_marked_as_those_of_an_earlier_run(shelf: Shelf, done: Done) -> None:
    def said(plan: Plan) -> str:
        form = (None, [], "", "", "weight", "l1_unstructured", {}, "fraction", 20, None, "local")
        view = View.of("en", done.source, plan, done, KEY, None, None, "baked", "", False, "changed", "roles", *form)
        return str(Scenes(shelf).plan(view)[-1])

    assert "307 weights are masked" in said(Plan(preset("random")))
    assert "an earlier run" in said(Plan(preset("global")))


def test_the_grid_selects_modules_and_sums_up(shelf: Shelf, source: Source) -> None:
    done = results.prune(shelf, source, Plan(preset("global")), 0)
    written = results.show_grid("en", shelf, done)
    report = shelf.run(done).report
    assert written.count("data-module") == 6
    assert f'data-module="{KEY}"' in written
    assert written.count(f"{report.total.sparsity:.2%}") >= 1
    for count in report.by("role").values():
        assert f"{count.sparsity:.2%}" in written

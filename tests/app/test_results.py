"""The results of a run: its sentence, modules, tables, pictures, words; without a browser."""

import re
from dataclasses import replace

import pytest
import torch
from markupsafe import escape

import bertprune as bp
from app.making import recipe_of, with_recipe
from app.offers import ROLES, preset
from app.runs import RunKey
from app.store import Store
from app.tabs import bar, result
from app.tabs.inspector import tree_value
from app.tabs.result_html import of_report
from app.visit import Visit, choose_run
from tests.app.conftest import pruned

KEY = "bert.encoder.layer.0.attention.self.key"


@pytest.fixture
def everywhere(store: Store, visit: Visit) -> Visit:
    """Give the visit after the tutorial's global recipe."""
    return pruned(store, visit, preset("global"))


def test_a_run_equals_the_librarys(store: Store, ran: Visit, done: RunKey) -> None:
    ours = bp.prune(ran.source.given, preset("random"), seed=0)
    assert store.run(done).report.to_dict() == ours.report.to_dict()
    details = result.show_details(store, ran)
    assert escape(ours.as_python().splitlines()[-1]) in details
    assert ran.source.given not in details


def test_a_run_says_in_one_sentence_what_it_did(store: Store, ran: Visit) -> None:
    said = result.show_run(store, ran)
    assert "307 of 1.02 k weights masked; sparsity of the model" in said
    dense = result.show_run(store, choose_run(ran, -1))
    assert "no step has been run on it" in dense and "masked" not in dense


def test_a_module_is_shown_with_torchs_tensors_and_hooks(store: Store, ran: Visit) -> None:
    shown = result.show_changes(store, replace(ran, module=KEY, baked=True))
    for word in ("weight_orig", "weight_mask", "MulBackward0", "RandomUnstructured", "Baked"):
        assert word in shown
    before, _, _ = shown.partition("bp-after")
    assert "weight_mask" not in before
    assert "no tensors of its own" in result.show_changes(store, replace(ran, module="bert.encoder"))


def test_pictures_are_drawn_for_pruned_modules_only(store: Store, ran: Visit, done: RunKey) -> None:
    assert all("<img" in figure for figure in result.pictures_of(store, "ko", done, KEY))
    assert result.pictures_of(store, "en", done, "bert.pooler.dense") == []
    assert "no tensor of its own with a mask" in result.show_pictures(store, replace(ran, module="bert.pooler.dense"))


def test_each_cell_of_the_map_chooses_its_module_and_has_its_numbers(store: Store, everywhere: Visit) -> None:
    drawn, report = result.show_map(store, everywhere), store.run(everywhere.shown.key).report  # type: ignore[union-attr]
    assert drawn.count("bp-map-cell") == drawn.count("data-module") == len(report.matrix()) == 6
    count = report.matrix()[0, "attention.key"]
    said = f"attention.key, layer 0: {count.sparsity:.2%} · {count.masked:,} of {count.size:,}"
    assert re.search(f'data-module="{KEY}" aria-label="{re.escape(said)}"', drawn)
    assert drawn.count('tabindex="-1"') == 5  # one is reached by Tab, the others by arrows


def test_tensors_that_nothing_is_left_of_are_named(store: Store, visit: Visit) -> None:
    whole = bp.Step(method="l1_unstructured", fraction=1.0, select=f"{KEY}")
    assert f"Nothing is left of 1: {KEY}.weight" in result.show_map(
        store, pruned(store, visit, bp.Recipe(steps=[whole]))
    )


def test_unchanged_tensors_are_only_named_unless_all_are_shown(store: Store, ran: Visit, done: RunKey) -> None:
    there = replace(ran, module=KEY)
    whole = result.show_changes(store, replace(there, everything=True))
    changed = result.show_changes(store, there)
    assert whole.count("<code>bias</code>") > changed.count("<code>bias</code>")
    assert changed.count("Unchanged, not shown: bias") == 2
    assert changed.count("weight_mask") == whole.count("weight_mask")
    every = result.show_details(store, replace(there, everything=True))
    assert f"All tensors ({len(store.run(done).report.tensors)})" in every
    assert "Pruned tensors (1)" in result.show_details(store, there)


def test_showing_it_baked_leaves_the_run_unchanged(store: Store, ran: Visit, done: RunKey) -> None:
    result.show_changes(store, replace(ran, module=KEY, baked=True))
    assert "weight_mask" in dict(store.run(done).model.get_submodule(KEY).named_buffers())


def test_the_report_is_the_librarys_in_the_visitors_words(store: Store, ran: Visit) -> None:
    assert "모델 전체" in result.show_details(store, replace(ran, language="ko"))
    figures = bp.figures.LABELS
    assert result.words("en", "draw_").items() <= figures.items()
    assert result.words("ko", "draw_").keys() == figures.keys()


def test_a_changed_recipe_is_said_wherever_the_run_is_looked_at(
    store: Store, ran: Visit, subtests: pytest.Subtests
) -> None:
    from app.tabs import cost, export

    other = with_recipe(store, ran, preset("global"))
    for name, show in [
        ("bar", bar.show_bar), ("run", result.show_run), ("cost", cost.show_cost), ("export", export.show_export),
    ]:  # fmt: skip
        with subtests.test(name):
            assert "has changed" not in show(store, ran)
            assert "has changed" in show(store, other)
            assert "바뀌었습니다" in show(store, replace(other, language="ko"))
            assert "has changed" not in show(store, with_recipe(store, other, preset("random")))  # the same steps again
            assert "have been removed" in show(store, replace(other, cards=()))
            assert "has changed" in show(store, replace(ran, seed=1))


def test_the_map_sums_up_layers_and_roles(store: Store, everywhere: Visit) -> None:
    drawn = result.show_map(store, everywhere)
    report = store.run(everywhere.shown.key).report  # type: ignore[union-attr]
    for count in (*report.by("layer").values(), *report.by("role").values()):
        assert f'<td class="num">{count.sparsity:.1%}</td>' in drawn


def test_roles_outside_the_layers_have_a_row_of_their_own(store: Store, visit: Visit) -> None:
    both = bp.Selection(roles=["attention.key", "pooler"])
    ran = pruned(store, visit, bp.Recipe(steps=[bp.Step(method="l1_unstructured", fraction=0.5, select=both)]))
    inside, outside = result.show_map(store, ran).split("</table>")[:2]
    assert "attention" in inside and "pooler" not in inside
    assert "pooler" in outside and outside.count("bp-map-cell") == 1


def test_a_map_of_a_model_without_roles_is_a_table(store: Store) -> None:
    layer = torch.nn.utils.prune.l1_unstructured(torch.nn.Linear(4, 4), "weight", amount=4)
    assert "25.00%" in of_report("en", bp.sparsity(layer))


def test_colours_are_dark_where_much_is_gone_and_their_numbers_can_be_read(store: Store, visit: Visit) -> None:
    for share, deep in ((0.3, 0), (0.9, 6)):
        step = bp.Step(method="l1_unstructured", fraction=share, select=bp.Selection(roles=list(ROLES[:3])))
        drawn = result.show_map(store, pruned(store, visit, bp.Recipe(steps=[step])))
        assert (drawn.count("bp-deep"), drawn.count(f"--share:{share:.1%}")) == (deep, 6)


def test_tied_tensors_are_pruned_wherever_the_tree_shows_them(store: Store, tiny_folder: object) -> None:
    from app.runs import Source
    from app.tabs.model import opened

    visit = opened(store, Visit(), Source(str(tiny_folder("BertForMaskedLM")), shown="tied"))  # type: ignore[operator]
    half = bp.Step(method="l1_unstructured", fraction=0.5, select=bp.Selection(roles=["embeddings.word"]))
    report = store.run(pruned(store, visit, bp.Recipe(steps=[half])).shown.key).report  # type: ignore[union-attr]
    tree = tree_value("en", "tied", store.tree(visit.source), "", report)
    shares = {node["p"]: node["m"] for node in walk(tree["nodes"]) if not node.get("g")}
    assert (
        shares["bert.embeddings.word_embeddings"] == shares["cls.predictions.decoder"]
        or shares["cls.predictions.decoder"] > 0.4
    )
    gone = sum(tensor.count.size - tensor.count.alive for tensor in report.rows)
    assert shares[""] == pytest.approx(gone / report.model.size)  # tied tensors count once


def walk(nodes: list[dict]) -> list[dict]:  # type: ignore[type-arg]
    return [one for node in nodes for one in (node, *walk(node["k"]))]


def test_the_run_is_made_by_the_cards(store: Store, visit: Visit) -> None:
    loaded = with_recipe(store, visit, preset("random"))
    assert recipe_of(store, loaded) == preset("random")

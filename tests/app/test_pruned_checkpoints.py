"""Checkpoints that are pruned already, with masks or with zeros, through every part of the page; without a browser."""

import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import bertprune as bp
from app import exporting
from app.making import counted
from app.offers import preset
from app.opening import take_table
from app.runs import Run, RunKey, Source
from app.runtime import remove
from app.store import Store
from app.tabs import bar, cost, export, result
from app.tabs.model import opened
from app.tabs.runs import show_pair, show_runs
from app.visit import Visit, note_run
from app.visitors import Visitor
from tests.app.conftest import nothing, pruned

KEY = "bert.encoder.layer.0.attention.self.key"
HALF = bp.Recipe(steps=[bp.Step(method="l1_unstructured", fraction=0.5, select=f"{KEY}")])


@pytest.fixture
def further(store: Store, masked: Source) -> RunKey:
    """Give a run that prunes a masked checkpoint further."""
    return key(pruned(store, opened(store, Visit(), masked), HALF))


def key(visit: Visit) -> RunKey:
    """Give the key of the run that is shown."""
    assert visit.shown is not None
    return visit.shown.key


def unchanged(store: Store, done: RunKey, module: str) -> set[str]:
    """Give the names of the tensors of a module that the page calls unchanged."""
    visit = replace(opened(store, Visit(), done.source), module=module)
    shown = result.show_changes(store, pruned(store, visit, done.recipe))
    return {name for part in shown.split("Unchanged, not shown: ")[1:] for name in part.partition("<")[0].split(", ")}


def test_a_masked_checkpoint_is_drawn_after_pruning_it_further(
    store: Store, further: RunKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr(bp.figures, "histogram", lambda weight, mask, **_: drawn.append((weight, mask)))
    monkeypatch.setattr(result, "picture", lambda *_: "picture")
    assert result.pictures_of(store, "en", further, KEY) == ["picture", "picture"]
    ((weight, mask),) = drawn
    assert mask.sum() == 1024 - 307 - 358  # half of 717 that were alive
    assert bool(weight[~mask].any())  # as it was before pruning, not the zeros that a mask makes of it


def test_a_mask_that_changed_away_from_the_corners_is_not_called_unchanged(store: Store, further: RunKey) -> None:
    assert unchanged(store, further, KEY) == {"bias", "weight_orig"}
    other = bp.Recipe(steps=[bp.Step(method="l1_unstructured", fraction=0.5, select="*.query")])
    elsewhere = key(pruned(store, opened(store, Visit(), further.source), other))
    assert unchanged(store, elsewhere, KEY) == {"bias", "weight", "weight_orig", "weight_mask"}


@pytest.mark.parametrize("form", ["baked", "masked"])
def test_the_estimated_size_counts_the_masks_of_the_source(store: Store, further: RunKey, form: str) -> None:
    run = Run(1, "tiny", further, **counted(store, further))
    parcel = exporting.export(store, further, form, "")
    remove(parcel.zip.parent)
    header = 4_000  # counted in no estimate, and large beside a tiny model
    weights = sum(size for file, size in parcel.files.items() if file.endswith(".safetensors"))
    assert export.stored("float32", run, form) == pytest.approx(weights - header, rel=0.03)


def test_adjusted_weights_are_drawn_and_not_called_unchanged(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    neurons = bp.Step(method="obs", granularity="neuron", fraction=0.25, reconstruct=True)
    done = key(pruned(store, opened(store, Visit(), Source("demo")), bp.Recipe(steps=[neurons])))
    run, module = store.run(done), "bert.encoder.layer.0.output.dense"
    assert f"{module}.weight" in run.values
    drawn: list[Any] = []
    monkeypatch.setattr(bp.figures, "histogram", lambda weight, mask, **_: drawn.append(weight))
    monkeypatch.setattr(result, "picture", lambda *_: "picture")
    result.pictures_of(store, "en", done, module)
    assert drawn[0].equal(run.values[f"{module}.weight"])
    assert unchanged(store, done, module) == {"bias"}


def seen(store: Store, source: Source) -> Visit:
    """Give the visit of one who has opened a checkpoint, after its weights were read."""
    visit = replace(opened(store, Visit(), source), module=KEY)
    return note_run(visit, key(visit), **counted(store, key(visit)))


def node(nodes: list[dict[str, Any]], path: str) -> dict[str, Any]:
    """Find a module in what the tree draws."""
    stack = list(nodes)
    while (one := stack.pop(0))["p"] != path or one.get("g"):
        stack += one["k"]
    return one


@pytest.mark.parametrize("form", ["masked", "baked"])
def test_an_opened_checkpoint_shows_its_masks_and_zeros_at_once(
    store: Store, exported: Callable[[str], Source], form: str
) -> None:
    visit = seen(store, exported(form))
    model = bp.sparsity(store.checkpoint(visit.source).model()).model
    share = f"{307 / model.size:.2%}"
    assert (share if form == "masked" else f"0.00% + {model.zero / model.size:.2%} zero") in show_runs(store, visit)
    fresh = 32 if form == "baked" else 0  # a bias of zeros, which only a model without masks shows
    assert node(result.show_tree(store, visit)["nodes"], KEY)["m"] == pytest.approx((307 + fresh) / (1024 + 32))
    untouched = opened(store, Visit(), visit.source)
    assert node(result.show_tree(store, untouched)["nodes"], KEY)["m"] is None  # nothing is counted, nothing claimed
    assert "bp-map-cell" in result.show_map(store, untouched)  # which reads the weights, and is not drawn again
    assert "as it was opened" in result.show_run(store, visit)
    details = result.show_details(store, visit)
    assert ("Tensors with a mask" in details) == ("Pruned tensors (1)" in details) == (form == "masked")
    changes = result.show_changes(store, visit)
    assert "Unchanged" not in changes and "bp-after" not in changes  # there is nothing to compare with
    assert "bp-map-cell" in result.show_map(store, visit)
    assert ("<img" in result.show_pictures(store, visit)) == (form == "masked")


def test_runs_of_a_masked_checkpoint_are_compared_with_the_masks_that_it_came_with(
    store: Store, masked: Source
) -> None:
    query = bp.Recipe(steps=[bp.Step(method="l1_unstructured", fraction=0.5, select="*.layer.0.*.query")])
    visit = pruned(store, pruned(store, opened(store, Visit(), masked), HALF), query)
    shown = show_pair(store, replace(visit, pair=(1, 2)))
    size = bp.sparsity(store.checkpoint(masked).model()).model.size
    assert f"{(307 + 358) / size:.2%} → {(307 + 512) / size:.2%}" in shown
    assert "Tensors that differ (2)" in shown


def test_a_plain_checkpoint_is_not_called_pruned(store: Store, source: Source) -> None:
    visit = seen(store, source)
    assert not node(result.show_tree(store, visit)["nodes"], KEY)["m"]
    assert "No tensor has a mask" in result.show_map(store, visit)
    assert "no step has been run on it" in result.show_run(store, visit)
    assert "1 step" not in bar.show_bar(store, visit)


def test_a_masked_checkpoint_is_tried_measured_and_exported_as_the_library_does(
    store: Store, masked: Source, tmp_path: Path
) -> None:
    table = tmp_path / "t.csv"
    table.write_text("text,label\nthe film was good,1\nbad plot,0\n")
    visitor = Visitor(replace(seen(store, masked), data=take_table(str(table))))
    visitor.put(cost.measure(store, visitor, {}, nothing)(visitor.visit))
    assert visitor.visit.shown is not None
    assert visitor.visit.shown.quality.scores == bp.evaluate(masked.given, table).scores
    shown = cost.show_cost(store, visitor.visit)
    assert "as it was opened" in shown and "No prediction changed" not in shown
    visitor.put(cost.ask(store, visitor, {"text": "the film"}, nothing)(visitor.visit))
    assert visitor.visit.shown.answers == bp.try_text(masked.given, "the film")
    answers = cost.show_ask(store, replace(visitor.visit, language="ko"))
    assert "처음 연 상태의 모델의 예측" in answers
    built = exporting.export(store, visitor.visit.shown.key, "masked", "")
    with zipfile.ZipFile(built.zip) as packed:
        packed.extractall(tmp_path / "home")
    remove(built.zip.parent)
    back = bp.Checkpoint.open(tmp_path / "home" / built.zip.stem)
    assert bp.sparsity(back.model()).total == bp.sparsity(store.checkpoint(masked).model()).total
    assert back.pruning is not None and back.pruning.recipe == preset("random")  # which made the masks


@pytest.mark.parametrize(
    ("model_cls", "text", "words"), [("BertForMaskedLM", "the [MASK]", "blank 1"), ("BertModel", "the film", "numbers")]
)
def test_other_heads_show_one_side_before_they_are_pruned(
    store: Store, tiny_folder: Callable[..., Path], tmp_path: Path, model_cls: str, text: str, words: str
) -> None:
    run = bp.prune(tiny_folder(model_cls), bp.Step(method="l1_unstructured", fraction=0.5, select="*.key"))
    bp.export(run, tmp_path / "masked", "masked")
    pair = "a plot" if model_cls == "BertModel" else ""
    visitor = Visitor(opened(store, Visit(), Source(str(tmp_path / "masked"), shown="masked")))
    visitor.put(cost.ask(store, visitor, {"text": text, "pair": pair}, nothing)(visitor.visit))
    shown = cost.show_ask(store, visitor.visit)
    assert "of the model as it was opened" in shown and words in shown

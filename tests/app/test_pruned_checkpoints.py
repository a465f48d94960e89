"""Checkpoints that are pruned already, with masks or with zeros, through every part of the page; without a browser."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import bertprune as bp
from app.acts import Acts
from app.handlers import compare, cost, results, take
from app.plan import Plan
from app.presets import preset
from app.runs import Runs
from app.scenes import Scenes, View
from app.session import Done, Shelf, Source
from app.weigh import export_size

KEY = "bert.encoder.layer.0.attention.self.key"
HALF = bp.Recipe(steps=[bp.Step(method="l1_unstructured", fraction=0.5, select=f"{KEY}")])


@pytest.fixture
def further(shelf: Shelf, masked: Source) -> Done:
    """Give a run that prunes a masked checkpoint further."""
    return results.prune(shelf, masked, Plan(HALF), 0)


def unchanged(shelf: Shelf, done: Done, module: str) -> set[str]:
    """Give the names of the tensors of a module that the page calls unchanged."""
    shown = results.show_changes("en", shelf, done, module, everything=False)
    return {name for part in shown.split("Unchanged, not shown: ")[1:] for name in part.partition("<")[0].split(", ")}


def test_a_masked_checkpoint_is_drawn_after_pruning_it_further(
    shelf: Shelf, further: Done, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr(bp.figures, "histogram", lambda weight, mask, **_: drawn.append((weight, mask)))
    monkeypatch.setattr("app.handlers.results.picture", lambda *_: "picture")
    assert results.pictures("en", shelf, further, KEY) == ["picture", "picture"]
    ((weight, mask),) = drawn
    assert mask.sum() == 1024 - 307 - 358  # half of 717 that were alive
    assert bool(weight[~mask].any())  # as it was before pruning, not the zeros that a mask makes of it


def test_a_mask_that_changed_away_from_the_corners_is_not_called_unchanged(shelf: Shelf, further: Done) -> None:
    assert unchanged(shelf, further, KEY) == {"bias", "weight_orig"}
    other = Plan(bp.Recipe(steps=[bp.Step(method="l1_unstructured", fraction=0.5, select="*.query")]))
    elsewhere = results.prune(shelf, further.source, other, 0)
    assert unchanged(shelf, elsewhere, KEY) == {"bias", "weight", "weight_orig", "weight_mask"}


@pytest.mark.parametrize("form", ["baked", "masked"])
def test_the_estimated_size_counts_the_masks_of_the_source(shelf: Shelf, further: Done, form: str) -> None:
    foreseen = export_size(shelf.checkpoint(further.source), shelf.run(further), form)
    parcel = take.build("en", shelf, further, form, "")
    with zipfile.ZipFile(parcel.zip) as packed:
        (weights,) = [entry for entry in packed.infolist() if entry.filename.endswith(".safetensors")]
    take.throw_away(parcel)
    header = 4_000  # counted in no estimate, and large beside a tiny model
    assert foreseen.stored == pytest.approx(weights.file_size - header, rel=0.03)
    assert foreseen.zipped == pytest.approx(weights.compress_size, rel=0.05)


def test_adjusted_weights_are_drawn_and_not_called_unchanged(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    neurons = bp.Step(method="obs", granularity="neuron", fraction=0.25, reconstruct=True)
    done = results.prune(shelf, Source("demo"), Plan(bp.Recipe(steps=[neurons])), 0)
    run, module = shelf.run(done), "bert.encoder.layer.0.output.dense"
    assert f"{module}.weight" in run.values
    drawn: list[Any] = []
    monkeypatch.setattr(bp.figures, "histogram", lambda weight, mask, **_: drawn.append(weight))
    monkeypatch.setattr("app.handlers.results.picture", lambda *_: "picture")
    results.pictures("en", shelf, done, module)
    assert drawn[0].equal(run.values[f"{module}.weight"])
    assert unchanged(shelf, done, module) == {"bias"}


FIELDS = (None, [], "", "", "weight", "l1_unstructured", {}, "fraction", 20, None, "local")
REQUEST = SimpleNamespace(session_hash="visitor")


def view(source: Source, done: Done | None = None, plan: Plan | None = None, language: str = "en") -> View:
    """Give the state of a visitor who has opened a checkpoint."""
    return View.of(
        language, source, plan or Plan(), done, KEY, None, None, "baked", "", False, "changed", "roles", *FIELDS
    )


def node(nodes: list[dict[str, Any]], path: str) -> dict[str, Any]:
    """Find a module in what the tree draws."""
    stack = list(nodes)
    while (one := stack.pop(0))["p"] != path or one.get("g"):
        stack += one["k"]
    return one


@pytest.mark.parametrize("form", ["masked", "baked"])
def test_an_opened_checkpoint_shows_its_masks_and_zeros_at_once(
    shelf: Shelf, exported: Callable[[str], Source], form: str
) -> None:
    opened, scenes = view(exported(form)), Scenes(shelf)
    model = shelf.counted(opened.source).model
    status, tree, _ = scenes.overview(opened)
    share = f"{307 / model.size:.2%}"
    assert f"<dd>{share if form == 'masked' else '0.00%'}" in status
    assert f"{model.zero / model.size:.2%} zero" in status
    assert f"{model.alive:,}" in status
    fresh = 32 if form == "baked" else 0  # a bias of zeros, which only a model without masks shows
    assert node(tree["nodes"], KEY)["m"] == pytest.approx((307 + fresh) / (1024 + 32))
    assert "Sparsity" not in scenes.glance(opened)[0]  # nothing is counted yet, and so nothing is claimed
    summary, _, tensors, text, *_, more = scenes.run(opened)
    assert "as it was opened" in summary
    assert "307" in tensors and "307" in text
    assert ("Tensors with a mask" in summary) == ("Pruned tensors (1)" in tensors) == (form == "masked")
    assert more["visible"]
    changes = scenes.module(opened)[1]
    assert "Unchanged" not in changes and "After" not in changes  # there is nothing to compare with
    assert "<img" in scenes.heatmap(opened)[0]
    assert ("<img" in scenes.pictures(opened)[0]) == (form == "masked")


def test_runs_of_a_masked_checkpoint_are_compared_with_the_masks_that_it_came_with(shelf: Shelf, further: Done) -> None:
    query = bp.Recipe(steps=[bp.Step(method="l1_unstructured", fraction=0.5, select="*.layer.0.*.query")])
    runs = Runs()
    for one in (further, results.prune(shelf, further.source, Plan(query), 0)):
        runs = compare.remember(shelf, runs, one)
    shown = compare.compare("en", shelf, runs, 1, 2)
    size = shelf.counted(further.source).model.size
    assert f"{(307 + 358) / size:.2%} → {(307 + 512) / size:.2%}" in shown
    assert "Tensors that differ (2)" in shown


def test_a_plain_checkpoint_is_not_called_pruned(shelf: Shelf, source: Source) -> None:
    status, tree, _ = Scenes(shelf).overview(view(source))
    assert "<dd>0.00%" in status
    assert node(tree["nodes"], KEY)["m"] is None
    assert "Nothing is pruned yet" in Scenes(shelf).run(view(source))[0]
    with pytest.raises(bp.BertpruneError, match="Nothing is pruned yet"):
        Acts(shelf).ask("en", source, None, None, "the film", "", "")


def test_a_masked_checkpoint_is_tried_measured_and_exported_as_the_library_does(
    shelf: Shelf, masked: Source, tmp_path: Path
) -> None:
    acts, table = Acts(shelf), tmp_path / "t.csv"
    table.write_text("text,label\nthe film was good,1\nbad plot,0\n")
    found = acts.measure("en", masked, None, None, "file", str(table), "", REQUEST, lambda *_, **__: None)
    assert found.quality.scores == bp.evaluate(masked.given, table).scores
    shown = cost.show_quality("en", found)
    assert "as it was opened" in shown and "No prediction changed" not in shown
    found = acts.ask("en", masked, None, found, "the film", "", "")
    assert found.answers == bp.try_text(masked.given, "the film")
    answers = cost.show_answers("ko", found)
    assert "처음 연 상태의 모델의 예측" in answers and "두 모델" not in answers
    parcel = acts.build("en", masked, None, "masked", "", None, REQUEST, lambda *_, **__: None)
    with zipfile.ZipFile(parcel.zip) as packed:
        packed.extractall(tmp_path / "home")
    take.throw_away(parcel)
    back = bp.Checkpoint.open(tmp_path / "home" / parcel.zip.stem)
    assert bp.sparsity(back.model()).total == shelf.counted(masked).total
    assert back.pruning is not None and back.pruning.recipe == preset("random")  # which made the masks


@pytest.mark.parametrize(
    ("model_cls", "text", "words"), [("BertForMaskedLM", "the [MASK]", "blank 1"), ("BertModel", "the film", "numbers")]
)
def test_other_heads_show_one_side_before_they_are_pruned(
    shelf: Shelf, tiny_folder: Callable[..., Path], tmp_path: Path, model_cls: str, text: str, words: str
) -> None:
    run = bp.prune(tiny_folder(model_cls), bp.Step(method="l1_unstructured", fraction=0.5, select="*.key"))
    bp.export(run, tmp_path / "masked", "masked")
    pair = "a plot" if model_cls == "BertModel" else ""
    found = Acts(shelf).ask("en", Source(str(tmp_path / "masked")), None, None, text, pair, "")
    shown = cost.show_answers("en", found)
    assert "of the model as it was opened" in shown and words in shown


def test_figures_of_an_earlier_run_are_marked_above_every_tab(
    shelf: Shelf, source: Source, done: Done, subtests: pytest.Subtests
) -> None:
    for language in ["en", "ko"]:
        with subtests.test(language):
            said = {"en": "an earlier run", "ko": "이전 실행"}[language]
            steps = Plan(preset("random"))
            for part in (Scenes(shelf).overview, Scenes(shelf).plan):
                assert said not in "".join(map(str, part(view(source, done, steps, language))))
                for other in (Plan(preset("global")), steps.clear()):
                    assert said in "".join(map(str, part(view(source, done, other, language))))

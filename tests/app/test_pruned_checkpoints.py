"""Checkpoints that are pruned already, with masks or with zeros, through every part of the page; without a browser."""

import zipfile
from typing import Any

import pytest

import bertprune as bp
from app.handlers import results, take
from app.plan import Plan
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
    parcel = take.build("en", shelf, further, form)
    with zipfile.ZipFile(parcel.zip) as packed:
        (weights,) = [entry for entry in packed.infolist() if entry.filename.endswith(".safetensors")]
    take.throw_away(parcel)
    header = 4_000  # counted in no estimate, and large beside a tiny model
    assert foreseen.stored == pytest.approx(weights.file_size - header, rel=0.03)
    assert foreseen.zipped == pytest.approx(weights.compress_size, rel=0.05)


def test_adjusted_weights_are_drawn_and_not_called_unchanged(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    columns = bp.Step(method="obs", granularity="neuron", fraction=0.25, reconstruct=True)
    done = results.prune(shelf, Source("demo"), Plan(bp.Recipe(steps=[columns])), 0)
    run, module = shelf.run(done), "bert.encoder.layer.0.output.dense"
    assert f"{module}.weight" in run.values
    drawn: list[Any] = []
    monkeypatch.setattr(bp.figures, "histogram", lambda weight, mask, **_: drawn.append(weight))
    monkeypatch.setattr("app.handlers.results.picture", lambda *_: "picture")
    results.pictures("en", shelf, done, module)
    assert drawn[0].equal(run.values[f"{module}.weight"])
    assert unchanged(shelf, done, module) == {"bias"}

"""The runs of a session, and two of them side by side."""

from collections.abc import Callable
from pathlib import Path

import pytest

import bertprune as bp
from app.handlers import compare, results
from app.plan import Plan
from app.presets import preset
from app.runs import MOST, Runs
from app.session import Done, Shelf, Source


@pytest.fixture
def runs(shelf: Shelf, source: Source) -> Runs:
    """Three runs: at random with two seeds, and the tutorial's global one."""
    kept = Runs()
    for name, seed in (("random", 0), ("random", 1), ("global", 0)):
        kept = compare.remember(shelf, kept, results.prune(shelf, source, Plan(preset(name)), seed))
    return kept


def test_runs_are_numbered_named_and_bounded(runs: Runs) -> None:
    assert compare.choices("en", runs) == [
        ("tiny, as it was opened", -1),
        ("1. tiny: random_unstructured 30% local · Seed 0", 1),
        ("2. tiny: random_unstructured 30% local · Seed 1", 2),
        ("3. tiny: l1_unstructured 20% global · Seed 0", 3),
    ]
    again = runs.add("tiny", runs.kept[0].done)
    assert [run.number for run in again.kept] == [2, 3, 1]
    many = Runs()
    for seed in range(MOST + 5):
        many = many.add("tiny", Done(Source("x"), preset("columns"), seed))
    assert [run.number for run in many.kept] == list(range(6, MOST + 6))
    assert "and 2 more" in compare.choices("en", many)[1][0]
    assert many.find(1) is None


def test_two_runs_are_shown_with_the_librarys_numbers(shelf: Shelf, runs: Runs) -> None:
    shown = compare.compare("en", shelf, runs, 1, 3)
    found = bp.compare(*(shelf.run(runs.find(number).done) for number in (1, 3)))  # type: ignore[union-attr]
    one, other = found.total
    assert f"{one.sparsity:.2%} → {other.sparsity:.2%}" in shown
    assert f"Tensors that differ ({sum(tensor.differs for tensor in found.tensors)})" in shown
    assert shown.count("bp-map-cell") == len(found.matrix())
    for sides in found.by("role").values():
        assert f"{100 * (sides[1].sparsity - sides[0].sparsity):+.2f}" in shown
    assert "1. tiny" in shown and "3. tiny" in shown


def test_two_seeds_mask_equally_many_but_other_weights(shelf: Shelf, runs: Runs) -> None:
    shown = compare.compare("ko", shelf, runs, 1, 2)
    assert "+0.00" in shown
    assert "서로 다른 텐서(1개)" in shown


def test_only_two_different_runs_of_the_session_are_compared(
    shelf: Shelf, runs: Runs, subtests: pytest.Subtests
) -> None:
    for pair in [(1, 1), (None, 1), (1, 9)]:
        with subtests.test(str(pair)), pytest.raises(bp.BertpruneError, match="two different runs"):
            compare.compare("en", shelf, runs, *pair)


def test_a_run_is_compared_with_its_checkpoint_as_it_was_opened(shelf: Shelf, runs: Runs) -> None:
    (_, untouched), (_, number) = compare.choices("en", Runs(runs.kept[:1]))
    shown = compare.compare("en", shelf, Runs(runs.kept[:1]), untouched, number)
    assert "0.00% → 29.98%" in shown
    assert "tiny, as it was opened" in shown


def test_what_both_mask_is_counted_where_only_one_run_touched_the_checkpoints_masks(
    shelf: Shelf, exported: Callable[[str], Source]
) -> None:
    pruned, runs = exported("masked"), Runs()
    for module in ("*.query", "*.value"):
        recipe = bp.Recipe.of(bp.Step(method="l1_unstructured", fraction=0.5, select=module))
        runs = compare.remember(shelf, runs, results.prune(shelf, pruned, Plan(recipe), 0))
    one, other = (shelf.run(run.done) for run in runs.kept)
    found = bp.compare(one, other)
    assert all(tensor.both is not None for tensor in found.tensors)
    assert f"{sum(tensor.both or 0 for tensor in found.tensors):,}" in compare.compare("en", shelf, runs, 1, 2)


def test_runs_of_different_models_are_not_compared(shelf: Shelf, runs: Runs, tiny_folder: Callable[..., Path]) -> None:
    other = Source(str(tiny_folder("DistilBertModel")), shown="distil")
    more = compare.remember(shelf, runs, results.prune(shelf, other, Plan(preset("global")), 0))
    with pytest.raises(bp.BertpruneError, match="tensor"):
        compare.compare("en", shelf, more, 1, 4)

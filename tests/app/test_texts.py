"""Calibration texts of a visitor: taken, said, run with, kept over a reload; without a browser."""

from dataclasses import replace
from pathlib import Path

import pytest

import bertprune as bp
from app import exporting, kept, runtime
from app.errors import Cancelled
from app.making import with_recipe
from app.offers import preset
from app.opening import take_texts
from app.runs import Given, RunKey, Source, TextFile
from app.settings import Settings
from app.store import Store
from app.tabs import export, recipe, result, search
from app.tabs.model import BUDGETS, opened, show_start
from app.tabs.recipe import show_texts
from app.visit import Visit
from app.visitors import Visitor
from tests.app.conftest import nothing

KEYS = bp.Selection(roles=["attention.key"])
WANDA = bp.Recipe(steps=[bp.Step(method="wanda", fraction=0.5, scope="row", select=KEYS)])
LINES = [f"w{number % 30} w{number % 7} w{number % 11}" for number in range(20)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Give a plain file of twenty texts."""
    path = tmp_path / "mine.txt"
    path.write_text("\n".join(LINES), encoding="utf-8")
    return path


@pytest.fixture
def given(file: Path) -> Given:
    """Give the fields after an upload of it."""
    return Given(take_texts(str(file)), "own", 8.0, 16.0)


def wanting(store: Store, visit: Visit, given: Given | None = None, recipe_: bp.Recipe = WANDA) -> Visit:
    """Give the visit with a recipe that reads texts, and some."""
    return with_recipe(store, replace(visit, given=given or Given()), recipe_)


def prune(store: Store, visit: Visit, report: object = nothing) -> Visit:
    """Prune by the cards."""
    visitor = Visitor(visit)
    return recipe.prune(store, visitor, {}, report)(visit)  # type: ignore[arg-type]


def key(visit: Visit) -> RunKey:
    assert visit.shown is not None
    return visit.shown.key


def test_a_run_is_made_with_the_uploaded_texts(store: Store, visit: Visit, given: Given, file: Path) -> None:
    ran = prune(store, wanting(store, visit, given))
    run = store.run(key(ran))
    alone = bp.prune(visit.source.given, WANDA, calibration=bp.Calibration(file, count=8, max_length=16))
    assert run.recipe.calibration == alone.recipe.calibration
    assert all(mask.equal(alone.masks[name]) for name, mask in run.masks.items())
    details = result.show_details(store, ran)
    assert f"8, cut after 16 tokens, SHA-256 {run.recipe.calibration.sha256[:12]}" in details  # type: ignore[union-attr]
    assert "calibrated on 8 texts" in details
    assert "count=8, max_length=16" in details
    built = exporting.export(store, key(ran), "baked", "")
    runtime.remove(built.zip.parent)
    assert "Calibrated on 8 examples, cut after 16 tokens" in built.card


def test_runs_are_told_apart_by_the_content_of_their_texts(
    store: Store, visit: Visit, given: Given, file: Path
) -> None:
    first = key(prune(store, wanting(store, visit, given)))
    again = Given(take_texts(str(file)), "own", 8, 16)
    assert key(prune(store, wanting(store, visit, again))) == first
    file.write_text("\n".join(reversed(LINES)), encoding="utf-8")
    for other in (Given(take_texts(str(file)), "own", 8, 16), Given(given.file, "own", 9, 16)):
        assert key(prune(store, wanting(store, visit, other))) != first


def test_a_recipe_that_reads_no_texts_does_not_depend_on_them(store: Store, visit: Visit, given: Given) -> None:
    plain = preset("random")
    assert key(prune(store, wanting(store, visit, given, plain))) == key(
        prune(store, wanting(store, visit, None, plain))
    )


def test_missing_texts_are_said_in_one_line(store: Store, visit: Visit) -> None:
    demo = opened(store, Visit(), Source("demo"))
    for missing in (wanting(store, visit), wanting(store, demo, Given(way="file"))):
        with pytest.raises(bp.BertpruneError, match=r"^Calibration texts are missing: choose a file"):
            prune(store, missing)


def test_the_demo_brings_its_own(store: Store) -> None:
    ran = prune(store, wanting(store, opened(store, Visit(), Source("demo")), Given(count=None)))
    assert key(ran).texts is None
    assert "texts that come with demo" in result.show_details(store, ran)


NOT_WHOLE = r"^Calibration texts: .*expected an integer"


def test_numbers_that_cannot_be_are_refused(
    store: Store, visit: Visit, given: Given, subtests: pytest.Subtests
) -> None:
    for count, length in [(None, 16), (0, 16), (1.5, 16), (8, 2), (float("nan"), 16)]:
        wrong = Given(given.file, "own", count, length)
        with subtests.test(f"{count}, {length}"), pytest.raises(bp.BertpruneError, match=NOT_WHOLE):
            prune(store, wanting(store, visit, wrong))


def test_a_file_without_texts_is_refused_and_not_kept(tmp_path: Path, subtests: pytest.Subtests) -> None:
    for content in [b"", b"a,b\n1,2\n", b"\x00\xff\xfe\x00"]:
        with subtests.test(repr(content)):
            path = tmp_path / "bad.csv"
            path.write_bytes(content)
            with pytest.raises(bp.BertpruneError, match=r"^Calibration texts: ") as refused:
                take_texts(str(path))
            assert str(tmp_path) not in str(refused.value)


def test_the_fields_appear_where_a_step_needs_texts(store: Store, visit: Visit, given: Given) -> None:
    random = wanting(store, visit, None, preset("random"))
    assert "are missing" not in show_texts(store, random) and "A plan" in show_texts(store, random)
    assert show_texts(store, wanting(store, opened(store, Visit(), Source("demo")), None, preset("random"))) == ""
    assert "are missing" in show_texts(store, wanting(store, visit))
    there = show_texts(store, wanting(store, visit, given))
    assert "mine.txt: 20 texts." in there and 'name="count"' in there and 'name="way"' not in there
    demo = show_texts(store, wanting(store, opened(store, Visit(), Source("demo"))))
    assert 'name="way"' in demo and 'name="count"' not in demo


def test_a_plan_of_a_model_of_ones_own_is_offered_once_there_are_texts(
    store: Store, visit: Visit, given: Given
) -> None:
    offered = f'data-do="plan" data-macs="{BUDGETS[0]}"'
    assert offered not in show_start(store, visit) and 'href="#recipe"' in show_start(store, visit)
    assert offered in show_start(store, replace(visit, given=given))
    assert offered in show_start(store, opened(store, visit, Source("demo")))


def test_the_run_of_a_plan_says_how_much_compute_is_left_on_its_texts(
    store: Store, visit: Visit, given: Given, monkeypatch: pytest.MonkeyPatch
) -> None:
    forecast = {"measure": "angle", "drift": 0, "low": 0, "high": 0, "answers": 1}
    forecast |= {"macs": 0.4931, "bytes": 1, "sparsity": 0, "spelled": 0.7}
    planned = bp.Recipe(steps=[bp.Step(method="magnitude", granularity="neuron", fraction=0.5)], forecast=forecast)
    monkeypatch.setattr(bp, "plan", lambda *_, **__: planned)
    visitor = Visitor(replace(visit, given=given))
    found = search.plan(store, visitor, {"macs": "0.5"}, nothing)(visitor.visit)
    assert "49.3% of the MACs left on texts as long as those of the plan" in result.show_run(store, found)
    assert "reads 70% of the plan&#39;s texts as unknown tokens" in result.show_run(store, found)
    assert "the plan" not in result.show_run(store, prune(store, wanting(store, visit, given)))


def test_what_other_numbers_change_is_measured_on_texts_of_ones_own(store: Store, visit: Visit, given: Given) -> None:
    half = {"form": "baked", "precision": "float16"}
    for ran in (
        prune(store, wanting(store, visit, given)),
        prune(store, wanting(store, visit, given, preset("random"))),
    ):
        built = export.build(store, Visitor(ran), half, nothing)(ran)
        assert "on 20 texts of mine.txt" in export.show_export(store, built)


def test_other_texts_make_a_run_an_earlier_one(store: Store, visit: Visit, given: Given) -> None:
    ran = prune(store, wanting(store, visit, given))
    assert "has changed" not in result.show_run(store, ran)
    assert "has changed" in result.show_run(store, replace(ran, given=Given(given.file, given.way, 9, 16)))


def test_the_work_can_be_cancelled_between_layers(store: Store, visit: Visit, given: Given) -> None:
    seen: list[float] = []

    def cancel(share: float, words: str) -> None:
        seen.append(share)
        if "layer 1" in words:
            raise Cancelled

    with pytest.raises(Cancelled):
        prune(store, wanting(store, visit, given), cancel)
    assert seen == sorted(seen)
    assert len(set(seen)) == 3  # loaded, the first layer, and the second, at which it ends


def test_a_reloaded_page_has_everything_again(store: Store, visit: Visit, given: Given) -> None:
    ran = prune(store, wanting(store, visit, given))
    saved = kept.to_keep(store, ran, "ticket")
    assert str(given.file.path) not in str(saved)  # type: ignore[union-attr]
    again, lost = kept.begin(store, "en", saved)
    assert (again.source, lost) == (ran.source, [])
    assert [card.form for card in again.cards] == [card.form for card in ran.cards]
    assert (key(again), again.given) == (key(ran), given)


def test_nonsense_that_the_browser_kept_is_ignored(store: Store, source: Source) -> None:
    for nonsense in (7, {"ticket": ["x"]}, {"ticket": "x", "count": [1]}):
        assert kept.given_again(store, nonsense).file is None
    for saved in (
        {"recipe": "a: ["},
        {"recipe": 7},
        {"runs": 7},
        {"runs": [7, {"recipe": "x", "seed": "y"}, {"recipe": 3}]},
    ):
        assert len(kept.begin_again(store, Visit(), source, saved).runs) == 1


def test_texts_that_were_removed_are_said_to_be_gone(visit: Visit, given: Given) -> None:
    store = Store(Settings(session_seconds=1))
    ran = prune(store, wanting(store, visit, given))
    saved = kept.to_keep(store, ran, "ticket")
    runtime.remove(given.file.folder)  # type: ignore[union-attr]
    assert kept.begin(store, "en", saved)[1] == [("texts_gone", "mine.txt")]
    with pytest.raises(bp.BertpruneError, match="were deleted"):
        Store(store.settings).run(key(ran))
    assert "no longer kept" in show_texts(store, ran)
    assert [run.is_dense for run in kept.begin_again(store, Visit(), ran.source, saved).runs] == [True]


def test_a_ticket_of_texts_opens_no_checkpoint(store: Store, given: Given) -> None:
    ticket = store.ticket(given.file)  # type: ignore[arg-type]
    assert store.ticketed(ticket, Source) is None
    assert store.ticketed(ticket, TextFile) == given.file

"""Calibration texts of a visitor: taken, said, run with, kept over a reload; without a browser."""

from pathlib import Path
from typing import Any

import pytest

import bertprune as bp
from app import folders
from app.acts import Acts
from app.handlers import results, take, texts
from app.handlers.recipe import Form, look_ahead
from app.handlers.texts import Given
from app.plan import Plan
from app.presets import preset
from app.scenes import Scenes, View
from app.session import Cancelled, Done, Shelf, Source
from app.settings import Settings
from app.texts import TextFile

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
    return Given(texts.take(str(file)), "own", 8.0, 16.0)


def view(source: Source, given: Given, *, done: Done | None = None, recipe: bp.Recipe = WANDA, **form: Any) -> View:
    """Give the state of a visitor with a recipe."""
    return View("en", source, Plan(recipe), done, "", None, None, "baked", "", False, "changed", Form(**form), given)


def test_a_run_is_made_with_the_uploaded_texts(shelf: Shelf, source: Source, given: Given, file: Path) -> None:
    done = results.prune(shelf, source, Plan(WANDA), 0, given=given)
    run = shelf.run(done)
    alone = bp.prune(source.given, WANDA, calibration=bp.Calibration(file, count=8, max_length=16))
    assert run.recipe.calibration == alone.recipe.calibration
    assert all(mask.equal(alone.masks[name]) for name, mask in run.masks.items())
    summary = results.show_summary("en", shelf, done)
    assert f"8, cut after 16 tokens, SHA-256 {run.recipe.calibration.sha256[:12]}" in summary
    assert "calibrated on 8 texts" in summary
    assert "count=8, max_length=16" in results.code(shelf, done)[1]
    parcel = take.build("en", shelf, done, "baked", "")
    take.throw_away(parcel)
    assert "Calibrated on 8 examples, cut after 16 tokens" in parcel.card


def test_runs_are_told_apart_by_the_content_of_their_texts(
    shelf: Shelf, source: Source, given: Given, file: Path
) -> None:
    first = shelf.run(results.prune(shelf, source, Plan(WANDA), 0, given=given))
    again = Given(texts.take(str(file)), "own", 8, 16)
    assert shelf.run(results.prune(shelf, source, Plan(WANDA), 0, given=again)) is first
    file.write_text("\n".join(reversed(LINES)), encoding="utf-8")
    for other in (Given(texts.take(str(file)), "own", 8, 16), Given(given.file, "own", 9, 16)):
        assert shelf.run(results.prune(shelf, source, Plan(WANDA), 0, given=other)) is not first


def test_a_recipe_that_reads_no_texts_does_not_depend_on_them(shelf: Shelf, source: Source, given: Given) -> None:
    done = results.prune(shelf, source, Plan(preset("random")), 0, given=given)
    assert done == results.prune(shelf, source, Plan(preset("random")), 0)


def test_missing_texts_are_said_in_one_line(shelf: Shelf, source: Source) -> None:
    for missing in (source, Source("demo")):
        with pytest.raises(bp.BertpruneError, match=r"^Calibration texts are missing: choose a file"):
            results.prune(shelf, missing, Plan(WANDA), 0, given=Given(way="file"))
    with pytest.raises(bp.BertpruneError, match=r"^Calibration texts are missing"):
        results.prune(shelf, source, Plan(WANDA), 0)  # only the demos bring some


def test_the_demo_brings_its_own(shelf: Shelf) -> None:
    done = results.prune(shelf, Source("demo"), Plan(WANDA), 0, given=Given(count=None))
    assert done.texts is None
    assert "texts that come with demo" in results.show_summary("en", shelf, done)


NOT_WHOLE = r"^Calibration texts: .*expected an integer"


def test_numbers_that_cannot_be_are_refused(
    shelf: Shelf, source: Source, given: Given, subtests: pytest.Subtests
) -> None:
    for count, length in [(None, 16), (0, 16), (1.5, 16), (8, 2), (float("nan"), 16)]:
        wrong = Given(given.file, "own", count, length)
        with subtests.test(f"{count}, {length}"), pytest.raises(bp.BertpruneError, match=NOT_WHOLE):
            results.prune(shelf, source, Plan(WANDA), 0, given=wrong)


def test_a_file_without_texts_is_refused_and_not_kept(tmp_path: Path, subtests: pytest.Subtests) -> None:
    for content in [b"", b"a,b\n1,2\n", b"\x00\xff\xfe\x00"]:
        with subtests.test(repr(content)):
            path = tmp_path / "bad.csv"
            path.write_bytes(content)
            with pytest.raises(bp.BertpruneError, match=r"^Calibration texts: ") as refused:
                texts.take(str(path))
            assert str(tmp_path) not in str(refused.value)


def test_the_fields_appear_where_a_step_needs_texts(shelf: Shelf, source: Source, given: Given) -> None:
    def drawn(view: View) -> tuple[bool, bool, bool, str]:
        box, way, own, line = Scenes(shelf).texts(view)
        return box["visible"], way["visible"], own["visible"], line

    assert drawn(view(source, Given(), recipe=bp.Recipe()))[0] is False
    assert drawn(view(source, Given(), recipe=preset("random")))[0] is False
    assert drawn(view(source, Given(), recipe=bp.Recipe(), method="fisher"))[0] is True
    assert drawn(view(source, Given(), recipe=bp.Recipe(), method="magnitude", reconstruct=True))[0] is True
    assert "are missing" in drawn(view(source, Given()))[3]
    assert drawn(view(source, given))[1:] == (False, True, '<p class="bp-note">mine.txt: 20 texts.</p>')
    assert drawn(view(Source("demo"), Given()))[:3] == (True, True, False)


def test_the_preview_counts_and_says_that_texts_are_needed(shelf: Shelf, source: Source) -> None:
    cells = {"on": [["attention.key", 0]]}
    seen = look_ahead("en", shelf, source, Plan(), Form(cells=cells, method="wanda", percent=50))
    assert "<strong>512</strong> would be pruned" in seen
    assert "needs calibration texts" in seen


def test_other_texts_make_a_run_an_earlier_one(shelf: Shelf, source: Source, given: Given) -> None:
    done = results.prune(shelf, source, Plan(WANDA), 0, given=given)
    scenes = Scenes(shelf)
    assert "Pruned:" in scenes.plan(view(source, given, done=done))[-1]
    other = Given(given.file, given.way, 9, 16)
    assert "earlier run" in scenes.plan(view(source, other, done=done))[-1]


def test_the_work_can_be_cancelled_between_layers(shelf: Shelf, source: Source, given: Given) -> None:
    seen: list[float] = []

    def cancel(share: float, words: str) -> None:
        seen.append(share)
        if "layer 1" in words:
            raise Cancelled

    with pytest.raises(Cancelled):
        results.prune(shelf, source, Plan(WANDA), 0, cancel, given)
    assert seen == sorted(seen)
    assert len(set(seen)) == 3  # loaded, the first layer, and the second, at which it ends


def test_a_reloaded_page_has_the_texts_again(shelf: Shelf, source: Source, given: Given) -> None:
    done = results.prune(shelf, source, Plan(WANDA), 0, given=given)
    (kept,) = Scenes(shelf).kept(view(source, given, done=done))
    assert str(given.file.path) not in str(kept)  # type: ignore[union-attr]
    assert texts.given_again(shelf, kept["texts"]) == given
    assert Acts(shelf).resume("en", kept, source) == done
    assert texts.is_lost(shelf, kept["texts"]) is None
    for nonsense in (7, {"ticket": ["x"]}, {"ticket": "x", "count": [1]}):
        assert texts.given_again(shelf, nonsense).file is None


def test_texts_that_were_removed_are_said_to_be_gone(source: Source, given: Given) -> None:
    shelf = Shelf(Settings(session_seconds=1))
    done = results.prune(shelf, source, Plan(WANDA), 0, given=given)
    (kept,) = Scenes(shelf).kept(view(source, given, done=done))
    folders.remove(given.file.folder)  # type: ignore[union-attr]
    assert texts.is_lost(shelf, kept["texts"]) == "mine.txt"
    with pytest.raises(bp.BertpruneError, match="were deleted"):
        Shelf(shelf.settings).run(done)
    assert "no longer kept" in texts.show("en", shelf, source, given)
    assert "no longer kept" in Scenes(shelf).texts(view(source, given))[3]


def test_a_ticket_of_texts_opens_no_checkpoint(shelf: Shelf, given: Given) -> None:
    ticket = shelf.ticket(given.file)  # type: ignore[arg-type]
    assert shelf.ticketed(ticket, Source) is None
    assert shelf.ticketed(ticket, TextFile) == given.file

"""Exports and their estimated sizes, without a browser."""

import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

import bertprune as bp
from app.acts import Acts
from app.handlers import take
from app.i18n import say
from app.session import Cancelled, Done, Shelf, Source
from app.weigh import export_size


@pytest.mark.parametrize("form", ["baked", "masked"])
def test_the_zip_holds_the_same_bytes_each_time_and_loads(
    shelf: Shelf, done: Done, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    reported: list[float] = []
    monkeypatch.setattr(take, "CHUNK", 1000)
    parcel = take.build("en", shelf, done, form, "", lambda share, words: reported.append(share))
    again = take.build("en", shelf, done, form, "")
    assert parcel.zip.read_bytes() == again.zip.read_bytes()
    assert parcel.zip.name == f"tiny-{form}.zip"
    assert reported == sorted(reported)
    assert len([share for share in reported if share > 0.8]) > parcel.bytes / 1000  # the bar moves within a file
    with zipfile.ZipFile(parcel.zip) as opened:
        assert {entry.date_time[0] for entry in opened.infolist()} == {1980}  # no clock in it
        opened.extractall(tmp_path / "home")
    folder = tmp_path / "home" / f"tiny-{form}"
    assert {path.name: path.stat().st_size for path in folder.iterdir()} == parcel.files
    back = bp.load(folder) if form == "masked" else bp.Checkpoint.open(folder).model()
    report = bp.sparsity(back)
    assert report.model.masked + report.model.zero >= 307
    take.throw_away(parcel)
    assert not parcel.zip.parent.exists()


@pytest.mark.parametrize("until", [0.3, 0.95])
def test_a_failing_build_leaves_nothing_behind(
    shelf: Shelf, done: Done, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, until: float
) -> None:
    def stop(share: float, words: str) -> None:
        if share > until:
            raise KeyboardInterrupt

    monkeypatch.setattr(take, "CHUNK", 1000)  # it can be stopped within a large file too
    (tmp_path / "home").mkdir()
    monkeypatch.setattr(take, "new_folder", lambda: tmp_path / "home")
    with pytest.raises(KeyboardInterrupt):
        take.build("en", shelf, done, "baked", "", stop)
    assert not (tmp_path / "home").exists()


def test_a_zip_stays_until_the_next_one_is_built(shelf: Shelf, done: Done) -> None:
    def cancel(share: float, *_: object, **__: object) -> None:
        if share > 0.8:
            raise Cancelled

    acts, request = Acts(shelf), SimpleNamespace(session_hash="visitor")
    first = acts.build("en", done.source, done, "baked", "", None, request, lambda *_, **__: None)
    with pytest.raises(Cancelled):
        acts.build("en", done.source, done, "masked", "", first, request, cancel)
    assert first.zip.is_file()
    second = acts.build("en", done.source, done, "masked", "", first, request, lambda *_, **__: None)
    assert second.zip.is_file() and not first.zip.exists()
    take.throw_away(second)


@pytest.mark.parametrize(
    ("form", "precision", "loads", "share"),
    [("small", "", "plain", 0.8), ("small", "float16", "plain", 0.8), ("onnx", "int8", "anywhere", 0.6)],
)
def test_a_smaller_form_says_what_loads_it_and_what_it_changes(
    form: str, precision: str, loads: str, share: float
) -> None:
    if form == "onnx":
        pytest.importorskip("onnxruntime")
    shelf = Shelf()
    neurons = bp.Step(method="magnitude", granularity="neuron", fraction=0.75)
    done = Done(Source("demo"), bp.Recipe(steps=[neurons]))
    baked = take.build("en", shelf, done, "baked", "")
    parcel = take.build("en", shelf, done, form, precision)
    assert (parcel.loads, parcel.drift is None) == (loads, not precision)
    assert parcel.bytes < share * baked.bytes
    for language in ("en", "ko"):
        shown, told = take.show_parcel(language, parcel), take.show_estimate(language, shelf, done, form)
        assert parcel.zip.stem in shown and say(language, f"loads_{loads}") in shown
        assert say(language, f"form_{form}_what") in told
        assert parcel.drift is None or f"{parcel.drift.value:.2g}" in shown
    for one in (baked, parcel):
        take.throw_away(one)


def test_a_form_that_does_not_go_is_refused_in_its_field(shelf: Shelf, done: Done) -> None:
    with pytest.raises(bp.BertpruneError, match="no neuron and no head"):
        take.build("en", shelf, done, "small", "")
    with pytest.raises(bp.BertpruneError, match="quantize is for the form onnx"):
        take.build("en", shelf, done, "baked", "int8")


def test_estimated_sizes_are_shown_for_each_form(shelf: Shelf, done: Done) -> None:
    stored = shelf.checkpoint(done.source).facts.bytes
    baked = take.show_estimate("en", shelf, done, "baked")
    assert baked.count(f"{stored / 1000:.1f} kB") == 2
    assert "Zeros do not make a dense file smaller" in baked
    assert take.show_estimate("en", shelf, done, "masked") != baked


@pytest.mark.parametrize("method", ["l1_unstructured", "ln_structured"])
def test_estimated_sizes_are_close_to_the_real_ones(method: str, subtests: pytest.Subtests) -> None:
    shelf, options = Shelf(), {"n": 2, "dim": 0} if method == "ln_structured" else {}
    recipe = bp.Recipe(steps=[bp.Step(method=method, fraction=0.7, scope="global", select="*", options=options)])
    done = Done(Source("demo"), recipe)
    for form in ("baked", "masked"):
        foreseen = export_size(shelf.checkpoint(done.source), shelf.run(done), form)
        parcel = take.build("en", shelf, done, form, "")
        with zipfile.ZipFile(parcel.zip) as packed:
            (weights,) = [entry for entry in packed.infolist() if entry.filename.endswith(".safetensors")]
        take.throw_away(parcel)
        with subtests.test(form):
            assert foreseen.stored == pytest.approx(weights.file_size, rel=0.01)
            assert foreseen.zipped == pytest.approx(weights.compress_size, rel=0.12)

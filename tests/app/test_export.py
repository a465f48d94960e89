"""Exports and their estimated sizes, without a browser."""

import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

import bertprune as bp
from app import exporting
from app.errors import Cancelled
from app.html import size_of
from app.i18n import say
from app.runs import RunKey, Source
from app.runtime import remove
from app.settings import Settings
from app.store import Store
from app.tabs import export
from app.tabs.model import opened
from app.visit import Visit, choose_run, note_run
from app.visitors import Visitor
from tests.app.conftest import nothing, pruned


@pytest.mark.parametrize("form", ["baked", "masked"])
def test_the_zip_holds_the_same_bytes_each_time_and_loads(
    store: Store, done: RunKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    reported: list[float] = []
    monkeypatch.setattr(exporting, "CHUNK", 1000)
    parcel = exporting.export(store, done, form, "", "en", lambda share, words: reported.append(share))
    again = exporting.export(store, done, form, "")
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
    remove(parcel.zip.parent)
    assert not parcel.zip.parent.exists()


@pytest.mark.parametrize("until", [0.3, 0.95])
def test_a_failing_build_leaves_nothing_behind(
    store: Store, done: RunKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, until: float
) -> None:
    def stop(share: float, words: str) -> None:
        if share > until:
            raise KeyboardInterrupt

    monkeypatch.setattr(exporting, "CHUNK", 1000)  # it can be stopped within a large file too
    (tmp_path / "home").mkdir()
    monkeypatch.setattr(exporting, "new_folder", lambda: tmp_path / "home")
    with pytest.raises(KeyboardInterrupt):
        exporting.export(store, done, "baked", "", "en", stop)
    assert not (tmp_path / "home").exists()


def test_what_is_built_belongs_to_its_run_and_is_never_shown_under_another_form(store: Store, ran: Visit) -> None:
    visitor = Visitor(ran)

    def build(form: str, report: object = nothing) -> None:
        visitor.put(export.build(store, visitor, {"form": form}, report)(visitor.visit))  # type: ignore[arg-type]

    def cancel(share: float, *_: object) -> None:
        if share > 0.8:
            raise Cancelled

    build("baked")
    first = visitor.visit.shown.exports[-1]  # type: ignore[union-attr]
    with pytest.raises(Cancelled):
        build("masked", cancel)
    assert first.zip.is_file()
    build("masked")
    baked, masked = visitor.visit.shown.exports  # type: ignore[union-attr]
    shown = str(export.show_export(store, visitor.visit))
    for built in (baked, masked):
        row = shown[shown.index(f"<strong>{say('en', f'form_{built.form}')}</strong>") :].partition("</tr>")[0]
        assert f'aria-label="File {built.zip.name}"' in row
    assert "Built last: tiny-masked.zip" in shown
    assert export.file_of(store, visitor.visit, {"run": "1", "form": "baked", "precision": ""}) == baked.zip
    build("baked")
    assert not baked.zip.exists() and len(visitor.visit.shown.exports) == 2  # type: ignore[union-attr]
    assert "tiny-baked.zip" not in export.show_export(store, choose_run(visitor.visit, -1))
    with pytest.raises(bp.BertpruneError, match="no longer kept"):
        export.file_of(store, visitor.visit, {"run": "1", "form": "onnx", "precision": ""})


def test_what_was_built_is_timed_beside_the_checkpoint(store: Store, ran: Visit) -> None:
    visitor = Visitor(ran)
    visitor.put(export.build(store, visitor, {"form": "baked"}, nothing)(ran))
    asked = {"run": "1", "form": "baked", "precision": ""}
    assert 'data-do="clock"' in export.show_export(store, visitor.visit)
    timed = export.clock(store, visitor, asked, nothing)(visitor.visit)
    speed = timed.shown.exports[-1].speed
    shown = export.show_export(store, timed)
    assert f">{speed.timings[-1].ratio.value:.2f}×<" in shown
    assert f"beside {speed.before.runtime}, {speed.before.dtype}" in shown
    with pytest.raises(bp.BertpruneError, match="no longer kept"):
        export.clock(store, visitor, {**asked, "form": "masked"}, nothing)


def test_a_build_whose_run_was_deleted_leaves_nothing(store: Store, ran: Visit) -> None:
    visitor = Visitor(ran)
    change = export.build(store, visitor, {"form": "baked"}, nothing)
    gone = replace(ran, runs=ran.runs[:1], run=-1)
    assert change(gone) == gone


SMALLER = [("small", "", "plain"), ("small", "float16", "plain"), ("onnx", "int8", "anywhere")]


def test_a_smaller_form_says_what_loads_it_and_what_it_changes(
    store: Store, tiny_folder: Callable[..., Path], subtests: pytest.Subtests
) -> None:
    pytest.importorskip("onnxruntime")
    neurons = bp.Step(method="magnitude", granularity="neuron", fraction=0.75)
    folder = tiny_folder(num_hidden_layers=1, intermediate_size=512)
    done = RunKey(Source(str(folder), shown="tiny"), bp.Recipe(steps=[neurons]))
    baked = exporting.export(store, done, "baked", "")
    for form, precision, loads in SMALLER:
        with subtests.test(f"{form}, {precision}"):
            parcel = exporting.export(store, done, form, precision)
            assert (parcel.loads, parcel.drift is None) == (loads, not precision)
            assert form == "onnx" or parcel.bytes < 0.8 * baked.bytes  # as ONNX so small a model is mostly its graph
            remove(parcel.zip.parent)
    remove(baked.zip.parent)


def test_a_form_that_does_not_go_is_refused_in_its_field(store: Store, done: RunKey) -> None:
    with pytest.raises(bp.BertpruneError, match="no neuron and no head"):
        exporting.export(store, done, "small", "")
    with pytest.raises(bp.BertpruneError, match="quantize is for the form onnx"):
        exporting.export(store, done, "baked", "int8")


def test_estimated_sizes_are_shown_for_the_plain_forms(store: Store, ran: Visit) -> None:
    values = store.run(ran.shown.key).report.model.size
    shown = export.show_export(store, ran)
    assert f"≈ {size_of(4 * values)}<" in shown and f"≈ {size_of(4 * values + 1024)}<" in shown  # 1,024 have a mask
    assert "Zeros do not make a file smaller" in shown
    assert "≈" not in export.show_export(store, note_run(ran, ran.shown.key, count=None))  # nothing is known of it yet


def test_estimated_sizes_are_close_to_the_real_ones(subtests: pytest.Subtests) -> None:
    store = Store()
    visit = opened(store, Visit(), Source("demo"))
    dtype = store.checkpoint(visit.source).facts.dtype
    for name, step in (
        ("masks", bp.Step(method="l1_unstructured", fraction=0.7, scope="global", select="*")),
        ("a layer is gone", bp.Step(granularity="layer", fraction=1.0, select=bp.Selection(layers=[0]))),
    ):
        run = pruned(store, visit, bp.Recipe(steps=[step])).shown
        for form in ("baked", "masked"):
            parcel = exporting.export(store, run.key, form, "")
            remove(parcel.zip.parent)
            weights = sum(size for file, size in parcel.files.items() if file.endswith(".safetensors"))
            with subtests.test(f"{name}, {form}"):
                assert export.stored(dtype, run, form) == pytest.approx(weights, rel=0.01)


def test_what_was_built_is_pushed_with_what_was_measured_and_the_token_is_not_kept(
    store: Store, ran: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, object] = {"repository": "me/small", "which": "baked ", "private": True, "token": "hf_secret"}
    visitor, seen = Visitor(ran), []

    def push(folder: Path, repository: str, **given: object) -> SimpleNamespace:
        seen.append((sorted(path.name for path in folder.iterdir()), repository, given["private"], given["token"]))
        return SimpleNamespace(address="https://huggingface.co/me/small")

    monkeypatch.setattr(bp, "push", push, raising=False)
    for wrong, said in (({**asked, "repository": "small"}, "owner/name"), (asked, "Build an export first")):
        with pytest.raises(bp.BertpruneError, match=said):
            export.push(store, visitor, wrong, nothing)
    visitor.put(export.build(store, visitor, {"form": "baked"}, nothing)(visitor.visit))
    after = export.push(store, visitor, asked, nothing)(visitor.visit)
    ((files, *rest),) = seen
    assert rest == ["me/small", True, "hf_secret"] and "model.safetensors" in files
    assert "hf_secret" not in str(after)
    assert 'href="https://huggingface.co/me/small"' in export.show_push(store, after)
    with pytest.raises(bp.BertpruneError, match="Sign in"):
        export.push(Store(Settings.for_strangers()), visitor, {**asked, "token": None}, nothing)

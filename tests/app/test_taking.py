"""What a visitor takes home, and what it weighs; as plain functions."""

import zipfile
from pathlib import Path

import pytest

import bertprune as bp
from app.handlers import take
from app.session import Done, Shelf


@pytest.mark.parametrize("form", ["baked", "masked"])
def test_the_parcel_comes_back_the_same_and_is_the_same_each_time(
    shelf: Shelf, done: Done, tmp_path: Path, form: str
) -> None:
    told: list[float] = []
    parcel = take.build("en", shelf, done, form, lambda share, words: told.append(share))
    again = take.build("en", shelf, done, form)
    assert parcel.zip.read_bytes() == again.zip.read_bytes()
    assert parcel.zip.name == f"tiny-{form}.zip"
    assert told == sorted(told)
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


def test_a_failing_build_leaves_nothing_behind(
    shelf: Shelf, done: Done, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(share: float, words: str) -> None:
        if share > 0.3:
            raise KeyboardInterrupt

    (tmp_path / "home").mkdir()
    monkeypatch.setattr(take, "new_folder", lambda: tmp_path / "home")
    with pytest.raises(KeyboardInterrupt):
        take.build("en", shelf, done, "baked", stop)
    assert not (tmp_path / "home").exists()


def test_sizes_are_honest(shelf: Shelf, done: Done) -> None:
    stored = shelf.checkpoint(done.source).facts.bytes
    baked = take.show_estimate("en", shelf, done, "baked")
    assert baked.count(f"{stored / 1000:.1f} kB") == 2
    assert "Zeros do not make a dense file smaller" in baked
    assert take.show_estimate("en", shelf, done, "masked") != baked

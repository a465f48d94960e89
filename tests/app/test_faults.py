"""Machines that fail: the page says so, leaves nothing behind, and goes on serving."""

import errno
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import bertprune as bp
from app import exporting
from app.errors import error_text
from app.offers import preset
from app.runs import RunKey, Source
from app.settings import Settings
from app.store import Store
from app.uploads import take_upload
from tools.audit import judge


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a folder on a disk of 600 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", disk], capture_output=True
    )
    if not mounted or mounted.returncode:
        pytest.skip("no small disk can be mounted here")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_full_disk_is_reported_and_nothing_is_left(
    small_disk: Path, tiny_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, done = Store(), RunKey(Source(str(tiny_folder())), preset("random"))

    def home() -> Path:
        (small_disk / "home").mkdir()
        return small_disk / "home"

    monkeypatch.setattr(exporting, "new_folder", home)
    (small_disk / "other").write_bytes(bytes(520_000))
    with pytest.raises((bp.BertpruneError, OSError)) as caught:
        exporting.export(store, done, "masked", "")
    assert "disk is full" in error_text("en", caught.value).replace("disk of this machine is full", "disk is full")
    assert [path.name for path in small_disk.iterdir()] == ["other"]
    (small_disk / "other").unlink()
    (small_disk / "home").mkdir()
    monkeypatch.setattr(exporting, "new_folder", lambda: small_disk / "home")
    assert exporting.export(store, done, "baked", "").checked


def test_a_full_disk_is_not_blamed_on_the_upload(
    small_disk: Path, tiny_zip: Callable[..., Path], tmp_path: Path
) -> None:
    archive = tiny_zip("mine", vocab_size=8000)
    with pytest.raises(OSError) as caught:
        take_upload([archive], small_disk / "in", Settings())
    assert caught.value.errno == errno.ENOSPC
    assert error_text("en", caught.value).startswith("The disk of this machine is full.")
    assert list(small_disk.iterdir()) == []
    assert take_upload([archive], tmp_path / "in", Settings())


def test_the_audit_fails_where_a_package_could_not_be_checked() -> None:
    clean = {"name": "a", "version": "1", "vulns": []}
    ill = {"name": "b", "version": "1", "vulns": [{"id": "CVE-1", "fix_versions": ["2"]}]}
    own = {"name": "torch", "skip_reason": "not found on PyPI: torch (2.13.0+cpu)"}
    unknown = {"name": "c", "skip_reason": "not found on PyPI: c (1)"}
    assert judge({"dependencies": [clean, own]}) == []
    assert judge({"dependencies": [clean, ill]}) == ["b 1: CVE-1, fixed in 2"]
    assert judge({"dependencies": [clean, unknown]}) == ["not checked: not found on PyPI: c (1)"]

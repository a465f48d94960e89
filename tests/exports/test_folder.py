"""A folder is written as a whole or not at all."""

import errno
import json
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bertprune.errors import ExportError
from bertprune.exports.folder import atomic_folder, check_target


def write(out: Path, overwrite: bool = False, text: str = "new", sources: tuple[Path, ...] = ()) -> None:
    with atomic_folder(out, overwrite, sources) as folder:
        (folder / "report.json").write_text(json.dumps({"bertprune": "0", "files": ["report.json", "x"]}))
        (folder / "x").write_text(text)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_missing_parents_are_created(tmp_path: Path) -> None:
    write(tmp_path / "a" / "b" / "out")
    assert names(tmp_path / "a" / "b") == ["out"]
    assert names(tmp_path / "a" / "b" / "out") == ["report.json", "x"]


def test_its_permissions_are_those_of_any_new_folder(tmp_path: Path) -> None:
    write(tmp_path / "out")
    (tmp_path / "plain").mkdir()
    assert (tmp_path / "out").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_the_name_is_unused_while_it_is_written(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "out", False) as folder:
        assert not (tmp_path / "out").exists()
        assert folder.parent == tmp_path and folder.name.startswith(".bertprune-")


def test_any_failure_leaves_nothing(tmp_path: Path, subtests: pytest.Subtests) -> None:
    for error in [KeyboardInterrupt(), ExportError("no")]:
        with subtests.test(type(error).__name__):
            with pytest.raises(type(error)), atomic_folder(tmp_path / "a" / "out", False) as folder:
                (folder / "x").write_text("half")
                raise error
            assert names(tmp_path) == []


SYSTEM = [(errno.ENOSPC, "the disk is full"), (errno.EACCES, "permission denied")]


def test_a_system_error_is_one_line(tmp_path: Path, subtests: pytest.Subtests) -> None:
    for number, reason in SYSTEM:
        with subtests.test(reason):
            out = tmp_path / "out"
            with pytest.raises(ExportError) as caught, atomic_folder(out, False):
                raise OSError(number, os.strerror(number), "somewhere")
            assert str(caught.value) == f"{out}: cannot be written ({reason})"
            assert names(tmp_path) == []


def test_an_existing_target_is_refused_even_where_empty(tmp_path: Path) -> None:
    write(tmp_path / "out", text="old")
    (tmp_path / "empty").mkdir()
    for name in ("out", "empty"):
        with pytest.raises(ExportError, match=f"{name}: already exists; .*--overwrite"):
            write(tmp_path / name)
    assert (tmp_path / "out" / "x").read_text() == "old"
    write(tmp_path / "empty", overwrite=True)


def test_an_earlier_export_is_replaced_without_leftovers(tmp_path: Path) -> None:
    write(tmp_path / "out", text="old")
    write(tmp_path / "out", overwrite=True)
    assert (tmp_path / "out" / "x").read_text() == "new"
    assert names(tmp_path) == ["out"]


def test_the_earlier_export_stays_when_the_new_one_fails(tmp_path: Path) -> None:
    write(tmp_path / "out", text="old")
    with pytest.raises(ExportError), atomic_folder(tmp_path / "out", True) as folder:
        (folder / "x").write_text("new")
        raise OSError(errno.ENOSPC, "no space")
    assert (tmp_path / "out" / "x").read_text() == "old"
    assert names(tmp_path) == ["out"]


def test_the_earlier_export_is_restored_if_the_last_move_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "out", text="old")
    rename: Callable[[Path, Path], Path] = Path.rename

    def fail_into_place(self: Path, target: Path) -> Path:
        if target.name == "out" and (self / "x").read_text() == "new":
            raise OSError(errno.EIO, "input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_into_place)
    with pytest.raises(ExportError, match="input/output error"):
        write(tmp_path / "out", overwrite=True)
    assert (tmp_path / "out" / "x").read_text() == "old"
    assert names(tmp_path) == ["out"]


def _letters(out: Path) -> None:
    out.mkdir()
    (out / "letters.txt").write_text("dear")


def _export_with_notes(out: Path) -> None:
    write(out)
    (out / "notes.txt").write_text("mine")
    (out / "runs").mkdir()


def _report(text: str) -> Callable[[Path], None]:
    def make(out: Path) -> None:
        out.mkdir()
        (out / "report.json").write_text(text)

    return make


def _link(out: Path) -> None:
    (out.parent / "elsewhere").mkdir()
    out.symlink_to(out.parent / "elsewhere")


TARGETS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "files": (_letters, "contains letters.txt, not written by an export"),
    "an export and more": (_export_with_notes, "contains notes.txt and 1 more, not written by an export"),
    "another report": (_report('{"files": ["report.json"]}'), "contains report.json, "),
    "a broken report": (_report('{"bertprune": "0", "files": 3}'), "contains report.json, "),
    "a list": (_report('["bertprune"]'), "contains report.json, "),
    "a file": (lambda out: out.write_text("a file"), "is a file, not a folder"),
    "a link": (_link, "is a link, not a folder"),
    "a broken link": (lambda out: out.symlink_to(out.parent / "nowhere"), "is a link, not a folder"),
}


def test_only_an_earlier_export_is_overwritten(tmp_path: Path, subtests: pytest.Subtests) -> None:
    for number, target in enumerate(TARGETS):
        with subtests.test(target):
            (here := tmp_path / str(number)).mkdir()
            make, sentence = TARGETS[target]
            out = here / "out"
            make(out)
            before = sorted(str(path) for path in here.rglob("*"))
            with pytest.raises(ExportError, match=f"{sentence}.*; choose"):
                write(out, overwrite=True)
            assert sorted(str(path) for path in here.rglob("*")) == before


def test_neither_the_source_nor_a_folder_around_it_is_overwritten(tmp_path: Path) -> None:
    write(tmp_path / "export")
    source = tmp_path / "export" / "x"
    for out in (tmp_path / "export", tmp_path, tmp_path / "export" / ".." / "export"):
        with pytest.raises(ExportError, match="contains the source checkpoint"):
            write(out, overwrite=True, sources=(source,))
    write(tmp_path / "export" / "beside", sources=(source,))


def test_names_that_no_folder_can_have(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for out, reason in {
        tmp_path / "file" / "out": r"out: cannot be written \(",
        tmp_path / ("x" * 300): r"cannot be written \(the name is too long\)",
        tmp_path / "a\0b": r"not a valid name for a folder \(embedded null byte\)",
    }.items():
        with pytest.raises(ExportError, match=reason):
            write(out)
    assert names(tmp_path) == ["file"]


def test_a_target_can_be_checked_before_the_work(tmp_path: Path) -> None:
    write(tmp_path / "out")
    check_target(tmp_path / "out", overwrite=True)
    with pytest.raises(ExportError, match="already exists"):
        check_target(tmp_path / "out", overwrite=False)


EVENTS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree"}


def killed_at(moment: int, work: Callable[[], None]) -> bool:
    """Do work in a process that is killed before its n-th change of the disk; return whether it came so far."""
    process = os.fork()
    if not process:
        left = iter(range(moment))

        def hook(event: str, arguments: Any) -> None:
            if event in EVENTS and next(left, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        work()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == -signal.SIGKILL


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that can be forked")
def test_a_process_killed_at_any_moment_leaves_the_old_folder_or_the_new_one(tmp_path: Path) -> None:
    found, killed = [], True
    while killed:
        out = tmp_path / str(len(found)) / "out"
        write(out, text="old")
        killed = killed_at(len(found), partial(write, out, overwrite=True))
        beside = sorted((folder / "x").read_text() for folder in out.parent.iterdir() if (folder / "x").exists())
        if out.exists():
            assert names(out) == ["report.json", "x"]
            found.append((out / "x").read_text())
        else:  # between the two renames, both are whole under hidden names
            assert beside == ["new", "old"]
            found.append("neither")
        write(out, overwrite=True)
        assert (out / "x").read_text() == "new" and set(found) <= {"old", "new", "neither"}
    assert found[0] == "old" and found[-1] == "new" and found.count("neither") == 1


def test_the_leftover_of_a_killed_process_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / ".bertprune-0123456789ab").mkdir()
    write(tmp_path / "out")
    assert names(tmp_path) == [".bertprune-0123456789ab", "out"]

"""A folder appears whole or not at all."""

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bertprune.errors import ExportError
from bertprune.exports.folder import appearing


def write(out: Path, overwrite: bool = False, text: str = "new", sources: tuple[Path, ...] = ()) -> None:
    with appearing(out, overwrite, sources) as folder:
        (folder / "report.json").write_text(json.dumps({"bertprune": "0", "files": ["report.json", "x"]}))
        (folder / "x").write_text(text)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_it_appears_with_missing_parents(tmp_path: Path) -> None:
    write(tmp_path / "a" / "b" / "out")
    assert names(tmp_path / "a" / "b") == ["out"]
    assert names(tmp_path / "a" / "b" / "out") == ["report.json", "x"]


def test_others_may_read_it_as_the_system_is_set(tmp_path: Path) -> None:
    write(tmp_path / "out")
    (tmp_path / "plain").mkdir()
    assert (tmp_path / "out").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_while_it_is_written_the_name_is_free(tmp_path: Path) -> None:
    with appearing(tmp_path / "out", False) as folder:
        assert not (tmp_path / "out").exists()
        assert folder.parent == tmp_path and folder.name.startswith(".bertprune-")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ExportError("no"), ValueError("no")])
def test_any_failure_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)), appearing(tmp_path / "a" / "out", False) as folder:
        (folder / "x").write_text("half")
        raise error
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EACCES, "permission denied"),
        (errno.EROFS, "the file system is read-only"),
        (errno.EIO, "input/output error"),
    ],
)
def test_a_system_error_is_one_line(tmp_path: Path, number: int, words: str) -> None:
    out = tmp_path / "out"
    with pytest.raises(ExportError) as caught, appearing(out, False):
        raise OSError(number, os.strerror(number), "somewhere")
    assert str(caught.value) == f"{out}: cannot be written ({words})"
    assert names(tmp_path) == []


def test_an_existing_target_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "out", text="old")
    with pytest.raises(ExportError, match=r"out: exists already; .*--overwrite"):
        write(tmp_path / "out")
    assert (tmp_path / "out" / "x").read_text() == "old"


def test_even_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(ExportError, match="exists already"):
        write(tmp_path / "out")
    write(tmp_path / "out", overwrite=True)
    assert names(tmp_path) == ["out"]


def test_an_export_of_ours_is_replaced_and_nothing_is_left_of_it(tmp_path: Path) -> None:
    write(tmp_path / "out", text="old")
    write(tmp_path / "out", overwrite=True)
    assert (tmp_path / "out" / "x").read_text() == "new"
    assert names(tmp_path) == ["out"]


def test_the_old_one_stays_when_the_new_one_fails(tmp_path: Path) -> None:
    write(tmp_path / "out", text="old")
    with pytest.raises(ExportError), appearing(tmp_path / "out", True) as folder:
        (folder / "x").write_text("new")
        raise OSError(errno.ENOSPC, "no space")
    assert (tmp_path / "out" / "x").read_text() == "old"
    assert names(tmp_path) == ["out"]


def test_the_old_one_is_back_when_the_last_move_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def _home(out: Path) -> str:
    out.mkdir()
    (out / "letters.txt").write_text("dear")
    return "holds letters.txt, which no export of ours wrote"


def _export_with_notes(out: Path) -> str:
    write(out)
    (out / "notes.txt").write_text("mine")
    (out / "runs").mkdir()
    return "holds notes.txt and 1 more, which no export of ours wrote"


def _other_report(out: Path) -> str:
    out.mkdir()
    (out / "report.json").write_text('{"files": ["report.json"]}')
    return "holds report.json, which no export of ours wrote"


def _broken_report(out: Path) -> str:
    out.mkdir()
    (out / "report.json").write_text('{"bertprune": "0", "files": 3}')
    return "holds report.json, which no export of ours wrote"


def _list_report(out: Path) -> str:
    out.mkdir()
    (out / "report.json").write_text('["bertprune"]')
    return "holds report.json, which no export of ours wrote"


def _file(out: Path) -> str:
    out.write_text("a file")
    return "is a file, not a folder"


def _link(out: Path) -> str:
    (out.parent / "elsewhere").mkdir()
    out.symlink_to(out.parent / "elsewhere")
    return "is a link, not a folder"


def _broken_link(out: Path) -> str:
    out.symlink_to(out.parent / "nowhere")
    return "is a link, not a folder"


CASES = [_home, _export_with_notes, _other_report, _broken_report, _list_report, _file, _link, _broken_link]


@pytest.mark.parametrize("make", CASES)
def test_nothing_but_an_export_of_ours_is_overwritten(tmp_path: Path, make: Callable[[Path], str]) -> None:
    out = tmp_path / "out"
    words = make(out)
    before = sorted(str(path) for path in tmp_path.rglob("*"))
    with pytest.raises(ExportError, match=f"{words}; choose"):
        write(out, overwrite=True)
    assert sorted(str(path) for path in tmp_path.rglob("*")) == before


def test_the_source_is_never_written_nor_what_holds_it(tmp_path: Path) -> None:
    write(tmp_path / "export")
    source = tmp_path / "export" / "x"
    for out in (tmp_path / "export", tmp_path, tmp_path / "export" / ".." / "export"):
        with pytest.raises(ExportError, match="holds the source checkpoint"):
            write(out, overwrite=True, sources=(source,))
    write(tmp_path / "export" / "beside", sources=(source,))


def test_a_part_of_the_path_may_be_no_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError, match="out: cannot be written"):
        write(tmp_path / "file" / "out")
    assert names(tmp_path) == ["file"]


def test_a_name_may_be_too_long(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"cannot be written \(the name is too long\)"):
        write(tmp_path / ("x" * 300))
    assert names(tmp_path) == []


def test_leftovers_of_a_killed_process_are_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / ".bertprune-0123456789ab").mkdir()
    write(tmp_path / "out")
    assert names(tmp_path) == [".bertprune-0123456789ab", "out"]

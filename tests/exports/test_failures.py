"""If writing an export fails, no partial export is left."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError

import bertprune as bp
from bertprune.exports import write


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


NEURONS = bp.Step(method="magnitude", granularity="neuron", fraction=0.5)


@pytest.mark.parametrize("form", ["baked", "small"])
def test_a_killed_process_leaves_nothing_under_the_name(tmp_path: Path, pruned: Callable[..., Any], form: Any) -> None:
    def die(share: float, words: str) -> None:
        if words == "reading it back":
            os.kill(os.getpid(), signal.SIGKILL)

    run, out = pruned(NEURONS), tmp_path / "out"
    context = multiprocessing.get_context("fork")
    process = context.Process(target=bp.export, args=(run, out, form), kwargs={"progress": die})
    process.start()
    process.join(100)
    assert process.exitcode == -signal.SIGKILL
    left = names(tmp_path)
    assert "out" not in left
    assert [name[:11] for name in left if name != "tiny-0"] == [".bertprune-"]
    bp.export(run, out, form)
    assert "report.json" in names(out)


@pytest.mark.parametrize("form", ["baked", "small"])
def test_a_cancelled_export_leaves_nothing(tmp_path: Path, pruned: Callable[..., Any], form: Any) -> None:
    class Cancelled(Exception):
        pass

    run, seen = pruned(NEURONS), []
    bp.export(run, tmp_path / "whole", form, progress=lambda share, words: seen.append((share, words)))
    assert [share for share, _ in seen] == sorted(share for share, _ in seen) and seen[-1][0] == 1.0
    for _, moment in seen[:-1]:

        def cancel(share: float, words: str, moment: str = moment) -> None:
            if words == moment.replace("whole", "out"):
                raise Cancelled

        with pytest.raises(Cancelled):
            bp.export(run, tmp_path / "out", form, progress=cancel)
        assert names(tmp_path) == ["tiny-0", "whole"]


def test_an_error_of_the_disk_is_one_line(
    tmp_path: Path, pruned: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, subtests: pytest.Subtests
) -> None:
    run = pruned(NEURONS)
    bp.export(run, tmp_path / "out")
    for number, words in ((28, "the disk is full"), (5, "input/output error")):

        def refuse(tensors: Any, path: Path, metadata: Any, number: int = number) -> None:
            Path(path).write_bytes(b"half")
            raise SafetensorError(f'Error: I/O error: Input/output error (os error {number}) at path "{path}"')

        monkeypatch.setattr(write, "save_file", refuse)
        for name, form in (("out", "baked"), ("out", "small"), ("new", "small")):
            with subtests.test(f"{words}, {name}, {form}"):
                with pytest.raises(bp.BertpruneError) as caught:
                    bp.export(run, tmp_path / name, form, overwrite=True)
                message = str(caught.value)
                assert message.startswith(f"{tmp_path / name}: cannot be written (") and words in message.lower()
                assert "/.bertprune-" not in message
                assert names(tmp_path) == ["out", "tiny-0"]
    bp.load(tmp_path / "out")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_one_line(tmp_path: Path, pruned: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    run = pruned()
    original = Path.write_text

    def to_full(self: Path, text: str, **rest: Any) -> int:
        return original(Path("/dev/full") if self.name == "recipe.yaml" else self, text, **rest)

    monkeypatch.setattr(Path, "write_text", to_full)
    with pytest.raises(bp.BertpruneError, match=r"out: cannot be written \(the disk is full\)"):
        bp.export(run, tmp_path / "out")
    assert names(tmp_path) == ["tiny-0"]


def _flip(tensors: dict[str, torch.Tensor]) -> None:
    tensors[min(name for name in tensors if name.endswith("key.weight"))].view(-1)[0] += 1


def _lose(tensors: dict[str, torch.Tensor]) -> None:
    tensors.pop(min(name for name in tensors if name.endswith("key.weight")))


def _add(tensors: dict[str, torch.Tensor]) -> None:
    tensors["stranger"] = torch.ones(2)


def _narrow(tensors: dict[str, torch.Tensor]) -> None:
    name = min(name for name in tensors if name.endswith("key.weight"))
    tensors[name] = tensors[name].half()


def _sign(tensors: dict[str, torch.Tensor]) -> None:
    name = min(name for name in tensors if name.endswith("key.weight"))
    zeros = tensors[name] == 0
    assert zeros.any()
    tensors[name] = torch.where(zeros, -tensors[name], tensors[name])


def test_what_is_not_read_back_the_same_is_not_kept(
    tmp_path: Path, pruned: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, subtests: pytest.Subtests
) -> None:
    run, save = pruned([bp.Step(method="l1_unstructured", fraction=0.5, select="*key"), NEURONS]), write.save_file
    found = r"(read back|reports|never written)"
    for damage in (_flip, _lose, _add, _narrow, _sign):

        def save_damaged(tensors: Any, path: Path, metadata: Any, damage: Callable[[Any], None] = damage) -> None:
            damage(tensors)
            save(tensors, path, metadata)

        monkeypatch.setattr(write, "save_file", save_damaged)
        for form in ("baked", "small"):
            with subtests.test(f"{damage.__name__}, {form}"):
                with pytest.raises(
                    bp.BertpruneError, match=r"out: verification failed \(.*" + found + r".*\); nothing was written"
                ):
                    bp.export(run, tmp_path / "out", form)
                assert names(tmp_path) == ["tiny-0"]


def test_a_mask_that_is_not_read_back_the_same_is_noticed(
    tmp_path: Path, pruned: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    save = write.save_file

    def save_damaged(tensors: dict[str, torch.Tensor], path: Path, metadata: Any) -> None:
        name = min(name for name in tensors if name.endswith("_mask"))
        save({**tensors, name: ~tensors[name]}, path, metadata)

    run = pruned()
    monkeypatch.setattr(write, "save_file", save_damaged)
    with pytest.raises(bp.BertpruneError, match=r"out: .*_mask differs when read back"):
        bp.export(run, tmp_path / "out", "masked")
    assert names(tmp_path) == ["tiny-0"]


def test_an_unknown_form_is_refused(tmp_path: Path, pruned: Callable[..., Any]) -> None:
    with pytest.raises(bp.BertpruneError, match="form 'dense' is unknown; choose one of baked, masked, small, onnx"):
        bp.export(pruned(), tmp_path / "out", "dense")


def test_the_source_is_never_overwritten(tmp_path: Path, pruned: Callable[..., Any]) -> None:
    bp.export(pruned(), tmp_path / "out")
    again = bp.prune(tmp_path / "out", bp.Step(method="l1_unstructured", fraction=0.5, select="*key"))
    with pytest.raises(bp.BertpruneError, match="contains the source checkpoint"):
        bp.export(again, tmp_path / "out", overwrite=True)
    bp.load(tmp_path / "out")


def test_a_folder_may_be_named_from_home(
    tmp_path: Path, pruned: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert bp.export(pruned(), "~/exported").path == tmp_path / "exported"
    with pytest.raises(bp.BertpruneError, match="no such user"):
        bp.export(pruned(), "~nobody-of-that-name/exported")

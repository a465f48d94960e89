"""Pushing a folder to the Hub: which files go, byte for byte, in one commit, and what an existing repository keeps."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import bertprune as bp
from bertprune.errors import ExportError
from tests.stand_in_hub import Repository, StandInHub

from .pushing import NAME, contents, push

HALF = bp.Step(method="magnitude", granularity="neuron", fraction=0.5)


@pytest.mark.parametrize("form", ["baked", "masked", "small"])
def test_each_form_arrives_byte_for_byte_in_one_commit(
    hub: StandInHub, exported: Callable[..., Path], form: str
) -> None:
    folder = exported(form, HALF if form == "small" else None)
    result = push(folder)
    there = hub.repositories[NAME]
    assert there.model == contents(folder) and len(there.commits) == 1 and not there.private
    assert result.files == {file: len(data) for file, data in contents(folder).items()}
    assert (str(result), result.commit, result.left_out) == (f"{hub.url}/{NAME}", there.sha, ())


def test_an_onnx_export_arrives_whole(hub: StandInHub, exported: Callable[..., Path]) -> None:
    folder = exported()
    (folder / "onnx").mkdir()
    (folder / "model.safetensors").rename(folder / "onnx/model.onnx")
    report = json.loads((folder / "report.json").read_text())
    report["files"] = sorted({*contents(folder)})
    (folder / "report.json").write_text(json.dumps(report))
    push(folder)
    assert hub.repositories[NAME].model == contents(folder)


def test_what_transformers_saved_goes_without_what_lies_beside_it(
    hub: StandInHub, tiny_folder: Callable[..., Path]
) -> None:
    folder = tiny_folder(sharded=True)
    model = contents(folder)
    for file in ("LICENSE", "optimizer.pt", ".env"):
        (folder / file).write_text("x")
    result = push(folder)
    assert hub.repositories[NAME].model == {**model, "LICENSE": b"x"}
    assert "model.safetensors.index.json" in result.files and result.left_out == (".env", "optimizer.pt")


def test_a_sentence_transformers_folder_goes_with_its_modules(
    hub: StandInHub, sentence_folder: Callable[..., Path]
) -> None:
    folder = sentence_folder(inside="0_Transformer", dense=True)
    push(folder)
    assert hub.repositories[NAME].model == contents(folder)


def test_large_files_go_one_by_one_after_the_small_ones(hub: StandInHub, tiny_folder: Callable[..., Path]) -> None:
    said: list[str] = []
    push(tiny_folder(vocab_size=9000), progress=lambda share, words: said.append(words))
    assert [words for words in said if words.startswith("uploading")] == [
        "uploading 3 small files",
        "uploading model.safetensors (1.2 MB)",
    ]
    assert hub.asked == ["look", "create", "preupload", "preupload", "lfs", "put", "commit"]


def test_a_private_repository_is_private_from_the_start(hub: StandInHub, tiny_folder: Callable[..., Path]) -> None:
    assert push(tiny_folder(), private=True).private
    assert hub.repositories[NAME].private


def test_a_second_push_is_refused_unless_it_is_to_overwrite(
    hub: StandInHub, tiny_folder: Callable[..., Path], exported: Callable[..., Path]
) -> None:
    first, second = tiny_folder(), exported("masked")
    one = push(first)
    with pytest.raises(ExportError) as caught:
        push(second)
    assert caught.value.code == "exports.push_taken" and hub.repositories[NAME].model == contents(first)
    result = push(second, overwrite=True)
    assert hub.repositories[NAME].model == contents(second)
    assert result.removed == ("model.safetensors",) and result.commit != one.commit
    assert push(second, overwrite=True).commit == result.commit  # nothing has changed, so there is nothing to commit


def test_overwriting_keeps_private_what_is_and_never_publishes(
    hub: StandInHub, tiny_folder: Callable[..., Path]
) -> None:
    folder = tiny_folder()
    hub.repositories |= {"me/private": Repository(private=True), "me/public": Repository()}
    assert push(folder, "me/private", overwrite=True).private and hub.repositories["me/private"].private
    with pytest.raises(ExportError) as caught:
        push(folder, "me/public", overwrite=True, private=True)
    assert caught.value.code == "exports.push_public" and hub.repositories["me/public"].commits == []


def test_rules_of_the_repository_hold_no_file_back(hub: StandInHub, tiny_folder: Callable[..., Path]) -> None:
    hub.repositories[NAME] = Repository()
    hub.repositories[NAME].files[".gitignore"] = b"*.safetensors\n"
    folder = tiny_folder()
    assert push(folder, overwrite=True).removed == (".gitignore",)
    assert hub.repositories[NAME].model == contents(folder)


def test_a_report_beside_the_model_is_a_table_of_its_card(hub: StandInHub, exported: Callable[..., Path]) -> None:
    folder = exported()
    card = (folder / "README.md").read_text()
    quality = bp.evaluate(folder, "samples", limit=16)
    (folder / "quality.json").write_text(json.dumps(quality.to_dict()))
    result = push(folder)
    pushed = hub.repositories[NAME].model["README.md"].decode()
    assert pushed.startswith(card.rstrip()) and "\n## Measured\n" in pushed
    assert f"| accuracy |  | {quality['accuracy'].after.value:.4f} |" in pushed
    assert "quality.json" not in {**result.files, **dict.fromkeys(result.left_out)}  # it may hold texts
    assert (folder / "README.md").read_text() == card

    speed = bp.speed(folder, rounds=2)
    (folder / "quality.json").unlink()
    (folder / "README.md").write_text(pushed + "\n## Mine\n\nkept\n")
    (folder / "speed.json").write_text(json.dumps(speed.to_dict()))
    push(folder, overwrite=True)
    pushed = hub.repositories[NAME].model["README.md"].decode()
    assert pushed.count("## Measured") == 1 and "accuracy" not in pushed and "\n\n## Mine\n\nkept\n" in pushed
    assert "| latency, 1 ×" in pushed and "was not measured here" not in pushed


def test_a_file_that_is_no_report_is_refused(hub: StandInHub, exported: Callable[..., Path]) -> None:
    folder = exported()
    for text in ("{}", "[", "[1]", '{"scores": 3}', "[" * 100_000):
        (folder / "quality.json").write_text(text)
        with pytest.raises(ExportError) as caught:
            push(folder)
        assert caught.value.code == "exports.push_not_a_report"
    assert hub.asked == []


def test_a_model_without_a_card_gets_one_where_it_was_measured(
    hub: StandInHub, tiny_folder: Callable[..., Path]
) -> None:
    folder = tiny_folder()
    (folder / "speed.json").write_text(json.dumps(bp.speed(folder, rounds=2).to_dict()))
    push(folder)
    pushed = hub.repositories[NAME].model["README.md"].decode()
    assert pushed.startswith("---\nlibrary_name: transformers\n---\n") and "| latency, 1 ×" in pushed

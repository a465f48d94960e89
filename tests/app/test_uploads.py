"""Uploads: a checkpoint is accepted, everything else is refused before a byte is unpacked."""

import os
import zipfile
from pathlib import Path

import pytest

from app.errors import LimitError
from app.settings import Settings
from app.uploads import UploadError, take_upload

GOOD = {"config.json": b"{}", "model.safetensors": b"weights", "vocab.txt": b"[PAD]\n"}


def zipped(folder: Path, files: dict[str, bytes], name: str = "up.zip") -> Path:
    path = folder / name
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in files.items():
            archive.writestr(member, content)
    return path


def taken(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_zip_of_one_folder_is_unpacked_flat(tmp_path: Path, subtests: pytest.Subtests) -> None:
    for number, prefix in enumerate(["", "my-bert/", "deep/er/"]):
        with subtests.test(prefix):
            (here := tmp_path / str(number)).mkdir()
            archive = zipped(here, {prefix + name: content for name, content in GOOD.items()})
            assert taken(take_upload([archive], here / "in", Settings())) == GOOD


def test_readmes_and_hidden_files_are_left_out(tmp_path: Path) -> None:
    extra = {"README.md": b"#", ".gitattributes": b"", "__MACOSX/._config.json": b"x"}
    assert taken(take_upload([zipped(tmp_path, GOOD | extra)], tmp_path / "in", Settings())) == GOOD


def test_files_of_other_software_beside_a_checkpoint_are_left_out(tmp_path: Path, subtests: pytest.Subtests) -> None:
    for number, prefix in enumerate(["", "my-bert/"]):
        with subtests.test(prefix):
            (here := tmp_path / str(number)).mkdir()
            names = ("data_config.json", "training_args.bin", "optimizer.pt", "tf_model.h5", "onnx/model.onnx")
            names += (
                "tokenization_kobert.py",
                "tokenizer_78b3253a26.model",
                "eval_results.txt",
                "loss.png",
                "train.log",
            )
            files = {prefix + name: content for name, content in (GOOD | dict.fromkeys(names, b"x")).items()}
            assert taken(take_upload([zipped(here, files)], here / "in", Settings())) == GOOD


@pytest.mark.parametrize("inside", ["", "0_Transformer/"])
def test_a_folder_of_sentence_transformers_keeps_its_modules(
    tmp_path: Path, inside: str, subtests: pytest.Subtests
) -> None:
    for number, prefix in enumerate(["", "my-bert/"]):
        with subtests.test(f"{prefix}{inside}"):
            (here := tmp_path / str(number)).mkdir()
            modules = (
                "modules.json",
                "config_sentence_transformers.json",
                "1_Pooling/config.json",
                "2_Dense/config.json",
            )
            modules += ("2_Dense/model.safetensors", f"{inside}sentence_xlm-roberta_config.json")
            files = {inside + name: content for name, content in GOOD.items()} | dict.fromkeys(modules, b"x")
            left_out = {"1_Pooling/pool.py": b"x", "onnx/model.onnx": b"x", "2_Normalize/": b""}
            archive = zipped(here, {prefix + name: content for name, content in (files | left_out).items()})
            into = take_upload([archive], here / "in", Settings())
            assert {
                str(path.relative_to(into)): path.read_bytes() for path in into.rglob("*") if path.is_file()
            } == files


def test_other_folders_within_a_checkpoint_are_refused(tmp_path: Path, subtests: pytest.Subtests) -> None:
    for other in [
        "1_Pooling/deep/er/config.json",
        "1_A/2_B/3_C/config.json",
        "a/config.json",
        "_1/config.json",
        "1_/vocab.txt",
    ]:
        with subtests.test(other), pytest.raises(UploadError, match="several folders"):
            take_upload([zipped(tmp_path, GOOD | {other: b"x"})], tmp_path / "in", Settings())


def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "config.json")
    with pytest.raises(UploadError, match=r"'config\.json' is not a readable"):
        take_upload([tmp_path / "config.json"], tmp_path / "in", Settings())


def test_single_files_are_accepted_and_a_lone_safetensors_is_the_model(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(b"{}")
    (tmp_path / "my best.safetensors").write_bytes(b"w")
    (tmp_path / "README.md").write_bytes(b"#")  # whoever uploads a folder's files marks them all
    files = [tmp_path / name for name in ("config.json", "my best.safetensors", "README.md")]
    assert taken(take_upload(files, tmp_path / "in", Settings())) == {"config.json": b"{}", "model.safetensors": b"w"}


def test_a_readme_alone_is_not_a_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_bytes(b"#")
    with pytest.raises(UploadError, match="not a checkpoint file"):
        take_upload([tmp_path / "README.md"], tmp_path / "in", Settings())


def test_count_and_size_are_limited(tmp_path: Path) -> None:
    with pytest.raises(LimitError, match="3 files; at most 2"):
        take_upload([zipped(tmp_path, GOOD)], tmp_path / "in", Settings(max_files=2))
    with pytest.raises(LimitError, match="at most 10 are accepted"):
        take_upload([zipped(tmp_path, GOOD)], tmp_path / "in", Settings(max_unpacked=10))
    for name in GOOD:
        (tmp_path / name).write_bytes(GOOD[name])
    with pytest.raises(LimitError, match="at most 10 are accepted"):
        take_upload([tmp_path / name for name in GOOD], tmp_path / "in", Settings(max_unpacked=10))


def test_an_incomplete_checkpoint_is_refused(tmp_path: Path, subtests: pytest.Subtests) -> None:
    for left_out, said in [("config.json", "config.json is missing"), ("model.safetensors", "contains no weights")]:
        with subtests.test(left_out):
            files = {name: content for name, content in GOOD.items() if name != left_out}
            with pytest.raises(UploadError, match=said):
                take_upload([zipped(tmp_path, files)], tmp_path / "in", Settings())
            assert not (tmp_path / "in").exists()


def test_a_broken_zip_is_refused_without_a_path(tmp_path: Path) -> None:
    (tmp_path / "fake.zip").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(UploadError, match=r"'fake\.zip' is not a readable zip") as caught:
        take_upload([tmp_path / "fake.zip"], tmp_path / "in", Settings())
    assert str(tmp_path) not in str(caught.value)

"""Uploads: what is a checkpoint is taken, everything else is refused before a byte is unpacked."""

import stat
import zipfile
from pathlib import Path

import pytest

from app.archives import UploadError, take_upload
from app.i18n import say
from app.limits import LimitError
from app.settings import Settings
from app.trouble import FieldError, entered, reason

GOOD = {"config.json": b"{}", "model.safetensors": b"weights", "vocab.txt": b"[PAD]\n"}


def zipped(folder: Path, files: dict[str, bytes], name: str = "up.zip") -> Path:
    path = folder / name
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in files.items():
            archive.writestr(member, content)
    return path


def taken(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("prefix", ["", "my-bert/", "deep/er/"])
def test_a_zip_of_one_folder_is_unpacked_flat(tmp_path: Path, prefix: str) -> None:
    archive = zipped(tmp_path, {prefix + name: content for name, content in GOOD.items()})
    assert taken(take_upload([archive], tmp_path / "in", Settings())) == GOOD


def test_readmes_and_hidden_files_are_left_out(tmp_path: Path) -> None:
    extra = {"README.md": b"#", ".gitattributes": b"", "__MACOSX/._config.json": b"x"}
    assert taken(take_upload([zipped(tmp_path, GOOD | extra)], tmp_path / "in", Settings())) == GOOD


@pytest.mark.parametrize("prefix", ["", "my-bert/"])
def test_what_lies_beside_a_checkpoint_of_other_software_is_left_out(tmp_path: Path, prefix: str) -> None:
    names = ("1_Pooling/config.json", "modules.json", "sentence_bert_config.json", "config_sentence_transformers.json")
    names += ("data_config.json", "training_args.bin", "optimizer.pt", "tf_model.h5", "onnx/model.onnx")
    names += ("tokenization_kobert.py", "tokenizer_78b3253a26.model", "eval_results.txt", "loss.png", "train.log")
    files = {prefix + name: content for name, content in (GOOD | dict.fromkeys(names, b"x")).items()}
    assert taken(take_upload([zipped(tmp_path, files)], tmp_path / "in", Settings())) == GOOD


def test_loose_files_are_taken_and_a_lone_safetensors_is_the_model(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(b"{}")
    (tmp_path / "my best.safetensors").write_bytes(b"w")
    (tmp_path / "README.md").write_bytes(b"#")  # whoever uploads a folder's files marks them all
    files = [tmp_path / name for name in ("config.json", "my best.safetensors", "README.md")]
    assert taken(take_upload(files, tmp_path / "in", Settings())) == {"config.json": b"{}", "model.safetensors": b"w"}


def test_a_lone_readme_is_no_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_bytes(b"#")
    with pytest.raises(UploadError, match="not a file of a checkpoint"):
        take_upload([tmp_path / "README.md"], tmp_path / "in", Settings())


@pytest.mark.parametrize(
    ("member", "said"),
    [
        ("../config.json", "leaves its folder"),
        ("/etc/config.json", "leaves its folder"),
        ("a/../../config.json", "leaves its folder"),
        ("C:/config.json", "leaves its folder"),
        ("a\\..\\config.json", "leaves its folder"),
        ("run.exe", "not a file of a checkpoint"),
        ("weights.pkl", "not a file of a checkpoint"),
        ("inner.zip", "archive within"),
        ("weights.tar.gz", "archive within"),
        ("other/pytorch_model.bin", "several folders"),
    ],
)
def test_hostile_members_are_refused_by_name(tmp_path: Path, member: str, said: str) -> None:
    with pytest.raises(UploadError, match=said):
        take_upload([zipped(tmp_path, {**GOOD, member: b"x"})], tmp_path / "in", Settings())
    assert not (tmp_path / "in").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["up.zip"]


def test_links_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "up.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for member, content in GOOD.items():
            archive.writestr(member, content)
        link = zipfile.ZipInfo("tokenizer.json")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(UploadError, match="link"):
        take_upload([path], tmp_path / "in", Settings())


def test_a_bomb_is_refused_by_its_directory(tmp_path: Path) -> None:
    archive = zipped(tmp_path, {**GOOD, "model.safetensors": bytes(40_000_000)})
    assert archive.stat().st_size < 100_000
    with pytest.raises(UploadError, match="would unpack to 40,000,000 bytes"):
        take_upload([archive], tmp_path / "in", Settings())


def test_a_lying_directory_is_refused(tmp_path: Path) -> None:
    archive = zipped(tmp_path, {**GOOD, "model.safetensors": bytes(1000)})
    content = archive.read_bytes()
    archive.write_bytes(content.replace((1000).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    with pytest.raises(UploadError):
        take_upload([archive], tmp_path / "in", Settings())
    assert not (tmp_path / "in").exists()


def test_count_and_size_are_limited(tmp_path: Path) -> None:
    with pytest.raises(LimitError, match="3 files; at most 2"):
        take_upload([zipped(tmp_path, GOOD)], tmp_path / "in", Settings(max_files=2))
    with pytest.raises(LimitError, match="at most 10 are taken"):
        take_upload([zipped(tmp_path, GOOD)], tmp_path / "in", Settings(max_unpacked=10))
    for name in GOOD:
        (tmp_path / name).write_bytes(GOOD[name])
    with pytest.raises(LimitError, match="at most 10 are taken"):
        take_upload([tmp_path / name for name in GOOD], tmp_path / "in", Settings(max_unpacked=10))


@pytest.mark.parametrize(
    ("left_out", "said"), [("config.json", "config.json is missing"), ("model.safetensors", "no weights")]
)
def test_an_incomplete_checkpoint_is_refused(tmp_path: Path, left_out: str, said: str) -> None:
    files = {name: content for name, content in GOOD.items() if name != left_out}
    with pytest.raises(UploadError, match=said):
        take_upload([zipped(tmp_path, files)], tmp_path / "in", Settings())
    assert not (tmp_path / "in").exists()


def test_what_is_no_zip_is_refused_without_a_path(tmp_path: Path) -> None:
    (tmp_path / "fake.zip").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(UploadError, match=r"'fake\.zip' is not a readable zip") as caught:
        take_upload([tmp_path / "fake.zip"], tmp_path / "in", Settings())
    assert str(tmp_path) not in str(caught.value)


def test_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UploadError, match="nothing was uploaded"):
        take_upload([], tmp_path / "in", Settings())


def test_a_refused_upload_is_told_in_the_visitors_language(tmp_path: Path) -> None:
    (tmp_path / "fake.zip").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(FieldError) as caught, entered("upload"):
        take_upload([tmp_path / "fake.zip"], tmp_path / "in", Settings())
    assert reason("ko", caught.value) == (
        f"{say('ko', 'wrong_upload')} 'fake.zip': 읽을 수 있는 zip 파일이 아닙니다. 체크포인트 폴더를 다시 압축하세요"
    )
    assert "is not a readable zip file" in reason("en", caught.value)

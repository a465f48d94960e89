"""The training script works end to end, without data."""

import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from transformers import AutoModelForMaskedLM, AutoModelForSequenceClassification, AutoTokenizer

SCRIPT = Path(__file__).resolve().parents[2] / "training" / "train_demo.py"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder that a smoke run left."""
    out = tmp_path_factory.mktemp("smoke")
    command = [sys.executable, str(SCRIPT), "--smoke", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=out, timeout=300)
    assert done.returncode == 0, done.stderr
    return out


def test_sentiment_loads_whole_and_in_float32(trained: Path) -> None:
    model, info = AutoModelForSequenceClassification.from_pretrained(trained / "sentiment", output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"]
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert model.config.id2label == {0: "negative", 1: "positive"}


def test_mlm_loads_with_a_tied_decoder(trained: Path) -> None:
    model, info = AutoModelForMaskedLM.from_pretrained(trained / "mlm", output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"]
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert model.cls.predictions.decoder.weight is model.bert.embeddings.word_embeddings.weight


@pytest.mark.parametrize("stage", ["mlm", "sentiment"])
def test_half_precision_on_disk_and_nothing_twice(trained: Path, stage: str) -> None:
    with safe_open(trained / stage / "model.safetensors", "pt") as tensors:
        names = list(tensors.keys())
        assert {tensors.get_slice(name).get_dtype() for name in names} == {"F16"}
    assert not any("decoder" in name for name in names)


@pytest.mark.parametrize("stage", ["mlm", "sentiment"])
def test_tokenizer_keeps_hangul_syllables(trained: Path, stage: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(trained / stage)
    decomposed = unicodedata.normalize("NFD", "영화")
    assert tokenizer(decomposed).input_ids == tokenizer("영화").input_ids
    assert tokenizer.tokenize("영화 최고였다")[0] == "영화"


@pytest.mark.parametrize("stage", ["mlm", "sentiment"])
def test_card_names_data_and_licence(trained: Path, stage: str) -> None:
    card = (trained / stage / "README.md").read_text(encoding="utf-8")
    assert "Naver sentiment movie corpus (NSMC), CC0 1.0" in card and "Apache-2.0" in card
    assert (trained / stage / "training.png").stat().st_size < 100_000


def test_data_or_smoke_is_asked_for(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and "--data" in done.stderr


def test_data_that_is_not_there_is_said_in_one_line(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--data", str(tmp_path / "none.tsv"), "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and "Invalid value for '--data'" in done.stderr and "Traceback" not in done.stderr


def test_a_smoke_run_stays_out_of_a_folder_that_holds_files(trained: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in trained.rglob("*")}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--smoke", "--out", str(trained)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 2 and "wants a new folder" in done.stderr
    assert {path: path.stat().st_mtime_ns for path in trained.rglob("*")} == before

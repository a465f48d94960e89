"""The training script runs from synthetic reviews to finished checkpoints, and refuses wrong arguments."""

import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import typer
from safetensors import safe_open
from transformers import AutoModelForMaskedLM, AutoModelForSequenceClassification, AutoTokenizer
from typer.testing import CliRunner, Result

from demo_training.cli import main


def invoke(*arguments: object) -> Result:
    """Run the script's command line in this process."""
    program = typer.Typer()
    program.command()(main)
    return CliRunner(env={"COLUMNS": "200"}).invoke(program, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Run all stages once, each interrupted and resumed, and give the folder of the checkpoints."""
    out, threads = tmp_path_factory.mktemp("smoke"), torch.get_num_threads()
    with torch.random.fork_rng():
        done = invoke("--smoke", "--out", out)
    torch.set_num_threads(threads)
    assert done.exit_code == 0, done.output
    yield out


def test_the_classifier_loads_completely_and_in_float32(trained: Path) -> None:
    model, info = AutoModelForSequenceClassification.from_pretrained(trained / "sentiment", output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"]
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert model.config.id2label == {0: "negative", 1: "positive"}


def test_the_language_model_loads_with_a_tied_decoder(trained: Path) -> None:
    model, info = AutoModelForMaskedLM.from_pretrained(trained / "mlm", output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"]
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert model.cls.predictions.decoder.weight is model.bert.embeddings.word_embeddings.weight
    with safe_open(trained / "mlm" / "model.safetensors", "pt") as tensors:
        names = list(tensors.keys())
        assert {tensors.get_slice(name).get_dtype() for name in names} == {"F16"}
    assert not any("decoder" in name for name in names)


def test_each_checkpoint_has_its_tokenizer_and_card(trained: Path, subtests: pytest.Subtests) -> None:
    for stage in ("mlm", "sentiment"):
        with subtests.test(stage):
            tokenizer = AutoTokenizer.from_pretrained(trained / stage)
            assert tokenizer(unicodedata.normalize("NFD", "영화")).input_ids == tokenizer("영화").input_ids
            assert tokenizer.tokenize("영화 최고였다")[0] == "영화"
            card = (trained / stage / "README.md").read_text(encoding="utf-8")
            assert "Naver sentiment movie corpus (NSMC), CC0 1.0" in card and "Apache-2.0" in card
            assert (trained / stage / "training.png").stat().st_size < 100_000


def test_wrong_arguments_are_refused_and_nothing_is_overwritten(trained: Path, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in trained.rglob("*")}
    for arguments, message in {
        ("--smoke", "--out", trained): "needs a new folder",
        ("--out", tmp_path): "give --data",
        ("--data", tmp_path / "none.tsv", "--out", tmp_path): "Invalid value for '--data'",
    }.items():
        done = invoke(*arguments)
        assert (done.exit_code, message in done.output) == (2, True), done.output
    assert {path: path.stat().st_mtime_ns for path in trained.rglob("*")} == before

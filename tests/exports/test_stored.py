"""How tensors are stored: their dtypes, tied ones once, those that the source lacks."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import bertprune as bp

from .conftest import RECIPE, WORDS
from .test_baked import bits, outputs


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_tensors_keep_the_dtype_of_the_source(tmp_path: Path, pruned: Callable[..., Any], dtype: str) -> None:
    run = pruned(dtype=dtype)
    baked = bp.export(run, tmp_path / "baked")
    bp.export(run, tmp_path / "masked", "masked")
    for file in ("baked/model.safetensors", "masked/masked.safetensors"):
        stored = load_file(tmp_path / file)
        assert {value.dtype for name, value in stored.items() if not name.endswith("_mask")} == {getattr(torch, dtype)}
    source = run.checkpoint.facts.bytes
    assert abs(baked.files["model.safetensors"] - source) < 200  # as large as the source, except for the header


def test_tensors_of_several_dtypes_keep_theirs(tmp_path: Path, tiny_folder: Callable[..., Path]) -> None:
    source = tiny_folder(model_cls="BertModel")
    weights = load_file(source / "model.safetensors")
    weights = {name: value.half() if "query" in name else value for name, value in weights.items()}
    save_file(weights, source / "model.safetensors", metadata={"format": "pt"})
    bp.export(bp.prune(source, RECIPE), tmp_path / "out")
    stored = load_file(tmp_path / "out" / "model.safetensors")
    assert {name: value.dtype for name, value in stored.items()} == {name: v.dtype for name, v in weights.items()}


@pytest.mark.parametrize("model_cls", ["RobertaForMaskedLM", "DistilBertForMaskedLM"])
def test_tied_tensors_are_stored_once_and_tied_again(
    tmp_path: Path, pruned: Callable[..., Any], model_cls: str
) -> None:
    run = pruned(WORDS, model_cls=model_cls)
    bp.export(run, tmp_path / "out")
    stored = load_file(tmp_path / "out" / "model.safetensors")
    words = run.model.get_input_embeddings().weight
    assert [name for name, value in stored.items() if value.shape == words.shape] == list(run.masks)
    back = bp.load(tmp_path / "out")
    assert back.get_input_embeddings().weight is back.get_output_embeddings().weight
    assert torch.equal(back.get_input_embeddings().weight, words)


def test_what_the_config_ties_but_the_files_store_twice_is_not_tied(
    tmp_path: Path, tiny_folder: Callable[..., Path]
) -> None:
    source = tiny_folder(model_cls="BertForMaskedLM")
    weights = load_file(source / "model.safetensors")
    weights["cls.predictions.decoder.weight"] = weights["bert.embeddings.word_embeddings.weight"] + 1
    save_file(weights, source / "model.safetensors", metadata={"format": "pt"})
    run = bp.prune(source, WORDS)
    bp.export(run, tmp_path / "out")
    assert bits(outputs(bp.load(tmp_path / "out").eval())) == bits(outputs(run.model))


def test_tensors_that_the_source_lacks_come_back_from_the_seed(
    tmp_path: Path, tiny_folder: Callable[..., Path]
) -> None:
    source = tiny_folder(model_cls="BertModel", dtype="float16")
    config = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps({**config, "architectures": ["BertForSequenceClassification"]}))
    with pytest.warns(match="classifier"):
        run = bp.prune(source, RECIPE, seed=5)
    for form in ("baked", "masked"):
        bp.export(run, tmp_path / form, form)
        assert bits(outputs(bp.load(tmp_path / form))) == bits(outputs(run.model))
    assert load_file(tmp_path / "baked" / "model.safetensors")["classifier.weight"].dtype == torch.float32

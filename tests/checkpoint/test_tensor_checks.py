"""Stored tensors that are not those of the model: what would be lost or filled up at random is refused."""

import re
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoint_files import store, stored

import bertprune as bp
from bertprune.errors import MissingTensorsWarning

QUERY = "encoder.layer.0.attention.self.query"
Rename = Callable[[str], str]


def _renamed(old: str, new: str) -> Rename:
    return lambda name: re.sub(old, new, name)


def rename(folder: Path, how: Rename) -> Path:
    store(folder, {how(name): value for name, value in stored(folder).items()})
    return folder


def add(folder: Path, *names: str) -> Path:
    store(folder, {**stored(folder), **{name: torch.ones(2, 32) for name in names}})
    return folder


ANOTHER_FORM: dict[str, Rename] = {
    "projections": _renamed("query", "q_proj"),
    "numbers": _renamed(r"layer\.(\d)\.", r"layer_\1."),
    "flat": lambda name: name.replace("encoder.layer.0.", "encoder_layer_0_").replace("attention.", "attention_"),
    "words": _renamed("word_embeddings", "tok_embeddings"),
    "parametrized": _renamed("word_embeddings.weight", "word_embeddings.parametrizations.weight.original1"),
    "norm": _renamed("embeddings.LayerNorm", "embeddings.ln"),
}


def test_an_encoder_in_an_unknown_form_is_not_filled_up_at_random(
    tiny_folder: Any, refused: Any, subtests: pytest.Subtests
) -> None:
    for model, form in product(["BertModel", "BertForSequenceClassification", "BertForMaskedLM"], ANOTHER_FORM):
        with subtests.test(f"{model}, {form}"):
            folder, how = tiny_folder(model), ANOTHER_FORM[form]
            renamed = sorted({how(name) for name in stored(folder)} - set(stored(folder)))
            error = refused(rename(folder, how))
            assert error.code == "checkpoint.encoder_not_understood"
            assert renamed[0] in str(error) and "save_pretrained" in str(error)


OTHER_HEADS = [
    ("BertModel", "BertForSequenceClassification"),
    ("BertForMaskedLM", "BertForSequenceClassification"),
    ("BertForMaskedLM", "BertModel"),
    ("RobertaForMaskedLM", "RobertaForSequenceClassification"),
]


def test_another_head_is_only_warned_about(tiny_folder: Any, subtests: pytest.Subtests) -> None:
    for stored_model, opened in OTHER_HEADS:
        with subtests.test(f"{stored_model} as {opened}"):
            folder = tiny_folder(stored_model)
            config = (folder / "config.json").read_text()
            (folder / "config.json").write_text(config.replace(f'"{stored_model}"', f'"{opened}"'))
            add(folder, "embeddings.position_ids")
            with pytest.warns(MissingTensorsWarning):
                assert type(bp.load(folder)).__name__ == opened


CHANGES_A_MODULE = [
    f"{QUERY}.lora_A",
    f"{QUERY}.mask_module.context.0.scores",
    f"{QUERY}.mask",
    f"{QUERY}.weight_mask_score",
    f"{QUERY}.SCB",
    "encoder.layer.1.output.adapters.mine.adapter_down.weight",
    "embeddings.word_embeddings.lora_embedding_A",
    "pooler.dense.lora_A",
]


def test_what_would_change_a_module_is_refused_and_not_left_out(
    tiny_folder: Any, refused: Any, subtests: pytest.Subtests
) -> None:
    for name in CHANGES_A_MODULE:
        with subtests.test(name):
            for model, stored_as in (("BertModel", name), ("BertForSequenceClassification", f"bert.{name}")):
                error = refused(add(tiny_folder(model), stored_as))
                assert error.code == "checkpoint.extra_tensor"
                assert name in str(error) and "merge" in str(error)


def test_what_transformers_renames_is_looked_at_by_its_new_name(tiny_folder: Any, refused: Any) -> None:
    folder = tiny_folder("NomicBertModel")
    error = refused(add(folder, "encoder.layers.0.attn.Wqkv.lora_A"))
    assert (error.code == "checkpoint.extra_tensor" and "q_proj.lora_A" in str(error)) or "k_proj.lora_A" in str(error)


def test_a_wrapped_model_is_refused_with_the_way_out(tiny_folder: Any, refused: Any, subtests: pytest.Subtests) -> None:
    for prefix in ["module.", "_orig_mod.", "base_model.model."]:
        with subtests.test(prefix):
            error = refused(rename(tiny_folder("BertModel"), lambda name: f"{prefix}bert.{name}"))
            assert error.code == "checkpoint.wrapped_model"
            assert f"{prefix}bert." in str(error) and "model.module of" in str(error)


def test_a_file_of_another_model_says_what_it_holds(tiny_folder: Any, refused: Any) -> None:
    error = refused(rename(tiny_folder("BertModel"), lambda name: f"student.{name}"))
    assert error.code == "checkpoint.nothing_of_the_model" and "student.embeddings" in str(error)

"""Embeddings of a folder's own modules: sentence-transformers itself is the judge."""

import json
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import bertprune as bp
from bertprune.data.batches import encode, run_in_batches
from bertprune.data.embedding import MEAN, POOLINGS
from bertprune.data.embedding_folder import read_embedding
from bertprune.errors import DataError

TEXTS = ["the film was good", "bad plot and boring music it was not very fine acting", "awful", "a Very GREAT film"]


def ours(folder: Path, prompt_tokens: int = 0) -> Any:
    """Embed the texts in one batch of different lengths."""
    checkpoint = bp.Checkpoint.open(folder)
    embedding = read_embedding(folder, folder.name, 32)
    encoded = encode(checkpoint.tokenizer(), embedding.prepared(TEXTS), None, embedding.max_length or 32)
    return run_in_batches(
        checkpoint.model(), encoded, lambda model, batch: embedding(model, batch, prompt_tokens), batch_size=4
    )


def theirs(folder: Path, **options: Any) -> Any:
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(folder), device="cpu", local_files_only=True).encode(TEXTS, **options)


def test_poolings_and_layers(sentence_folder: Callable[..., Path], subtests: pytest.Subtests) -> None:
    layers: list[dict[str, Any]] = [{}, {"dense": True, "normalize": True}]
    for pooling, more in product([*POOLINGS, ["cls", "max", "mean"]], layers):
        with subtests.test(f"{pooling}, {more}"):
            folder = sentence_folder(pooling, **more)
            np.testing.assert_allclose(ours(folder), theirs(folder), atol=2e-6)


def test_the_older_form_of_a_pooling(sentence_folder: Callable[..., Path], subtests: pytest.Subtests) -> None:
    for key in ["cls_token", "max_tokens", "mean_sqrt_len_tokens", "lasttoken"]:
        with subtests.test(key):
            folder = sentence_folder()
            old = {
                "word_embedding_dimension": 32,
                f"pooling_mode_{key}": True,
                "pooling_mode_weightedmean_tokens": False,
            }
            (folder / "1_Pooling" / "config.json").write_text(json.dumps(old))
            np.testing.assert_allclose(ours(folder), theirs(folder), atol=2e-6)


def test_a_prompt_and_whether_it_is_pooled(sentence_folder: Callable[..., Path], subtests: pytest.Subtests) -> None:
    for pooling in ["mean", "cls", "weightedmean"]:
        with subtests.test(pooling):
            for include in [True, False]:
                with subtests.test(f"prompt pooled: {include}"):
                    prompts = {"prompts": {"query": "very good : ", "other": "bad"}, "default_prompt_name": "query"}
                    folder = sentence_folder(pooling, settings=prompts, pool={"include_prompt": include})
                    np.testing.assert_allclose(ours(folder, prompt_tokens=4), theirs(folder), atol=2e-6)


def test_without_a_default_prompt_that_of_queries_is_taken(sentence_folder: Callable[..., Path]) -> None:
    folder = sentence_folder(settings={"prompts": {"query": "fine ", "passage": "bad "}, "default_prompt_name": None})
    np.testing.assert_allclose(ours(folder), theirs(folder, prompt_name="query"), atol=2e-6)


def test_a_shorter_embedding_and_another_activation(sentence_folder: Callable[..., Path]) -> None:
    folder = sentence_folder(dense=True, normalize=True, settings={"truncate_dim": 5})
    path = folder / "2_Dense" / "config.json"
    for name in ("torch.nn.modules.linear.Identity", "torch.nn.modules.activation.GELU", "torch.nn.ReLU"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"activation_function": name}))
        np.testing.assert_allclose(ours(folder), theirs(folder), atol=2e-6)
    assert ours(folder).shape == (4, 5)


def test_a_dense_layer_that_adds_its_input(sentence_folder: Callable[..., Path]) -> None:
    from safetensors.torch import load_file, save_file

    folder = sentence_folder(dense=True)
    path, weights = folder / "2_Dense" / "config.json", folder / "2_Dense" / "model.safetensors"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"use_residual": True}))
    stored = load_file(weights)
    torch.save(stored | {"residual.weight": stored["linear.weight"].flip(0)}, folder / "2_Dense" / "pytorch_model.bin")
    weights.unlink()
    np.testing.assert_allclose(ours(folder), theirs(folder), atol=2e-6)
    save_file(stored, weights)
    with pytest.raises(DataError, match="which do not fit its"):
        ours(folder)


def test_a_layer_norm(sentence_folder: Callable[..., Path]) -> None:
    from safetensors.torch import save_file

    folder = sentence_folder("cls")
    with_module(folder, "LayerNorm", 2)
    (folder / "9_LayerNorm").mkdir()
    (folder / "9_LayerNorm" / "config.json").write_text('{"dimension": 32}')
    values = torch.linspace(0.5, 2, 32)
    save_file({"norm.weight": values, "norm.bias": values.flip(0)}, folder / "9_LayerNorm" / "model.safetensors")
    np.testing.assert_allclose(ours(folder), theirs(folder), atol=2e-6)
    (folder / "9_LayerNorm" / "config.json").write_text('{"dimension": 31}')
    with pytest.raises(DataError, match="9_LayerNorm takes 31 numbers"):
        ours(folder)


def test_lower_case_is_that_of_the_folder(sentence_folder: Callable[..., Path]) -> None:
    folder = sentence_folder()
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"do_lower_case": False}))
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 9, "do_lower_case": true}')
    np.testing.assert_allclose(ours(folder), theirs(folder), atol=2e-6)
    assert read_embedding(folder, "tiny", 32).prepared(["Good"]) == ["good"]


def test_a_plain_folder_is_assumed_to_pool_by_the_mean(tiny_folder: Callable[..., Path]) -> None:
    folder = tiny_folder("BertModel")
    assert read_embedding(folder, "tiny", 32) is MEAN
    assert [str(note) for note in MEAN.notes()] == [
        "mean pooling was assumed: no modules.json says how to embed a text"
    ]


def test_a_folder_of_a_transformer_alone_says_nothing_of_embeddings(sentence_folder: Callable[..., Path]) -> None:
    folder = sentence_folder()
    (folder / "modules.json").write_text('[{"path": "", "type": "sentence_transformers.models.Transformer"}]')
    assert read_embedding(folder, "tiny", 32) is MEAN


def change(folder: Path, file: str, **changes: Any) -> None:
    path = folder / file
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def with_module(folder: Path, kind: str, at: int) -> None:
    modules = json.loads((folder / "modules.json").read_text())
    modules.insert(
        at,
        {
            "idx": at,
            "name": "9",
            "path": f"9_{kind}",
            "type": kind if "." in kind else f"sentence_transformers.models.{kind}",
        },
    )
    (folder / "modules.json").write_text(json.dumps(modules))


NOT_UNDERSTOOD = [
    (lambda folder: with_module(folder, "SpladePooling", 1), "modules.json has SpladePooling, which is not"),
    (lambda folder: with_module(folder, "WordWeights", 2), "modules.json has WordWeights"),
    (lambda folder: with_module(folder, "LSTM", 1), "modules.json has LSTM"),
    (lambda folder: with_module(folder, "WeightedLayerPooling", 1), "modules.json has WeightedLayerPooling"),
    (lambda folder: with_module(folder, "mine.Transformer", 0), r"modules.json has mine\.Transformer"),
    (
        lambda folder: with_module(folder, "code.of.mine.Normalize", 2),
        r"modules.json has code\.of\.mine\.Normalize",
    ),
    (lambda folder: change(folder, "1_Pooling/config.json", pooling_mode="newest"), "has Pooling by newest,"),
    (lambda folder: change(folder, "1_Pooling/config.json", pooling_mode=[]), r"has Pooling by \[\]"),
    (lambda folder: change(folder, "2_Dense/config.json", activation_function="os.system"), "has Dense"),
    (lambda folder: change(folder, "2_Dense/config.json", module_input_name="token_embeddings"), "has Dense"),
    (lambda folder: change(folder, "2_Dense/config.json", in_features=33), "takes 33 numbers and gives 8, but"),
    (lambda folder: change(folder, "2_Dense/config.json", out_features=10**9), "gives 1000000000"),
    (lambda folder: change(folder, "2_Dense/config.json", bias=False), "which do not fit its config.json"),
    *(
        (partial(change, file=file, **setting), rf"tiny: {file} sets {next(iter(setting))} to .*: expected {words}")
        for file, setting, words in (
            ("sentence_bert_config.json", {"max_seq_length": "12"}, "a positive integer"),
            ("sentence_bert_config.json", {"max_seq_length": 0}, "a positive integer"),
            ("sentence_bert_config.json", {"do_lower_case": "no"}, "true or false"),
            ("config_sentence_transformers.json", {"prompts": ["query: "]}, "texts by name"),
            ("config_sentence_transformers.json", {"prompts": {"query": 3}}, "texts by name"),
            (
                "config_sentence_transformers.json",
                {"default_prompt_name": "qury", "prompts": {"query": "q"}},
                "query",
            ),
            ("config_sentence_transformers.json", {"truncate_dim": 8.5}, "a positive integer"),
        )
    ),
    (lambda folder: (folder / "2_Dense/model.safetensors").unlink(), "2_Dense has no weights"),
    (lambda folder: (folder / "1_Pooling/config.json").unlink(), "names Pooling, but 1_Pooling/config.json is not"),
]


def test_what_is_not_understood_is_refused_by_name(
    sentence_folder: Callable[..., Path], subtests: pytest.Subtests
) -> None:
    for break_it, message in NOT_UNDERSTOOD:
        with subtests.test(message):
            folder = sentence_folder(dense=True)
            break_it(folder)
            with pytest.raises(DataError, match=message):
                read_embedding(folder, "tiny", 32)

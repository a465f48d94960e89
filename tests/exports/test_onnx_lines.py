"""The lines of an ONNX card: run as they stand, they give what the model and its library give."""

import contextlib
import io
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import bertprune as bp
from bertprune.exports.onnx_lines import OnnxLines
from tests.tiny_models import make_model, make_tokenizer

from .conftest import LABELS, Made, as_onnx, given_by_torch

HEAD = bp.Step(method="magnitude", granularity="head", count=1)


def run(text: str, folder: Path, texts: list[str] | None = None) -> tuple[dict[str, Any], str]:
    """Run lines for a folder, with other texts where they are given; return their variables and what they print."""
    text = text.replace("path/to/this/folder", str(folder))
    if texts is not None:
        text = text.replace('["A first text", "Another one"]', repr(texts))
    printed, names = io.StringIO(), dict[str, Any]()
    with contextlib.redirect_stdout(printed):
        exec(compile(text, "card", "exec"), names)
    return names, printed.getvalue().strip()


def of_card(folder: Path) -> str:
    found = re.search(r"```python\n(.*?)```", (folder / "README.md").read_text(encoding="utf-8"), re.S)
    assert found is not None
    return found[1]


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give an encoder of one layer that lost a head, as ONNX."""
    return Path(as_onnx(tmp_path_factory.mktemp("lines"), "BertModel", HEAD, num_hidden_layers=1)[1].path)


TEXTS = ["the film was good", "bad", "Very boring music and it was awful"]
MODULES: dict[str, dict[str, Any]] = {
    "mean": {"normalize": True},
    "first": {"pooling": "cls"},
    "last": {"pooling": "lasttoken"},
    "largest": {"pooling": "max"},
    "by root": {"pooling": "mean_sqrt_len_tokens"},
    "by place": {"pooling": "weightedmean"},
    "several, dense": {"pooling": ["cls", "mean"], "dense": True, "normalize": True},
    "prompt": {"settings": {"prompts": {"query": 'it\'s "good": '}, "default_prompt_name": "query"}},
    "prompt not pooled": {
        "settings": {"prompts": {"query": "very good "}, "default_prompt_name": "query"},
        "pool": {"include_prompt": False},
    },
}


@pytest.mark.filterwarnings("ignore")
def test_embeddings_are_those_of_sentence_transformers(
    embedder: Path, sentence_folder: Callable[..., Path], tmp_path: Path, subtests: pytest.Subtests
) -> None:
    from sentence_transformers import SentenceTransformer

    model = bp.load(embedder.parent / "tiny")
    for case, modules in MODULES.items():
        with subtests.test(case):
            folder = sentence_folder(initializer_range=0.3, num_hidden_layers=1, **modules)
            bp.export(bp.prune(folder, HEAD), tmp_path / "small", "small", overwrite=True)
            prompt = {"prompt_name": "query"} if "settings" in modules else {}
            expected = SentenceTransformer(str(tmp_path / "small"), device="cpu").encode(TEXTS, **prompt)
            shutil.copytree(embedder / "onnx", folder / "onnx")
            lines = OnnxLines(folder, "tiny", model, make_tokenizer()).text()
            names, printed = run(lines, folder, TEXTS)
            assert np.allclose(names["embeddings"], expected, atol=1e-4) and printed
            assert len(lines.splitlines()) <= 20


def test_the_card_of_an_encoder_gives_embeddings(embedder: Path) -> None:
    names, _ = run(of_card(embedder), embedder, TEXTS)
    model, tokenizer = bp.load(embedder.parent / "tiny"), make_tokenizer()
    bp.apply(model, HEAD)
    with torch.no_grad():
        hidden = model(**tokenizer(TEXTS[:1], return_tensors="pt")).last_hidden_state
    assert np.allclose(names["embeddings"][0], hidden[0].mean(0).numpy(), atol=1e-4)


def test_a_classifier_gives_labels(classifier: Made) -> None:
    pruned, exported = classifier
    best = given_by_torch(pruned, ["A first text", "Another one"]).argmax(-1).tolist()
    assert run(of_card(exported.path), exported.path)[1] == str([LABELS[at] for at in best])


def test_a_masked_language_model_fills_the_blank(unequal: Made) -> None:
    pruned, exported = unequal
    text, tokenizer = "The film was [MASK].", pruned.tokenizer
    blank = tokenizer(text)["input_ids"].index(tokenizer.mask_token_id)
    best = given_by_torch(pruned, [text])[0, blank].topk(5).indices.tolist()
    assert run(of_card(exported.path), exported.path)[1] == str([tokenizer.convert_ids_to_tokens(best)])


def test_other_answers_are_read_as_their_heads_mean_them(embedder: Path) -> None:
    several = {"problem_type": "multi_label_classification", "num_labels": 3}
    for model_cls, changes, said in (
        ("BertForSequenceClassification", {}, "in {0: 'LABEL_0', 1: 'LABEL_1'}.items()"),  # not in config.json
        ("BertForSequenceClassification", several, "np.flatnonzero(row > 0)"),
        ("BertForSequenceClassification", {"num_labels": 1}, "print(logits[:, 0])"),
        ("BertForTokenClassification", {}, "row[mask == 1]"),
        ("BertForQuestionAnswering", {}, "print(one.name, values)"),
    ):
        lines = OnnxLines(embedder, "tiny", make_model(model_cls, **changes), make_tokenizer()).text()
        assert said in lines
        compile(lines, "card", "exec")

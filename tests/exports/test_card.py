"""The model card: what it says, and that nothing from outside speaks in it."""

import re
from dataclasses import replace
from typing import Any

import pytest
import yaml

import bertprune as bp
from bertprune.exports.card import Origin, Weights, card
from tests.conftest import make_model

ORIGIN = Origin("tiny", None, None, "BertModel", "bert", "float32")
RECIPE = bp.Recipe(steps=[bp.Step(method="l1_unstructured", fraction=0.25, select="encoder.layer.0.*")])


@pytest.fixture(scope="module")
def report() -> Any:
    model = make_model("BertModel")
    bp.apply(model, RECIPE)
    return bp.sparsity(model)


def front(text: str) -> Any:
    return yaml.safe_load(text.split("---\n")[1])


def test_what_it_says(report: Any) -> None:
    text = card(ORIGIN, RECIPE, 3, report, "baked", Weights("model.safetensors", 12345))
    assert front(text) == {"library_name": "transformers", "tags": ["bertprune", "pruning", "bert"]}
    assert "2,048 of 8,192 weights (25.00%)" in text
    assert 'BertModel.from_pretrained("path/to/this/folder")' in text
    assert "Seed 3" in text and yaml.safe_load(re.findall("```yaml\n(.*?)```", text, re.S)[0])["version"] == 1
    assert "`model.safetensors` has 12,345 bytes" in text and "does not make it smaller" in text
    assert "| attention.key | 1,024 | 256 | 25.00% |" in text
    assert "| `encoder.layer.0.attention.self.key.weight` | L1Unstructured | 1,024 | 256 | 25.00% |" in text


def test_every_table_is_whole(report: Any) -> None:
    text = card(ORIGIN, RECIPE, 0, report, "baked", Weights("model.safetensors", 1))
    for block in re.findall(r"(?:^\|.*\|\n)+", text, re.M):
        assert len({line.count("|") for line in block.splitlines()}) == 1


def test_a_hub_id_is_the_base_model(report: Any) -> None:
    origin = replace(ORIGIN, name="org/name", hub_id="org/name", revision="v1")
    text = card(origin, RECIPE, 0, report, "baked", Weights("model.safetensors", 1))
    assert front(text)["base_model"] == "org/name"
    assert "made from `org/name` at revision `v1`" in text


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_loaded_as_it_was_computed(report: Any, dtype: str) -> None:
    text = card(replace(ORIGIN, dtype=dtype), RECIPE, 0, report, "baked", Weights("model.safetensors", 1))
    assert 'from_pretrained("path/to/this/folder", dtype="float32")' in text and f"kept in {dtype}" in text


def test_the_masked_form_is_loaded_by_us(report: Any) -> None:
    text = card(ORIGIN, RECIPE, 0, report, "masked", Weights("masked.safetensors", 1))
    assert 'bp.load("path/to/this/folder")' in text and "fails here on purpose" in text


def test_names_from_outside_are_no_markdown(report: Any) -> None:
    origin = replace(ORIGIN, name="a`b\n---\n# [x](y)", hub_id="o: {r}\n- x", architecture="<b>|")
    text = card(origin, RECIPE, 0, report, "baked", Weights("model.safetensors", 1))
    assert front(text)["base_model"] == "o: {r}\n- x"
    assert "# `` a`b --- # [x](y) ``, pruned\n" in text and "`<b>|`" in text
    glob = bp.Recipe(steps=[bp.Step(method="l1_unstructured", count=1, select="```\n# boo")])
    assert "````yaml\n" in card(ORIGIN, glob, 0, report, "baked", Weights("model.safetensors", 1))

"""The model card: what it says, and that text from outside is not read as Markdown."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

import bertprune as bp
from bertprune.exports.card import card
from bertprune.exports.contents import Contents
from bertprune.exports.gather import gather
from tests.tiny_models import make_model

STEP = bp.Step(method="l1_unstructured", fraction=0.25, select="encoder.layer.0.*")


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> Contents:
    folder = tmp_path_factory.mktemp("card") / "tiny"
    make_model("BertModel").save_pretrained(folder)
    run = bp.prune(folder, STEP, seed=3)
    return gather(run, run.checkpoint)


def described(contents: Contents, **origin: Any) -> Contents:
    return replace(contents, origin=replace(contents.origin, **origin))


def front_matter(text: str) -> Any:
    return yaml.safe_load(text.split("---\n")[1])


def test_the_card_describes_the_run(contents: Contents) -> None:
    text = card(contents, "baked", 12345)
    assert front_matter(text) == {"library_name": "transformers", "tags": ["bertprune", "pruning", "bert"]}
    assert "2,048 of 8,192 weights (25.00%)" in text
    assert 'BertModel.from_pretrained("path/to/this/folder")' in text
    assert "Seed 3" in text and yaml.safe_load(re.findall("```yaml\n(.*?)```", text, re.S)[0])["version"] == 1
    assert "`model.safetensors` has 12,345 bytes" in text and "does not make it smaller" in text
    assert "| attention.key | 1,024 | 256 | 25.00% |" in text
    assert "| `encoder.layer.0.attention.self.key.weight` | L1Unstructured | 1,024 | 256 | 25.00% |" in text


def test_tensors_that_the_model_has_no_place_for_are_named(tmp_path: Path) -> None:
    make_model("BertModel").save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    save_file({**tensors, "classifier.`*weight": torch.ones(2, 32)}, tmp_path / "model.safetensors")
    run = bp.prune(tmp_path, STEP)
    assert "Not in this folder, since BertModel does not use them: `` classifier.`*weight ``." in card(
        gather(run, run.checkpoint), "baked", 1
    )


def test_zeros_that_were_there_before_are_counted(tmp_path: Path) -> None:
    model = make_model("BertModel")
    with torch.no_grad():
        model.encoder.layer[0].attention.self.key.weight[:16] = 0
    model.save_pretrained(tmp_path)
    run = bp.prune(tmp_path, bp.Step(method="l1_unstructured", count=8, select="encoder.layer.0.attention.self.query"))
    text = card(gather(run, run.checkpoint), "baked", 1)
    assert "| tensor | methods | weights | pruned | share | other zeros |" in text
    assert "| attention.key | 1,024 | 0 | 0.00% | 512 |" in text
    assert "| `encoder.layer.0.attention.self.key.weight` |  | 1,024 | 0 | 0.00% | 512 |" in text


def test_a_hub_id_is_the_base_model(contents: Contents) -> None:
    text = card(described(contents, name="org/name", hub_id="org/name", revision="v1"), "baked", 1)
    assert front_matter(text)["base_model"] == "org/name"
    assert "made from `org/name` at revision `v1`" in text


def test_half_precision_is_loaded_as_it_was_computed(tmp_path: Path) -> None:
    make_model("BertModel").to(torch.bfloat16).save_pretrained(tmp_path)
    run = bp.prune(tmp_path, STEP)
    text = card(gather(run, run.checkpoint), "baked", 1)
    assert 'from_pretrained("path/to/this/folder", dtype="float32")' in text and "stored in bfloat16" in text


def test_the_masked_form_is_loaded_with_bertprune(contents: Contents) -> None:
    text = card(contents, "masked", 1)
    assert 'bp.load("path/to/this/folder")' in text and "fails here on purpose" in text


def test_names_from_outside_are_not_read_as_markdown(contents: Contents) -> None:
    text = card(described(contents, name="a`b\n---\n# [x](y)", hub_id="o: {r}\n- x", architecture="<b>|"), "baked", 1)
    assert front_matter(text)["base_model"] == "o: {r}\n- x"
    assert "# `` a`b --- # [x](y) ``, pruned\n" in text and "`<b>|`" in text
    glob = bp.Recipe(steps=[bp.Step(method="l1_unstructured", count=1, select="```\n# boo")])
    assert "````yaml\n" in card(replace(contents, recipe=glob), "baked", 1)


@pytest.mark.usefixtures("temporary_methods")
def test_methods_from_elsewhere_are_named_with_their_place(tmp_path: Path) -> None:
    @bp.method("l1_unstructured", replace=True)
    def largest(weight: Any) -> Any:
        """Remove the largest."""
        return -weight.abs()

    make_model("BertModel").save_pretrained(tmp_path / "tiny")
    result = bp.export(bp.prune(tmp_path / "tiny", STEP), tmp_path / "out")
    place = f"defined in `{__name__}`, and replaces the one of `bertprune.scores.torch_methods`"
    assert f"The method `l1_unstructured` is {place}." in (result.path / "README.md").read_text()
    recorded = json.loads((result.path / "report.json").read_text())["methods"]["l1_unstructured"]
    assert (recorded["defined_in"], recorded["replaces"]) == (__name__, "bertprune.scores.torch_methods")


def test_a_strange_record_of_methods_does_no_harm(contents: Contents, subtests: pytest.Subtests) -> None:
    for methods in [None, [], {"x": 3}, {"x": {"defined_in": 3}}, {"x": {"defined_in": "a`b\nc"}}]:
        with subtests.test(str(methods)):
            text = card(replace(contents, record={"methods": methods}), "baked", 1)
            assert "\nc" not in text and front_matter(text)


def test_torchs_own_methods_need_no_place(contents: Contents) -> None:
    assert "defined in" not in card(contents, "baked", 1)

"""The small form: what is wholly masked is gone, outputs stay, and transformers loads it where it can."""

import json
import re
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file

import bertprune as bp
from bertprune.errors import ExportError
from bertprune.exports.same_outputs import check_same
from tests.model.tiny_families import KNOWN, OWN_LAYERS, build, outputs

NEURONS = bp.Step(method="magnitude", granularity="neuron", fraction=0.5)
HEADS = bp.Step(method="magnitude", granularity="head", count=1)
FIRST = bp.Selection(layers=[0])


def config_of(folder: Path) -> Any:
    return json.loads((folder / "config.json").read_text())


def close(one: torch.Tensor, other: torch.Tensor) -> bool:
    return torch.allclose(one, other, rtol=1e-5, atol=1e-6)


def source(family: str, folder: Path, **changes: Any) -> Path:
    """Save a tiny model of a family with biases that are not zero, as trained ones are."""
    model_cls, config_cls, values = KNOWN[family]
    model = build(model_cls, config_cls, values | changes)
    generator = torch.Generator().manual_seed(1)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            parameter.data = torch.randn(parameter.shape, generator=generator) / 4
    model.save_pretrained(folder)
    return folder


def test_equal_layers_load_with_transformers_alone(tmp_path: Path, subtests: pytest.Subtests) -> None:
    for family in KNOWN:
        with subtests.test(family):
            folder = tmp_path / family
            run = bp.prune(source(family, folder / "source"), NEURONS)
            result = bp.export(run, folder / "out", "small")
            assert result.loads == "plain" == bp.preview(folder / "source", NEURONS).loads
            cls = getattr(transformers, KNOWN[family][0])
            plain, info = cls.from_pretrained(folder / "out", output_loading_info=True)
            assert not any(info.values())
            assert close(outputs(plain.eval()), outputs(run.model))
            before, after = config_of(folder / "source"), config_of(folder / "out")
            assert {key for key in before if before[key] != after[key]} <= {"intermediate_size", "hidden_dim", "d_ff"}
            assert 24 in after.values()
            report = json.loads((folder / "out" / "report.json").read_text())
            assert report["small"]["neurons"] == [24] * len(report["small"]["neurons"])
            stored = sum(value.numel() for value in load_file(folder / "out" / "model.safetensors").values())
            assert report["small"]["parameters"][1] == stored == sum(p.numel() for p in plain.parameters())


def test_unequal_layers_and_fewer_heads_load_with_bertprune_and_are_a_checkpoint_again(
    tmp_path: Path, subtests: pytest.Subtests
) -> None:
    for family in OWN_LAYERS:
        with subtests.test(family):
            folder = tmp_path / family
            steps = [NEURONS.model_copy(update={"select": FIRST}), HEADS]
            if not family.startswith("albert"):
                steps.append(HEADS.model_copy(update={"select": FIRST}))
            run = bp.prune(source(family, folder / "source"), steps)
            result = bp.export(run, folder / "small", "small")
            assert result.loads == "bertprune" == bp.preview(folder / "source", steps).loads
            assert close(outputs(bp.load(folder / "small")), outputs(run.model))
            assert config_of(folder / "small")["model_type"].startswith("bertprune-")
            with pytest.raises(RuntimeError, match="size"):
                getattr(transformers, KNOWN[family][0]).from_pretrained(folder / "small")

            again = bp.prune(folder / "small", [NEURONS, HEADS if family != "eurobert" else NEURONS])
            assert again.report.total.masked
            bp.export(again, folder / "masked", "masked")
            assert torch.equal(outputs(bp.load(folder / "masked")), outputs(again.model))
            bp.export(folder / "masked", folder / "smaller", "small")
            assert close(outputs(bp.load(folder / "smaller")), outputs(again.model))
            sizes = [bp.Checkpoint.open(folder / name).facts.parameters for name in ("source", "small", "smaller")]
            assert sizes == sorted(sizes, reverse=True) and len(set(sizes)) == 3
            assert bp.tree(bp.load(folder / "smaller")).render()
            assert bp.snapshot(bp.load(folder / "smaller")).tensors


def some(granularity: str, roles: str, layers: list[int] | None = None, **amount: Any) -> bp.Step:
    select = bp.Selection(roles=roles, layers=layers or [])
    return bp.Step(method="magnitude", granularity=granularity, select=select, **(amount or {"count": 8}))


LOADED = [
    ([some("column", "ffn.output")], "plain", "plain"),
    ([some("column", "ffn.output", [0])], "bertprune", "bertprune"),
    ([some("column", "ffn.output"), some("row", "ffn.output")], "plain", "plain"),
    ([some("row", "ffn.intermediate", [0])], None, "bertprune"),
    ([some("row", "ffn.intermediate")], None, "plain"),
    ([NEURONS, some("column", "attention.output", [0], fraction=1.0)], None, "bertprune"),
    ([NEURONS, some("element", "ffn.output", [0], fraction=1.0)], None, "bertprune"),
    ([NEURONS, some("element", "ffn.output", [0], fraction=0.5)], "plain", "plain"),
    ([NEURONS.model_copy(update={"fraction": 1.0, "scope": "global"})], "plain", "plain"),
    ([NEURONS.model_copy(update={"scope": "global"})], "bertprune", "bertprune"),
    ([bp.Step(granularity="layer", fraction=1.0, select=FIRST)], "plain", "plain"),
]


def test_a_preview_says_what_loads_it_or_that_only_the_values_tell(tmp_path: Path, subtests: pytest.Subtests) -> None:
    folder = source("bert", tmp_path / "source")
    for steps, seen, loads in LOADED:
        with subtests.test(", ".join(map(str, steps))):
            assert bp.preview(folder, steps).loads == seen
            assert bp.export(bp.prune(folder, steps), tmp_path / "out", "small", overwrite=True).loads == loads


def everything(kind: str) -> bp.Step:
    return bp.Step(method="magnitude", granularity=kind, fraction=1.0, select=FIRST)


def test_a_layer_that_loses_all_keeps_one_that_gives_nothing(tmp_path: Path, subtests: pytest.Subtests) -> None:
    for family, kind in product(["bert", "albert", "modernbert", "mpnet", "t5", "eurobert"], ["neuron", "head"]):
        with subtests.test(f"{family}, {kind}"):
            folder = tmp_path / family / kind
            run = bp.prune(source(family, folder / "source"), everything(kind))
            bp.export(run, folder / "small", "small")
            assert close(outputs(bp.load(folder / "small")), outputs(run.model))
            report = json.loads((folder / "small" / "report.json").read_text())
            assert report["small"][f"{kind}s"][0] == 1


def test_heads_that_are_mixed_are_not_taken_out(tmp_path: Path) -> None:
    folder = source("deberta", tmp_path / "source", talking_head=True)
    with pytest.raises(ExportError, match="head_logits_proj mixes them"):
        bp.export(bp.prune(folder, HEADS), tmp_path / "out", "small")
    bp.export(bp.prune(folder, NEURONS), tmp_path / "out", "small")


OTHERS: list[tuple[str, str, dict[str, Any], str]] = [
    ("FNetModel", "FNetConfig", {}, "heads and neurons of FNetModel are not known, only those of models with"),
    ("BertLMHeadModel", "BertConfig", {"is_decoder": True, "add_cross_attention": True}, "2 modules with the role"),
]


def test_other_families_are_refused_by_name(tmp_path: Path, subtests: pytest.Subtests) -> None:
    for model_cls, config_cls, changes, reason in OTHERS:
        with subtests.test(model_cls):
            folder = tmp_path / model_cls
            build(model_cls, config_cls, KNOWN["bert"][2] | changes).save_pretrained(folder / "source")
            run = bp.prune(folder / "source", bp.Step(method="l1_unstructured", fraction=0.5))
            with pytest.raises(ExportError, match=reason):
                bp.export(run, folder / "out", "small")
            assert not (folder / "out").exists()


def test_matrices_that_a_user_tied_are_cut_in_each_layer(tmp_path: Path) -> None:
    folder = source("bert", tmp_path / "source")
    model = bp.load(folder)
    first, second = model.bert.encoder.layer
    second.intermediate.dense.weight = first.intermediate.dense.weight
    bp.apply(model, bp.Step(method="magnitude", granularity="neuron", count=4, select=FIRST))
    bp.export(model, tmp_path / "out", "small", like=folder)
    assert close(outputs(bp.load(tmp_path / "out")), outputs(model))


def test_nothing_to_take_out_is_said(tmp_path: Path) -> None:
    run = bp.prune(source("bert", tmp_path / "source"), bp.Step(method="l1_unstructured", fraction=0.5))
    with pytest.raises(ExportError, match="nothing can be taken out"):
        bp.export(run, tmp_path / "out", "small")


def test_zeros_are_taken_out_as_masked_values_are(tmp_path: Path) -> None:
    run = bp.prune(source("bert", tmp_path / "source"), NEURONS)
    bp.export(run, tmp_path / "baked")
    bp.export(tmp_path / "baked", tmp_path / "out", "small")
    assert close(outputs(bp.load(tmp_path / "out")), outputs(run.model))
    assert config_of(tmp_path / "out")["intermediate_size"] == 24


def test_other_masks_are_baked(tmp_path: Path) -> None:
    embeddings = bp.Step(method="l1_unstructured", fraction=0.5, select=bp.Selection(roles="embeddings.word"))
    run = bp.prune(source("bert", tmp_path / "source"), [NEURONS, embeddings])
    bp.export(run, tmp_path / "out", "small")
    kept = load_file(tmp_path / "out" / "model.safetensors")["bert.embeddings.word_embeddings.weight"]
    assert int((kept == 0).sum()) == round(kept.numel() / 2)
    assert close(outputs(bp.load(tmp_path / "out")), outputs(run.model))


def test_other_outputs_are_told_by_how_much_they_are_off() -> None:
    expected = [torch.zeros(2, 2), torch.tensor([1.0, -400.0])]
    check_same(expected, [torch.zeros(2, 2), torch.tensor([1.003, -400.0])])
    for wrong in (torch.tensor([1.5, -400.0]), torch.tensor([torch.nan, -400.0])):
        with pytest.raises(ExportError, match="its outputs are off by"):
            check_same(expected, [torch.zeros(2, 2), wrong])


def test_the_card_and_the_report_say_what_loads_it(tmp_path: Path) -> None:
    folder = source("bert", tmp_path / "source")
    for name, steps, loads in (("plain", [NEURONS], "plain"), ("irregular", [NEURONS, HEADS], "bertprune")):
        result = bp.export(bp.prune(folder, steps), tmp_path / name, "small")
        assert result.loads == json.loads((tmp_path / name / "report.json").read_text())["loads"] == loads
        card = (tmp_path / name / "README.md").read_text()
        (code,) = re.findall("```python\n(.*?)```", card, re.S)
        exec(code.replace("path/to/this/folder", str(tmp_path / name)), found := {})
        assert (
            sum(p.numel() for p in found["model"].parameters()) == bp.Checkpoint.open(tmp_path / name).facts.parameters
        )
        assert ("bertprune installed" in card) == (loads == "bertprune")
        before, after = re.search(r"\| bytes of the weights \| +([\d,]+) \| +([\d,]+) \|", card).groups()
        assert int(before.replace(",", "")) == (folder / "model.safetensors").stat().st_size
        assert int(after.replace(",", "")) == (tmp_path / name / "model.safetensors").stat().st_size
    assert "Neurons in each layer: 24, 24. Heads in each layer: 3, 3." in card

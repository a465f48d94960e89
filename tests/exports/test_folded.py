"""What a removed neuron or head gave as a constant is in the output bias; what cannot be folded stays."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.utils import prune

import bertprune as bp
from bertprune.errors import ExportError
from tests.model.tiny_families import KNOWN, OWN_LAYERS, build, outputs

from .test_small import close, source


def mask_rows(model: Any, pattern: str, rows: list[int], tensor: str = "weight") -> None:
    """Mask whole rows of the matrices (or entries of the biases) whose path matches, by plain torch."""
    for path, module in model.named_modules():
        if re.search(pattern, path) and getattr(module, tensor, None) is not None:
            mask = torch.ones_like(getattr(module, tensor))
            mask[rows] = 0
            prune.custom_from_mask(module, tensor, mask)


def small_of(folder: Path, model: Any, out: Path) -> Any:
    bp.export(model, out, "small", like=folder)
    small = bp.load(out)
    assert close(outputs(small), outputs(model))
    return small


def test_autocast_rounds_neither_what_is_folded_nor_what_is_compared(tmp_path: Path) -> None:
    rows = bp.Step(method="ln_structured", fraction=0.5, select="*.intermediate.dense", options={"dim": 0})
    run = bp.prune(source("bert", tmp_path / "source"), rows)
    bp.export(run, tmp_path / "expected", "small")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        bp.export(run, tmp_path / "found", "small")
    expected, found = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("expected", "found"))
    assert expected == found


FEED_FORWARD = r"intermediate\.dense$|lin1$|\.ffn$|mlp\.Wi$|gate_proj$|up_proj$|\.wi$|\.wi_\d$"
FUSED = ("modernbert", "deberta")
SEPARATE = [name for name in OWN_LAYERS if name not in FUSED]
VALUES = r"self\.value$|v_lin$|attention\.value$|attn\.v$|value_proj$|v_proj$|SelfAttention\.v$"


def test_a_neuron_without_inputs_is_folded(tmp_path: Path, subtests: pytest.Subtests) -> None:
    for family in OWN_LAYERS:
        with subtests.test(family):
            here = tmp_path / family
            changes = {"mlp_bias": True} if family in ("modernbert", "eurobert") else {}
            folder = source(family, here / "source", **changes)
            model = bp.load(folder)
            gone = [3, 4, 5]
            mask_rows(model, FEED_FORWARD, [*gone, *(48 + row for row in gone)] if family == "modernbert" else gone)
            small = small_of(folder, model, here / "out")
            width = {"distilbert": "hidden_dim"}.get(family, "d_ff" if family.startswith("t5") else "intermediate_size")
            assert getattr(small.config, width) == 45 and not hasattr(small.config, "kept_heads")


def test_a_head_without_values_is_folded(tmp_path: Path, subtests: pytest.Subtests) -> None:
    for family in SEPARATE:
        with subtests.test(family):
            here = tmp_path / family
            folder = source(family, here / "source", **({"attention_bias": True} if family == "eurobert" else {}))
            model = bp.load(folder)
            mask_rows(model, VALUES, list(range(8, 16)))
            small = small_of(folder, model, here / "out")
            assert all(kept == ([0] if family == "eurobert" else [0, 2, 3]) for kept in small.config.kept_heads)


def test_the_values_of_a_fused_projection_are_its_own_rows(tmp_path: Path, subtests: pytest.Subtests) -> None:
    for family in FUSED:
        with subtests.test(family):
            here = tmp_path / family
            folder = source(family, here / "source", **({"attention_bias": True} if family == "modernbert" else {}))
            model = bp.load(folder)
            mask_rows(model, r"Wqkv$|in_proj$", list(range(72, 80)) if family == "modernbert" else list(range(40, 48)))
            small = small_of(folder, model, here / "out")
            assert small.config.kept_heads == [[0, 2, 3]] * 2


def test_a_head_that_still_gives_its_values_stays(tmp_path: Path, subtests: pytest.Subtests) -> None:
    for part in ["query", "key"]:
        with subtests.test(part):
            here = tmp_path / part
            folder = source("bert", here / "source")
            model = bp.load(folder)
            mask_rows(model, rf"self\.{part}$", list(range(8, 16)))
            with pytest.raises(ExportError, match="no neuron and no head is wholly masked"):
                bp.export(model, here / "out", "small", like=folder)


@pytest.mark.parametrize(
    ("family", "changes", "pattern", "stays"),
    [
        ("nomicbert", {}, "gate_proj$", 45),  # the activation of nothing is zero
        ("nomicbert", {}, "up_proj$", 45),
        ("eurobert", {"mlp_bias": True}, "gate_proj$", 48),  # a bias times the other input is no constant
        ("eurobert", {"mlp_bias": True}, "up_proj$", 48),
        ("t5-gated", {}, r"wi_1$", 45),
    ],
)
def test_half_of_a_gate_goes_only_where_its_product_is_zero(
    family: str, changes: dict[str, Any], pattern: str, stays: int, tmp_path: Path
) -> None:
    folder = source(family, tmp_path / "source", **changes)
    model = bp.load(folder)
    mask_rows(model, pattern, [3, 4, 5])
    if stays == 48:
        with pytest.raises(ExportError, match="nothing can be taken out"):
            bp.export(model, tmp_path / "out", "small", like=folder)
    else:
        small = small_of(folder, model, tmp_path / "out")
        assert stays in (getattr(small.config, "intermediate_size", 0), getattr(small.config, "d_ff", 0))


def test_values_that_are_turned_by_their_position_are_no_constant(tmp_path: Path) -> None:
    folder = source("roformer", tmp_path / "source", rotary_value=True)
    model = bp.load(folder)
    mask_rows(model, VALUES, list(range(8, 16)))
    with pytest.raises(ExportError, match="nothing can be taken out"):
        bp.export(model, tmp_path / "out", "small", like=folder)
    mask_rows(model, VALUES, list(range(8, 16)), "bias")
    small_of(folder, model, tmp_path / "out")


def test_a_constant_that_half_precision_cannot_hold_is_stored_in_float32(tmp_path: Path) -> None:
    folder = source("bert", tmp_path / "source")
    model = build(*KNOWN["bert"]).half()
    model.load_state_dict(bp.load(folder).state_dict())
    model.save_pretrained(tmp_path / "half")
    pruned = bp.load(tmp_path / "half")
    mask_rows(pruned, FEED_FORWARD, [3, 4, 5])
    small_of(tmp_path / "half", pruned, tmp_path / "out")
    facts = bp.Checkpoint.open(tmp_path / "out").facts
    wide = {fact.name for fact in facts.tensors if fact.dtype == "float32"}
    assert wide == {f"bert.encoder.layer.{at}.output.dense.bias" for at in (0, 1)}


def test_outputs_without_a_bias_keep_what_is_constant(tmp_path: Path) -> None:
    folder = source("modernbert", tmp_path / "source", mlp_bias=False)
    model = bp.load(folder)
    mask_rows(model, r"mlp\.Wi$", [3, 51])
    small = small_of(folder, model, tmp_path / "out")
    assert small.config.intermediate_size == 47  # nothing in, nothing out

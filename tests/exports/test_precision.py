"""Half precision in any form: what is stored, what it changes, and what does not go together."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file

import bertprune as bp
from tests.calibration_texts import TEXTS
from tests.exports.test_small import source
from tests.model.tiny_families import OWN_LAYERS

NEURONS = bp.Step(method="magnitude", granularity="neuron", fraction=0.5)
FILES = {"baked": "model.safetensors", "small": "model.safetensors", "masked": "masked.safetensors"}


@pytest.mark.parametrize(("form", "dtype"), [("baked", "float16"), ("masked", "bfloat16"), ("small", "float16")])
def test_weights_are_stored_in_half_precision(
    tmp_path: Path, pruned: Callable[..., Any], form: Any, dtype: Any
) -> None:
    run = pruned(NEURONS)
    result = bp.export(run, tmp_path / "out", form, dtype=dtype, texts=TEXTS)
    stored = load_file(tmp_path / "out" / FILES[form])
    assert {value.dtype for value in stored.values()} - {torch.bool} == {getattr(torch, dtype)}
    assert result.checked == len(bp.load(tmp_path / "out").state_dict())
    assert 0 < result.drift.value < 1e-4 and result.drift.texts == 45
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert (report["dtype"], report["drift"]["value"]) == (dtype, result.drift.value)
    assert f"stored in {dtype}" in (tmp_path / "out" / "README.md").read_text()
    assert str(result.drift) in (tmp_path / "out" / "README.md").read_text()


def test_half_precision_of_every_family_answers_or_is_refused(tmp_path: Path, subtests: pytest.Subtests) -> None:
    for family in OWN_LAYERS:
        with subtests.test(family):
            folder = tmp_path / family
            run = bp.prune(source(family, folder / "source"), NEURONS)
            if family.startswith("deberta") and "-v" not in family:  # transformers keeps some of its biases in float32
                with pytest.raises(bp.BertpruneError, match=r"does not run .* choose float32") as caught:
                    bp.export(run, folder / "out", "small", dtype="float16")
                assert caught.value.code == "exports.not_verified" and not (folder / "out").exists()
                continue
            drift = bp.export(run, folder / "out", "small", dtype="float16").drift
            assert 0 <= drift.value < 1e-6 and drift.data_name is None


def test_plain_transformers_loads_what_the_card_says(tmp_path: Path, pruned: Callable[..., Any]) -> None:
    bp.export(pruned(NEURONS), tmp_path / "out", "small", dtype="float16")
    cls = transformers.BertForSequenceClassification
    assert cls.from_pretrained(tmp_path / "out").dtype == torch.float16
    text = (tmp_path / "out" / "README.md").read_text()
    assert 'from_pretrained("path/to/this/folder", dtype="float32")' in text
    assert cls.from_pretrained(tmp_path / "out", dtype="float32").dtype == torch.float32
    assert bp.speed(tmp_path / "out", rounds=2).after.dtype == "float16"


def test_a_half_source_may_leave_in_float32(tmp_path: Path, pruned: Callable[..., Any]) -> None:
    run = pruned(NEURONS, dtype="float16")
    assert bp.export(run, tmp_path / "as_source").drift is None
    result = bp.export(run, tmp_path / "out", dtype="float32")
    assert result.drift is None and bp.Checkpoint.open(tmp_path / "out").facts.dtype == "float32"
    assert bp.Checkpoint.open(tmp_path / "as_source").facts.dtype == "float16"
    assert transformers.AutoConfig.from_pretrained(tmp_path / "out").dtype == torch.float32


def test_a_checkpoint_without_masks_may_change_its_dtype(tmp_path: Path, tiny_folder: Callable[..., Path]) -> None:
    bp.export(tiny_folder(), tmp_path / "out", dtype="bfloat16")
    assert bp.Checkpoint.open(tmp_path / "out").facts.dtype == "bfloat16"


def test_values_that_float16_cannot_hold_are_refused(tmp_path: Path, pruned: Callable[..., Any]) -> None:
    run = pruned(NEURONS)
    with torch.no_grad():
        run.model.classifier.weight[0, 0] = 1e5
    with pytest.raises(
        bp.BertpruneError, match=r"classifier.weight holds values up to 1e\+05, which float16"
    ) as caught:
        bp.export(run, tmp_path / "out", dtype="float16")
    assert caught.value.code == "exports.too_large_for_dtype" and not (tmp_path / "out").exists()
    bp.export(run, tmp_path / "out", dtype="bfloat16")


NOT_TOGETHER: list[tuple[dict[str, Any], str]] = [
    ({"dtype": "int8"}, "exports.unknown_dtype"),
    ({"dtype": torch.float16}, "exports.unknown_dtype"),
    ({"form": "onnx", "quantize": "int4"}, "exports.unknown_quantize"),
    ({"quantize": "int8"}, "exports.quantize_form"),
    ({"form": "onnx", "quantize": "int8", "dtype": "float16"}, "exports.quantize_half"),
    ({"form": "onnx", "dtype": "bfloat16"}, "exports.onnx_bfloat16"),
    ({"texts": TEXTS}, "exports.texts_alone"),
    ({"dtype": "float16", "texts": 3}, "calibration.kind"),
]


def test_what_does_not_go_together_is_refused(
    tmp_path: Path, pruned: Callable[..., Any], subtests: pytest.Subtests
) -> None:
    run = pruned()
    for given, code in NOT_TOGETHER:
        with subtests.test(f"{code}: {given}"[:60]):
            with pytest.raises(bp.BertpruneError) as caught:
                bp.export(run, tmp_path / "out", **given)
            assert caught.value.code == code and not (tmp_path / "out").exists()

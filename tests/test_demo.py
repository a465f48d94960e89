"""The checkpoints in the package agree with their cards and with the README."""

import json
import re
from pathlib import Path

import pytest
from safetensors import safe_open

import bertprune as bp
from demo_training.card import LIMITS

ROOT = Path(__file__).parents[1]
DEMO = ROOT / "bertprune" / "demo"


def card(stage: str) -> str:
    return (DEMO / stage / "README.md").read_text(encoding="utf-8")


def test_each_is_small_and_in_half_precision(subtests: pytest.Subtests) -> None:
    for stage in ["sentiment", "mlm"]:
        with subtests.test(stage):
            assert sum(path.stat().st_size for path in (DEMO / stage).iterdir()) < 10_000_000
            with safe_open(DEMO / stage / "model.safetensors", "pt") as tensors:
                assert {tensors.get_slice(name).get_dtype() for name in tensors.keys()} == {"F16"}  # noqa: SIM118


def test_each_card_names_data_licence_seed_versions_and_training(subtests: pytest.Subtests) -> None:
    for stage in ["sentiment", "mlm"]:
        with subtests.test(stage):
            for words in (
                "(NSMC), CC0 1.0",
                "Apache-2.0",
                "| seed |",
                "| training |",
                "| versions |",
                "## Training log",
            ):
                assert words in card(stage)
            assert card(stage).endswith(LIMITS)
            assert "](training.png)" in card(stage) and (DEMO / stage / "training.png").is_file()


def test_the_classifier_has_the_accuracy_of_its_card() -> None:
    assert bp.Checkpoint.open("demo").facts.architecture == "BertForSequenceClassification"
    accuracy = bp.evaluate("demo", "samples")["accuracy"]
    stated = re.search(r"^\| `samples.csv`.*\| ([\d.]+)% \|$", card("sentiment"), re.M)
    assert stated is not None and f"{accuracy.after.value:.1%}" == f"{stated[1]}%"


def test_the_readme_starts_from_the_accuracy_of_the_card() -> None:
    stated = re.search(r"^\| validation reviews \(10,000\) \| ([\d.]+)% \|$", card("sentiment"), re.M)
    assert stated is not None and float(stated[1]) >= 85.0
    measured = json.loads((ROOT / "benchmarks" / "quality_vs_sparsity.json").read_text())
    assert {round(100 * point["value"], 2) for point in measured["points"] if point["asked"] == 0} == {float(stated[1])}


def test_the_language_model_is_tied_and_loses_accuracy_when_pruned() -> None:
    model = bp.Checkpoint.open("demo-mlm").load()
    assert type(model).__name__ == "BertForMaskedLM"
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    step = bp.Step(method="l1_unstructured", fraction=0.7, scope="global", select="encoder.layer.*")
    difference = bp.evaluate(bp.prune("demo-mlm", step), "samples", sample=100)["masked_lm_loss"].difference
    assert difference.low > 0.1

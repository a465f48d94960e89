"""The checkpoints that come with the package are what their cards and the README say."""

import json
import re
from pathlib import Path

import pytest
from safetensors import safe_open

import bertprune as bp

ROOT = Path(__file__).parents[1]
DEMO = ROOT / "bertprune" / "demo"


def card(stage: str) -> str:
    return (DEMO / stage / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("stage", ["sentiment", "mlm"])
def test_each_is_small_and_in_half_precision(stage: str) -> None:
    assert sum(path.stat().st_size for path in (DEMO / stage).iterdir()) < 10_000_000
    with safe_open(DEMO / stage / "model.safetensors", "pt") as tensors:
        assert {tensors.get_slice(name).get_dtype() for name in tensors.keys()} == {"F16"}  # noqa: SIM118


@pytest.mark.parametrize("stage", ["sentiment", "mlm"])
def test_each_card_tells_of_data_licence_seed_time_versions_and_training(stage: str) -> None:
    for words in ("(NSMC), CC0 1.0", "Apache-2.0", "| seed |", "| training |", "| versions |", "## Training log"):
        assert words in card(stage)
    assert "](training.png)" in card(stage) and (DEMO / stage / "training.png").is_file()


def test_the_classifier_is_named_as_in_the_tutorial_and_scores_what_its_card_says() -> None:
    assert bp.Checkpoint.open("demo").facts.architecture == "BertForSequenceClassification"
    assert bp.tree(bp.Checkpoint.open("demo").skeleton(), "bert.encoder.layer.0.attention.self.key").parameters
    accuracy = bp.evaluate("demo", "samples")["accuracy"]
    told = re.search(r"^\| `samples.csv`.*\| ([\d.]+)% \|$", card("sentiment"), re.M)
    assert told is not None
    assert f"{accuracy.after.value:.1%}" == f"{told[1]}%"


def test_the_readme_starts_from_the_accuracy_of_the_card() -> None:
    told = re.search(r"^\| validation reviews \(10,000\) \| ([\d.]+)% \|$", card("sentiment"), re.M)
    assert told is not None and float(told[1]) >= 85.0
    measured = json.loads((ROOT / "benchmarks" / "quality_vs_sparsity.json").read_text())
    assert {round(100 * point["value"], 2) for point in measured["points"] if point["asked"] == 0} == {float(told[1])}


def test_the_language_model_is_tied_and_feels_pruning() -> None:
    model = bp.Checkpoint.open("demo-mlm").load()
    assert type(model).__name__ == "BertForMaskedLM"
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    step = bp.Step(method="l1_unstructured", fraction=0.7, scope="global", select="encoder.layer.*")
    difference = bp.evaluate(bp.prune("demo-mlm", step), "samples")["masked_lm_loss"].difference
    assert difference.low > 0.1

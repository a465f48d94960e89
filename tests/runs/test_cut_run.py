"""A run without some layers: what it shows, what it leaves as, and that its steps are those of the smaller model."""

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

import bertprune as bp
from bertprune.errors import BertpruneError
from bertprune.recipe import Recipe
from tests.calibration_texts import TEXTS

GONE = bp.Step(granularity="layer", fraction=1.0, select=bp.Selection(layers=[1]))
TWO = bp.Step(method="layer_change", count=2)
STEPS = {
    "wanda": bp.Step(method="wanda", fraction=0.5, scope="row", select=bp.Selection(roles="ffn.output")),
    "obs": bp.Step(method="obs", granularity="neuron", fraction=0.25),
    "fisher": bp.Step(method="fisher", granularity="head", count=1, scope="global"),
    "plain": bp.Step(method="l1_unstructured", fraction=0.3, scope="global", select=bp.Selection(layers=[0, 2, 3])),
    "change": TWO,
}


@pytest.fixture
def folder(tiny_folder: Callable[..., Path]) -> Path:
    return tiny_folder(num_hidden_layers=4)


def same_outputs(one: Any, other: Any) -> bool:
    ids = torch.tensor([[2, 7, 11, 13, 3, 9], [2, 5, 3, 8, 4, 6]])
    with torch.no_grad():
        return torch.equal(one(input_ids=ids).logits, other(input_ids=ids).logits)


def test_a_step_after_it_prunes_as_on_the_smaller_checkpoint(
    folder: Path, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    bp.export(bp.prune(folder, GONE), tmp_path / "smaller")
    for name, step in STEPS.items():
        with subtests.test(name):
            both = bp.prune(folder, [GONE, step], seed=3, calibration=TEXTS)
            renumbered = step
            if step.select.layers:
                renumbered = step.model_copy(update={"select": bp.Selection(layers=[0, 1, 2])})
            alone = bp.prune(tmp_path / "smaller", renumbered, seed=3, calibration=TEXTS)
            assert same_outputs(both.model, alone.model)
            assert both.report.total == alone.report.total and both.report.model == alone.report.model
            seen = bp.preview(folder, [GONE, step]).steps[1]
            assert seen.removed[0] <= both.steps[1].removed <= seen.removed[1]
            assert seen.weights == bp.preview(tmp_path / "smaller", renumbered).steps[0].weights


def test_what_it_shows_speaks_of_the_checkpoints_layers(folder: Path) -> None:
    run = bp.prune(folder, [bp.Step(method="l1_unstructured", fraction=0.5), GONE])
    layer = "bert.encoder.layer.1."
    assert run.cut.layers == (1,) and run.steps[1].cut.layers == (1,)
    assert not any(name.startswith(layer) for name in (*run.masks, *run.history, *dict(run.model.named_parameters())))
    removed = [record.name for record in run.diff.removed if record.name.startswith(layer)]
    assert sorted(removed) == sorted(name for name, _ in run.checkpoint.model().named_parameters() if layer in name)
    assert {one.layer for one in run.report.tensors} == {0, 2, 3, None}
    assert run.report.model.size == sum(p.numel() for p in run.model.parameters())
    assert any("removed 1 of the encoder's layers: 1 (" in note for note in run.notes)
    assert "torch does not take layers out of a model" in run.as_python()
    assert "granularity: layer" in run.as_python()
    assert bp.compare(run, bp.prune(folder, bp.Recipe())).first.model.size == run.report.model.size
    assert bp.figures.heatmap(run.report).axes


def test_undo_copies_and_pickles(folder: Path) -> None:
    run = bp.prune(folder, TWO, calibration=TEXTS)
    undone = bp.prune(folder, bp.Recipe(steps=run.recipe.steps[:-1]))
    assert not undone.cut and undone.model.config.num_hidden_layers == 4
    for other in (copy.deepcopy(run), pickle.loads(pickle.dumps(run))):
        assert other.cut == run.cut and same_outputs(other.model, run.model)
    assert Recipe.from_yaml(run.recipe.to_yaml()) == run.recipe


def test_it_leaves_in_every_form_as_it_was_measured(
    tiny_folder: Callable[..., Path], tmp_path: Path, subtests: pytest.Subtests
) -> None:
    for model_cls in ["BertForMaskedLM", "RobertaForSequenceClassification", "DistilBertForMaskedLM"]:
        with subtests.test(model_cls):
            here = tmp_path / model_cls
            layers = {"n_layers" if "Distil" in model_cls else "num_hidden_layers": 4}
            folder = tiny_folder(model_cls, dtype="float16", **layers)
            recipe = [bp.Step(method="l1_unstructured", fraction=0.5, scope="global"), GONE]
            run = bp.prune(folder, recipe)
            result = bp.export(run, here / "baked")
            plain = getattr(transformers, model_cls).from_pretrained(result.path, dtype=torch.float32).eval()
            assert plain.config.num_hidden_layers == 3 and same_outputs(plain, run.model)
            bp.export(run, here / "masked", "masked")
            masked = bp.Checkpoint.open(here / "masked")
            assert same_outputs(masked.load(), run.model) and masked.facts.dtype == "float16"
            assert bp.sparsity(masked.load()).total == run.report.total
            bp.export(masked, here / "again")
            assert (here / "again/model.safetensors").read_bytes() == (here / "baked/model.safetensors").read_bytes()
            for name in ("baked", "masked"):
                card = (here / name / "README.md").read_text()
                assert "The source's layer 1 was taken out, and the others are numbered anew" in card
                assert "layer.3." not in card
            further = bp.prune(here / "masked", bp.Step(method="l1_unstructured", fraction=0.5, scope="global"))
            assert further.report.total.masked > run.report.total.masked


def test_a_trained_model_without_layers_is_exported_as_it_is(folder: Path, tmp_path: Path) -> None:
    run = bp.prune(folder, GONE)
    with torch.no_grad():
        run.model.classifier.bias.add_(1)
    for source, like in ((run, None), (run.model, run.checkpoint)):
        bp.export(source, tmp_path / "out", overwrite=True, **({"like": like} if like else {}))
        assert same_outputs(bp.load(tmp_path / "out"), run.model)
    del run.model.bert.encoder.layer._modules["3"]
    with pytest.raises(BertpruneError, match="lacks"):
        bp.export(run, tmp_path / "other")


def test_it_is_evaluated_and_tried_beside_its_checkpoint(folder: Path) -> None:
    run = bp.prune(folder, GONE)
    report = bp.evaluate(run, [(text, number % 2) for number, text in enumerate(TEXTS)])
    assert report.scores and bp.try_text(run, "the film was good")


def test_a_preview_bounds_what_texts_will_decide(folder: Path) -> None:
    steps = [
        TWO,
        bp.Step(method="l1_unstructured", fraction=0.5),
        bp.Step(method="l1_unstructured", count=3, select=bp.Selection(layers=[0])),
    ]
    run_steps = bp.prune(folder, steps[:2], calibration=TEXTS).steps
    first, second, third = bp.preview(folder, steps).steps
    assert first.needs_texts and first.removed == (run_steps[0].removed,) * 2
    assert second.removed[0] == second.removed[1] == run_steps[1].removed
    assert third.removed[0] == 0 and third.removed[1] >= 3


def test_the_shell_removes_layers_by_number(tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from bertprune.cli import main

    line = [str(folder), "--granularity", "layer", "--layer", "1", "--fraction", "1"]
    assert main(["prune", *line, "--out", str(tmp_path / "out")]) == 0
    assert "removed 1 of the encoder's layers: 1" in capsys.readouterr().err
    assert bp.Checkpoint.open(tmp_path / "out").config.num_hidden_layers == 3
    assert main(["preview", *line]) == 0


def test_the_small_form_lacks_the_layers_too(folder: Path, tmp_path: Path, subtests: pytest.Subtests) -> None:
    half = bp.Step(method="magnitude", granularity="neuron", fraction=0.5)
    for recipe, neurons in (([GONE], 64), ([GONE, half], 32)):
        with subtests.test(f"{neurons} neurons"):
            run = bp.prune(folder, recipe)
            assert bp.preview(folder, recipe).loads == "plain"
            result = bp.export(run, tmp_path / str(neurons), "small")
            small = transformers.AutoModelForSequenceClassification.from_pretrained(result.path).eval()
            assert result.loads == "plain" and small.config.num_hidden_layers == 3
            assert small.config.intermediate_size == neurons
            ids = torch.tensor([[2, 7, 11, 13, 3, 9]])
            with torch.no_grad():
                assert torch.allclose(
                    small(input_ids=ids).logits, run.model(input_ids=ids).logits, rtol=1e-4, atol=1e-5
                )


def test_layers_of_unequal_width_are_taken_out_of_a_small_folder(folder: Path, tmp_path: Path) -> None:
    heads = bp.Step(method="magnitude", granularity="neuron", fraction=0.4, scope="global")
    bp.export(bp.prune(folder, heads), tmp_path / "unequal", "small")
    run = bp.prune(tmp_path / "unequal", GONE)
    bp.export(run, tmp_path / "out")
    assert same_outputs(bp.load(tmp_path / "out"), run.model)

"""What leaves is what was measured: a model that was changed after pruning is exported as it is now, or refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn.utils import prune

import bertprune as bp
from tests.tiny_models import make_model

from .conftest import KEY, RECIPE, WORDS
from .test_baked import INPUT, bits, everything, outputs


def train(model: nn.Module) -> None:
    optimiser = torch.optim.SGD(model.parameters(), lr=0.5)
    model(input_ids=INPUT, labels=torch.tensor([0, 1])).loss.backward()
    optimiser.step()


def prune_further(model: nn.Module) -> None:
    prune.l1_unstructured(model.get_submodule(KEY), "weight", amount=100)
    prune.random_unstructured(model.get_submodule(KEY.replace("key", "value")), "bias", amount=3)


def bake_part(model: nn.Module) -> None:
    bp.bake(model, "*layer.0.*")


def bake_by_torch(model: nn.Module) -> None:
    prune.remove(model.get_submodule(KEY), "weight")


def train_then_bake(model: nn.Module) -> None:
    train(model)
    bp.bake(model)


def halve(model: nn.Module) -> None:
    model.half()
    model.float()


FORMS: tuple[Any, ...] = ("baked", "masked")
CHANGES = [train, prune_further, bake_part, bake_by_torch, train_then_bake, halve]


def counts(model: nn.Module) -> Any:
    return bp.sparsity(model).total, bp.sparsity(model).model


def test_the_model_leaves_as_it_is_now(tmp_path: Path, pruned: Callable[..., Any], subtests: pytest.Subtests) -> None:
    for change in CHANGES:
        with subtests.test(change.__name__):
            folder = tmp_path / change.__name__
            run = pruned()
            with torch.random.fork_rng(devices=[]):
                change(run.model)
            now = {name: value.clone() for name, value in run.model.state_dict().items()}
            expected = bits(outputs(run.model))
            for form in FORMS:
                bp.export(run, folder / form, form)
                back = bp.load(folder / form)
                assert bits(outputs(back)) == expected
                report = json.loads((folder / form / "report.json").read_text())
                assert report["sparsity"] == bp.sparsity(run.model).to_dict()
                assert any(KEY in name for name in report["changed"])
                assert "changed after that" in (folder / form / "README.md").read_text()
            assert {name: value.tolist() for name, value in back.state_dict().items()} == {
                name: value.tolist() for name, value in now.items()
            }
            assert bp.snapshot(back).hooks == bp.snapshot(run.model).hooks or change is prune_further
            assert all(torch.equal(value, run.model.state_dict()[name]) for name, value in now.items())


def test_a_model_that_was_only_looked_at_gives_the_same_bytes(
    tmp_path: Path, pruned: Callable[..., Any], subtests: pytest.Subtests
) -> None:
    for form in FORMS:
        with subtests.test(form):
            folder = tmp_path / form
            run = pruned()
            bp.export(run, folder / "one", form)
            outputs(run.model.train().eval())
            run.model.double()
            bp.export(run, folder / "two", form)
            assert everything(folder / "one") == everything(folder / "two")


def test_hooks_that_torch_added_are_in_the_history(tmp_path: Path, pruned: Callable[..., Any]) -> None:
    run = pruned()
    prune_further(run.model)
    bp.export(run, tmp_path / "masked", "masked")
    history = json.loads((tmp_path / "masked" / "report.json").read_text())["history"]
    assert history[f"{KEY}.weight"] == [0, 2, 3, "L1Unstructured"]
    hooks = {(hook.module, hook.tensor): hook.history for hook in bp.snapshot(bp.load(tmp_path / "masked")).hooks}
    assert hooks == {(hook.module, hook.tensor): hook.history for hook in bp.snapshot(run.model).hooks}
    bp.export(tmp_path / "masked", tmp_path / "again", "masked")
    assert everything(tmp_path / "again") == everything(tmp_path / "masked")


def test_evaluation_and_export_look_at_the_same_weights(tmp_path: Path, pruned: Callable[..., Any]) -> None:
    run = pruned()
    with torch.no_grad():
        run.model.classifier.bias += torch.tensor([100.0, -100.0])
    bp.export(run, tmp_path / "out")
    texts = [("good film", 0), ("bad plot", 1)]
    one, other = (bp.evaluate(source, texts, baseline=run.checkpoint) for source in (run, tmp_path / "out"))
    assert one["accuracy"].after.value == other["accuracy"].after.value == 0.5


def test_training_that_half_precision_cannot_hold_is_stored_wider(tmp_path: Path, pruned: Callable[..., Any]) -> None:
    run = pruned(dtype="float16")
    with torch.no_grad():
        run.model.get_submodule(KEY).weight_orig.add_(1e-4)
    bp.export(run, tmp_path / "out")
    stored = load_file(tmp_path / "out" / "model.safetensors")
    assert stored[f"{KEY}.weight"].dtype == torch.float32 and stored["classifier.weight"].dtype == torch.float16
    assert json.loads((tmp_path / "out" / "config.json").read_text())["dtype"] == "float32"
    assert bits(outputs(bp.load(tmp_path / "out"))) == bits(outputs(run.model))


def test_a_model_of_ones_own_is_exported_like_its_checkpoint(
    tmp_path: Path, tiny_folder: Callable[..., Path], subtests: pytest.Subtests
) -> None:
    for form in FORMS:
        with subtests.test(form):
            folder = tmp_path / form
            source = tiny_folder()
            model = make_model("BertForSequenceClassification")
            prune.l1_unstructured(model.get_submodule(KEY), "weight", 0.25)
            bp.apply(model, RECIPE)
            train(model)
            bp.export(model, folder / "out", form, like=source)
            back = bp.load(folder / "out")
            assert bits(outputs(back)) == bits(outputs(model))
            assert bp.sparsity(back).model.masked == (bp.sparsity(model).model.masked if form == "masked" else 0)
            files = everything(folder / "out")
            assert "recipe.yaml" not in files and "tokenizer.json" in files
            report = json.loads(files["report.json"])
            assert report["history"][f"{KEY}.weight"][0] == "L1Unstructured" and report["seed"] is None
            assert report["sparsity"] == bp.sparsity(model).to_dict()


def test_a_baked_model_of_ones_own(tmp_path: Path, tiny_folder: Callable[..., Path]) -> None:
    source = bp.Checkpoint.open(tiny_folder(model_cls="BertForMaskedLM"))
    model = source.load()
    bp.apply(model, WORDS)
    bp.export(bp.bake(model), tmp_path / "out", like=source)
    assert bits(outputs(bp.load(tmp_path / "out"))) == bits(outputs(model))
    assert bp.sparsity(bp.load(tmp_path / "out")).model.zero >= bp.sparsity(model).model.zero > 700


def _wider(model: nn.Module) -> nn.Module:
    model.classifier = nn.Linear(32, 3)
    return model


def _double(model: nn.Module) -> nn.Module:
    model.double().classifier.weight.data += 1e-12
    return model


def _diverged(model: nn.Module) -> nn.Module:
    model.classifier.weight.data[0, 0] = float("nan")
    return model


def _soft(model: nn.Module) -> nn.Module:
    return prune.custom_from_mask(model.classifier, "weight", torch.full((2, 32), 0.5)) and model


def _wrapped(model: nn.Module) -> nn.Module:
    return nn.DataParallel(model)


REFUSED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "another class": (lambda model: model.bert, "exports.other_class"),
    "wrapped": (_wrapped, "exports.other_class"),
    "another shape": (_wider, "exports.other_tensor"),
    "on meta": (lambda model: model.to("meta"), "exports.meta"),
    "double": (_double, "exports.float64"),
    "diverged": (_diverged, "exports.not_finite"),
    "a mask of halves": (_soft, "exports.mask_values"),
}


def test_what_cannot_be_written_is_refused(
    tmp_path: Path, tiny_folder: Callable[..., Path], subtests: pytest.Subtests
) -> None:
    for case in REFUSED:
        with subtests.test(case):
            change, code = REFUSED[case]
            model = change(make_model("BertForSequenceClassification"))
            with pytest.raises(bp.BertpruneError) as caught:
                bp.export(model, tmp_path / "out", like=tiny_folder())
            assert caught.value.code == code and not (tmp_path / "out").exists()


def test_wrong_things_are_named(tmp_path: Path, pruned: Callable[..., Any]) -> None:
    run = pruned()
    wrong: list[tuple[Any, dict[str, Any], str]] = [
        (run.model, {}, "exports.no_like"),
        (run, {"like": run.checkpoint}, "exports.like"),
        (run.model.state_dict(), {"like": run.checkpoint}, "exports.like"),
        (run.report, {}, "exports.wrong_type"),
        (None, {}, "exports.wrong_type"),
        (run.checkpoint, {}, "exports.not_masked"),
    ]
    for given, options, code in wrong:
        with pytest.raises(bp.BertpruneError) as caught:
            bp.export(given, tmp_path / "out", **options)
        assert caught.value.code == code


def test_a_tied_tensor_with_two_masks_leaves_baked_only(tmp_path: Path, tiny_folder: Callable[..., Path]) -> None:
    run = bp.prune(tiny_folder(model_cls="BertForMaskedLM"), WORDS)
    prune.l1_unstructured(run.model.bert.embeddings.word_embeddings, "weight", amount=100)
    with pytest.raises(bp.BertpruneError) as caught:
        bp.export(run, tmp_path / "out", "masked")
    assert caught.value.code == "exports.tied_masks"
    bp.export(run, tmp_path / "out")
    assert bits(outputs(bp.load(tmp_path / "out"))) == bits(outputs(run.model))


def test_released_changes_are_gone(pruned: Callable[..., Any], tmp_path: Path) -> None:
    run = pruned()
    bp.export(run, tmp_path / "one")
    train(run.model)
    assert run.built() is run.model
    run.release()
    assert run.built() is None
    bp.export(run, tmp_path / "two")
    assert everything(tmp_path / "one") == everything(tmp_path / "two")

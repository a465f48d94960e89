"""A run is a pure function of a checkpoint, a recipe and a seed."""

import copy
import pickle
import threading

import pytest
import torch
from torch.nn.utils import prune as torch_prune

import bertprune as bp

HALF = bp.Step(method="l1_unstructured", fraction=0.5, scope="global", select="encoder.*")
NOISE = bp.Step(method="random_unstructured", fraction=0.2, select="encoder.*")


@pytest.fixture
def checkpoint(tiny_folder):
    return bp.Checkpoint.open(tiny_folder())


def test_the_same_three_give_the_same_masks(checkpoint):
    recipe = bp.Recipe(steps=[NOISE, HALF])
    first, again, other = (bp.prune(checkpoint, recipe, seed=seed) for seed in (1, 1, 2))
    assert first.masks.keys() == other.masks.keys()
    assert all(torch.equal(mask, again.masks[name]) for name, mask in first.masks.items())
    assert not all(torch.equal(mask, other.masks[name]) for name, mask in first.masks.items())


def test_macs_fall_with_neurons_and_not_with_single_weights(checkpoint):
    known = checkpoint.load().config
    wide, inner, layers, length = known.hidden_size, known.intermediate_size, known.num_hidden_layers, 128
    per_token = 4 * wide * wide + 2 * length * wide
    dense = length * layers * (per_token + 2 * wide * inner)
    assert bp.prune(checkpoint, HALF).macs == (dense, dense)
    neurons = bp.prune(checkpoint, bp.Step(method="magnitude", granularity="neuron", fraction=0.5))
    assert neurons.macs == (dense, length * layers * (per_token + wide * inner))
    layer = bp.prune(checkpoint, bp.Step(granularity="layer", fraction=1.0, select=bp.Selection(layers=[0])))
    assert layer.macs == (dense, dense * (layers - 1) / layers)


@pytest.mark.usefixtures("temporary_methods")
def test_the_hooks_are_those_of_the_method_that_pruned(checkpoint):
    @bp.method("mine")
    class First(torch_prune.L1Unstructured):
        pass

    step = bp.Step(method="mine", fraction=0.5, select="*.query")
    one, other = (bp.prune(checkpoint, step) for _ in range(2))

    @bp.method("mine")
    class Second(torch_prune.L1Unstructured):
        pass

    query = "bert.encoder.layer.0.attention.self.query"
    assert one.after.module(query).hooks[0].name == "First"
    (hook,) = one.model.get_submodule(query)._forward_pre_hooks.values()
    assert type(hook) is First
    bp.method("mine")(lambda weight: weight)
    (hook,) = other.model.get_submodule(query)._forward_pre_hooks.values()
    assert type(hook) is First
    assert bp.snapshot(other.model) == other.after


def test_the_masks_of_a_pruned_checkpoint_are_among_those_of_its_runs(checkpoint, tmp_path):
    first = bp.prune(checkpoint, HALF)
    bp.export(first, tmp_path / "masked", "masked")
    run = bp.prune(tmp_path / "masked", bp.Step(method="l1_unstructured", fraction=0.5, select="*.query"))
    assert set(run.masks) == {tensor.name for tensor in run.report.targets}
    state = run.model.state_dict()
    assert all(torch.equal(mask, state[f"{name}_mask"]) for name, mask in run.masks.items())
    found = bp.compare(first, run)
    both = sum(int((~mask & ~run.masks[name]).sum()) for name, mask in first.masks.items())
    assert sum(tensor.both for tensor in found.tensors) == both == first.report.total.masked


def test_names_and_single_steps_are_accepted_too(tiny_folder):
    folder = tiny_folder()
    by_name = bp.prune(str(folder), HALF)
    by_dict = bp.prune(folder, {"steps": [HALF.model_dump()]})
    assert all(torch.equal(mask, by_dict.masks[name]) for name, mask in by_name.masks.items())


def test_what_a_run_shows(checkpoint):
    run = bp.prune(checkpoint, bp.Recipe(steps=[NOISE, HALF]))
    key = "bert.encoder.layer.0.attention.self.key"
    assert [record.local for record in run.before.module(key).parameters] == ["weight", "bias"]
    assert {record.local for record in run.after.module(key).parameters} == {"weight_orig", "bias"}
    assert run.after.module(key).hooks[0].history == ("RandomUnstructured", "L1Unstructured")
    assert run.after == bp.snapshot(run.model)
    assert any(record.name == f"{key}.weight_mask" for record in run.diff.added)
    masked = sum(int((~mask).sum()) for mask in run.masks.values())
    assert run.report.total.masked == masked == sum(outcome.removed for outcome in run.steps)
    assert run.history[f"{key}.weight"] == (NOISE, HALF)


def test_the_model_is_built_when_asked_for_and_can_be_released(checkpoint):
    run = bp.prune(checkpoint, HALF)
    model = run.model
    assert run.model is model and not model.training and torch_prune.is_pruned(model)
    tokens = torch.tensor([[1, 2, 3]])
    logits = model(tokens).logits
    run.release()
    assert run.model is not model
    assert torch.equal(run.model(tokens).logits, logits)


def test_a_run_and_the_same_in_place_agree(checkpoint):
    recipe = bp.Recipe(steps=[NOISE, HALF])
    run = bp.prune(checkpoint, recipe, seed=4)
    model = checkpoint.load()
    outcomes = bp.apply(model, recipe, seed=4)
    assert outcomes == run.steps
    ours, theirs = run.model.state_dict(), model.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_runs_keep_packed_masks_not_models(checkpoint):
    run = bp.prune(checkpoint, HALF)
    assert run.masks.nbytes <= sum(mask.numel() for mask in run.masks.values()) / 8 + len(run.masks)


def test_a_preview_reads_no_weight(tiny_folder):
    folder = tiny_folder()
    weights = folder / "model.safetensors"
    data = bytearray(weights.read_bytes())
    start = 8 + int.from_bytes(data[:8], "little")
    data[start:] = b"\xff" * (len(data) - start)  # NaN everywhere, which pruning refuses
    weights.write_bytes(data)
    seen = bp.preview(folder, HALF)
    assert seen.steps[0].weights == 2 * (4 * 32 * 32 + 2 * 32 * 64)
    assert seen.steps[0].removed == (seen.steps[0].weights // 2,) * 2
    assert seen.to_dict()["steps"][0]["removed"] == seen.steps[0].removed
    with pytest.raises(bp.BertpruneError, match="NaN"):
        bp.prune(folder, HALF)


def test_progress_is_reported_and_can_cancel(checkpoint):
    shares = []
    bp.prune(checkpoint, HALF, progress=lambda share, words: shares.append(share))
    assert shares == sorted(shares) and shares[0] == 0.0 and shares[-1] == 1.0

    def cancel(share, words):
        if share > 0.5:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        bp.prune(checkpoint, HALF, progress=cancel)


def test_all_threads_get_one_model(checkpoint):
    run, together, found = bp.prune(checkpoint, HALF), threading.Barrier(4), []

    def ask():
        together.wait()
        found.append((run.model, run.before, run.after))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and all(len(set(map(id, ones))) == 1 for ones in zip(*found, strict=True))
    assert run.built() is found[0][0]


HEADED = [("BertForSequenceClassification", "classifier"), ("BertForMaskedLM", "cls.predictions.decoder")]


def test_what_is_built_in_inference_mode_can_be_trained(tiny_folder, subtests):
    for model_cls, head in HEADED:
        with subtests.test(model_cls):
            folder = tiny_folder(model_cls)
            with torch.inference_mode():
                run, loaded = bp.prune(folder, HALF), bp.load(folder)
                models = [run.model, loaded, run.checkpoint.load()]
            for model in [*models, bp.prune(run.checkpoint, HALF).model]:
                model(torch.tensor([[1, 2, 3]])).logits.sum().backward()
                assert all(parameter.grad is not None for parameter in model.get_submodule(head).parameters())


def test_a_copy_of_a_run_has_a_model_of_its_own(checkpoint):
    run = bp.prune(checkpoint, HALF)
    assert copy.deepcopy(run).built() is None
    with torch.no_grad():
        run.model.classifier.bias.add_(1)
    other = copy.deepcopy(run)
    assert torch.equal(other.model.classifier.bias, run.model.classifier.bias)
    with torch.no_grad():
        other.model.classifier.bias.add_(1)
    assert not torch.equal(other.model.classifier.bias, run.model.classifier.bias)
    assert other.checkpoint is run.checkpoint and other.report == run.report
    run.release()
    assert other.built() is not None


LOOKS = {
    "sparsity": lambda source: bp.sparsity(source).to_dict(),
    "snapshot": lambda source: bp.snapshot(source).to_dict(),
    "compare, first": lambda source: bp.compare(source, bp.sparsity(source)).total[0],
    "compare, second": lambda source: bp.compare(bp.sparsity(source), source).total[1],
    "compare, both": lambda source: [one.both for one in bp.compare(source, source).tensors],
    "heatmap": lambda source: [text.get_text() for text in bp.figures.heatmap(source).axes[0].texts],
    "cells": lambda source: list(bp.figures.cells(bp.figures.heatmap(source), source)),
}


def test_whoever_is_given_a_run_looks_at_its_model_as_it_is_now(checkpoint, subtests):
    for look in LOOKS:
        with subtests.test(look):
            run = bp.prune(checkpoint, bp.Step(method="l1_unstructured", fraction=0.5, select="encoder.layer.0.*"))
            layers = run.model.bert.encoder.layer
            torch_prune.random_unstructured(layers[1].attention.self.query, "weight", 0.5)
            bp.bake(run.model, "encoder.layer.0.attention.self.query")
            assert LOOKS[look](run) == LOOKS[look](run.model)


def test_runs_and_checkpoints_go_to_other_processes(tiny_folder, monkeypatch, tmp_path):
    folder = tiny_folder()
    monkeypatch.chdir(folder.parent)
    run = bp.prune(folder.name, HALF)
    with torch.no_grad():
        run.model.classifier.bias.add_(1)
    sent = pickle.dumps(run)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    back = pickle.loads(sent)
    assert (back.recipe, back.seed, back.report, back.steps) == (run.recipe, run.seed, run.report, run.steps)
    assert all(torch.equal(mask, back.masks[name]) for name, mask in run.masks.items())
    assert torch.equal(back.model.classifier.bias, run.model.classifier.bias)
    back.release()
    assert torch.equal(back.model.classifier.bias, run.model.classifier.bias - 1)
    demo, shape = (pickle.loads(pickle.dumps(bp.Checkpoint.open(name))) for name in ("demo", "kobert-shape"))
    assert demo.facts.parameters == 3_378_242 and shape.name == "kobert-shape"
    (folder / "config.json").write_text((folder / "config.json").read_text() + " ")
    with pytest.raises(bp.BertpruneError, match=r"config\.json has changed since"):
        pickle.loads(sent)


RESULTS = {
    "run": lambda run: run,
    "preview": lambda run: bp.preview(run.checkpoint, run.recipe),
    "report": lambda run: run.report,
    "comparison": lambda run: bp.compare(run, run),
    "snapshot": lambda run: run.after,
    "diff": lambda run: run.diff,
    "tree": lambda run: bp.tree(run.model),
    "quality": lambda run: bp.evaluate(run, [("good film", 0), ("bad", 1)], baseline=run.checkpoint),
    "text": lambda run: bp.try_text(run, "good film"),
}


def test_every_result_can_be_copied_and_sent(checkpoint, subtests):
    for result in RESULTS:
        with subtests.test(result):
            found = RESULTS[result](bp.prune(checkpoint, HALF))
            for other in (copy.deepcopy(found), pickle.loads(pickle.dumps(found))):
                assert type(other) is type(found)
                assert result == "run" or other == found

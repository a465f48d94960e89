"""State dicts of pruned models open as the pruned models that they are, or are refused."""

import json
import os
import warnings
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoint_files import stored
from safetensors.torch import save_file
from torch.nn.utils import prune

import bertprune as bp
from bertprune.errors import MissingTensorsWarning
from tests.tiny_models import make_model

KEY = "encoder.layer.0.attention.self.key"
HALF = bp.Step(method="l1_unstructured", fraction=0.5, select=bp.Selection(types="Linear"))


def pruned_model(seed: int = 0) -> Any:
    """Return a BertModel whose keys are pruned by plain torch, twice."""
    model = make_model("BertModel", seed)
    for _ in range(2):
        for layer in model.encoder.layer:
            prune.l1_unstructured(layer.attention.self.key, "weight", 0.5)
    return model


def saved(folder: Path, model: Any) -> Path:
    model.save_pretrained(folder)
    return folder


def sharded(folder: Path, model: Any) -> Path:
    model.save_pretrained(folder, max_shard_size="20KB")
    return folder


def torch_file(folder: Path, model: Any, name: str = "pytorch_model.bin") -> Path:
    folder.mkdir()
    model.config.architectures = ["BertModel"]
    model.config.save_pretrained(folder)
    torch.save(model.state_dict(), folder / name)
    return folder if name == "pytorch_model.bin" else folder / name


def other_file(folder: Path, model: Any) -> Path:
    return torch_file(folder, model, "state.pt")


FORMS = [saved, sharded, torch_file, other_file]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Return the state dict of `pruned_model` in a file of another kind and name."""
    return other_file(tmp_path / "source", pruned_model())


def state_equal(one: Any, other: Any) -> None:
    a, b = one.state_dict(), other.state_dict()
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name] != 0 if name.endswith("_mask") else a[name], b[name]) for name in b)


def test_it_opens_with_hooks_and_masks(tmp_path: Path, subtests: pytest.Subtests) -> None:
    for write in FORMS:
        with subtests.test(write.__name__):
            model, given = bp.load(write(tmp_path / write.__name__, pruned_model())), pruned_model()
            state_equal(given, model)
            module = model.get_submodule(KEY)
            assert module.weight_mask.dtype == torch.bool and prune.is_pruned(model)
            (hook,) = module._forward_pre_hooks.values()
            assert isinstance(hook, prune.CustomFromMask) and type(hook).__name__ == "CustomFromMask"
            ids = torch.tensor([[1, 2, 3]])
            with torch.no_grad():
                assert torch.equal(model(ids)[0], given(ids)[0])
            prune.remove(module, "weight")
            assert int((module.weight == 0).sum()) == 768


def test_every_verb_takes_it(source: Path, tmp_path: Path) -> None:
    checkpoint = bp.Checkpoint.open(source)
    assert any("masks" in note for note in checkpoint.facts.notes)
    assert checkpoint.load().get_submodule(KEY).weight_orig is not checkpoint.model().get_submodule(KEY).weight_orig
    assert bp.sparsity(checkpoint.model()).total.masked == 2 * 768
    assert checkpoint.skeleton().get_submodule(KEY).weight_orig.is_meta
    assert bp.tree(checkpoint.skeleton()).parameters == checkpoint.facts.parameters
    keys = bp.Step(method="l1_unstructured", fraction=0.5, select="*.key")
    seen, run = bp.preview(checkpoint, keys).steps[0], bp.prune(checkpoint, keys)
    assert seen.removed == (256, 256) and run.steps[0].removed == 256 and run.steps[0].alive_before == 512
    assert [hook.history for hook in run.after.module(KEY).hooks] == [("CustomFromMask", "L1Unstructured")]
    before = checkpoint.model().get_submodule(KEY).weight_mask
    assert not (run.masks[f"{KEY}.weight"] & ~before).any()
    assert run.after == bp.snapshot(run.model) and "pruned model" in run.as_python()
    bp.export(run, tmp_path / "masked", "masked")
    back = bp.load(tmp_path / "masked")
    state_equal(run.model, back)
    assert bp.snapshot(back).hooks == run.after.hooks


def test_a_masked_file_under_another_name_is_not_called_baked(tmp_path: Path) -> None:
    folder = saved(tmp_path / "source", make_model("BertModel"))
    bp.export(bp.prune(folder, HALF), out := tmp_path / "masked", "masked")
    (out / "masked.safetensors").rename(out / "model.safetensors")
    notes = [note.code for note in bp.Checkpoint.open(out).facts.notes]
    assert "note.pruned" in notes and "note.baked" not in notes


def test_masks_that_a_step_leaves_alone_stay(source: Path, tmp_path: Path) -> None:
    run = bp.prune(source, bp.Step(method="l1_unstructured", fraction=0.5, select="*.query"))
    for form in ("baked", "masked"):
        bp.export(run, tmp_path / form, form)
        assert int((bp.load(tmp_path / form).get_submodule(KEY).weight == 0).sum()) == 768


def test_it_is_exported_in_another_form(source: Path, tmp_path: Path) -> None:
    for form in ("baked", "masked"):
        bp.export(source, tmp_path / form, form)
    given = pruned_model()
    assert torch.equal(bp.load(tmp_path / "baked").get_submodule(KEY).weight, given.get_submodule(KEY).weight)
    state_equal(given, bp.load(tmp_path / "masked"))
    assert not (tmp_path / "masked" / "recipe.yaml").exists()
    assert "No recipe is known" in (tmp_path / "masked" / "README.md").read_text()


def test_a_masked_export_opens_by_its_file_and_its_folder_with_its_steps(tmp_path: Path) -> None:
    make_model("BertModel").save_pretrained(tmp_path / "source")
    run = bp.prune(tmp_path / "source", HALF)
    bp.export(run, tmp_path / "masked", "masked")
    for source in (tmp_path / "masked", tmp_path / "masked" / "masked.safetensors"):
        assert bp.snapshot(bp.load(source)) == run.after
        again = bp.prune(source, HALF)
        assert again.after.module(KEY).hooks[0].history == ("L1Unstructured", "L1Unstructured")
    bp.export(again, tmp_path / "further", "masked")
    history = json.loads((tmp_path / "further" / "report.json").read_text())["history"]
    assert history[f"{KEY}.weight"][1:] == [0] and history[f"{KEY}.weight"][0]["fraction"] == 0.5
    assert bp.snapshot(bp.load(tmp_path / "further")) == again.after


def test_masks_find_their_tensors_with_and_without_the_prefix_of_a_base_model(tmp_path: Path) -> None:
    head = make_model("BertForSequenceClassification")
    head.bert.load_state_dict(make_model("BertModel").state_dict())
    base = pruned_model()
    for model, state in (
        (head, base.state_dict()),
        (base, {f"bert.{name}": value for name, value in base.state_dict().items()}),
    ):
        folder = tmp_path / type(model).__name__
        folder.mkdir()
        model.config.architectures = [type(model).__name__]
        model.config.save_pretrained(folder)
        torch.save(state, folder / "pytorch_model.bin")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MissingTensorsWarning)
            state_equal(base, bp.load(folder).base_model)


def _drop(name: str) -> Callable[[dict[str, Any]], Any]:
    return lambda tensors: tensors.pop(f"{KEY}.{name}")


def _put(name: str, value: torch.Tensor) -> Callable[[dict[str, Any]], Any]:
    return lambda tensors: tensors.update({f"{KEY}.{name}": value})


UNCLEAR = [
    (_drop("weight_mask"), "checkpoint.no_mask"),
    (_drop("weight_orig"), "checkpoint.mask_alone"),
    (_put("weight", torch.ones(32, 32)), "checkpoint.masked_twice"),
    (_put("weight_mask", torch.ones(32)), "checkpoint.mask_does_not_fit"),
    (_put("weight_mask", torch.full((32, 32), 0.5)), "checkpoint.mask_values"),
    (_put("weight_mask", torch.full((32, 32), torch.nan)), "checkpoint.mask_values"),
    (lambda t: t.update({"x.weight_orig": torch.ones(2), "x.weight_mask": torch.ones(2)}), None),
    (_put("mask_scores", torch.ones(32, 32)), "checkpoint.mask_scores"),
]


def test_what_is_unclear_is_refused(tmp_path: Path, refused: Any, subtests: pytest.Subtests) -> None:
    for number, (damage, code) in enumerate(UNCLEAR):
        with subtests.test(str(code)):
            (here := tmp_path / str(number)).mkdir()
            folder = saved(here / "source", pruned_model())
            tensors = stored(folder)
            damage(tensors)
            save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
            assert refused(lambda: bp.load(folder)).code == (code or "checkpoint.mask_of_nothing")


def test_an_adapter_is_named(tmp_path: Path, refused: Any, subtests: pytest.Subtests) -> None:
    for file, beside in product(["adapter_model.safetensors", "pytorch_adapter.bin", "adapter.safetensors"], [0, 1]):
        with subtests.test(f"{file}, beside a model: {beside}"):
            (here := tmp_path / f"{file}-{beside}").mkdir()
            folder = here / "adapter"
            folder.mkdir()
            if beside:
                saved(folder, make_model("BertModel"))
            save_file({"lora_A.weight": torch.ones(2)}, folder / file)
            for source in (folder, folder / file, *folder.glob("model.safetensors")):
                error = refused(source)
                assert error.code == "checkpoint.adapter" and "merge_and_unload" in str(error)


def test_masks_of_one_owner_of_a_tied_tensor_are_refused(tmp_path: Path, refused: Any) -> None:
    model = make_model("BertForMaskedLM")
    prune.l1_unstructured(model.bert.embeddings.word_embeddings, "weight", 0.5)
    folder = torch_file(tmp_path / "tied", model)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "architectures": ["BertForMaskedLM"]}))
    assert refused(lambda: bp.load(folder)).code == "checkpoint.tied_masks"


def test_a_mask_on_a_tied_tensor_that_is_stored_once_is_refused(tmp_path: Path, refused: Any) -> None:
    by_torch = make_model("BertForMaskedLM")
    prune.l1_unstructured(by_torch.bert.embeddings.word_embeddings, "weight", 0.5)
    plain = saved(tmp_path / "plain", make_model("BertForMaskedLM"))
    run = bp.prune(plain, bp.Step(method="l1_unstructured", fraction=0.5, select="*.word_embeddings"))
    for number, model in enumerate((by_torch, run.model)):
        error = refused(saved(tmp_path / str(number), model))
        assert error.code == "checkpoint.tied_mask_stored_once" and "like=checkpoint" in str(error)
        bp.export(model, tmp_path / f"{number} baked", like=plain)
        ids = torch.tensor([[1, 2, 3]])
        assert torch.equal(bp.load(tmp_path / f"{number} baked")(ids).logits, model(ids).logits)


def test_our_own_file_of_a_tied_model_says_enough_by_its_name(tmp_path: Path) -> None:
    plain = saved(tmp_path / "plain", make_model("BertForMaskedLM"))
    run = bp.prune(plain, bp.Step(method="l1_unstructured", fraction=0.5, select="*.word_embeddings"))
    bp.export(run, tmp_path / "out", "masked")
    for file in ("report.json", "recipe.yaml"):
        (tmp_path / "out" / file).unlink()
    state_equal(run.model, bp.load(tmp_path / "out"))


def test_masks_have_the_names_that_transformers_gives_their_tensors(tmp_path: Path, subtests: pytest.Subtests) -> None:
    for by_torch in [True, False]:
        with subtests.test(f"by torch: {by_torch}"):
            (here := tmp_path / str(by_torch)).mkdir()
            model = make_model("NomicBertModel")
            if by_torch:
                for module in model.modules():
                    if isinstance(module, torch.nn.Linear):
                        prune.l1_unstructured(module, "weight", 0.5)
            else:
                model = bp.prune(saved(here / "plain", model), HALF).model
            folder = saved(here / "renamed", model)
            assert "encoder.layers.0.attn.Wqkv.weight_mask" in stored(
                folder
            )  # three of them in one, as in the Hub's files
            state_equal(model, back := bp.load(folder))
            bp.export(folder, here / "masked", "masked")
            state_equal(back, bp.load(here / "masked"))
            state_equal(model, bp.load(saved(here / "again", back)))


def test_a_folder_with_both_forms_is_unclear(tmp_path: Path, refused: Any) -> None:
    folder = saved(tmp_path / "both", make_model("BertModel"))
    (folder / "masked.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    assert refused(folder).code == "checkpoint.masked_and_plain"


def test_files_that_changed_since_they_were_opened_are_refused(tmp_path: Path, refused: Any) -> None:
    folder = saved(tmp_path / "source", make_model("BertModel"))
    checkpoint = bp.Checkpoint.open(folder)
    saved(folder, make_model("BertModel", seed=1))
    assert refused(checkpoint.load).code == "checkpoint.source_changed"
    run = bp.prune(folder, HALF)
    (folder / "model.safetensors").unlink()
    assert refused(lambda: bp.export(run, tmp_path / "out")).code == "checkpoint.source_changed"
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows does not tell when a file was changed by whom")
def test_a_file_rewritten_with_its_size_and_time_is_refused(tmp_path: Path, refused: Any) -> None:
    folder = saved(tmp_path / "source", make_model("BertModel"))
    file = folder / "model.safetensors"
    run = bp.prune(folder, HALF)
    for number in range(5):  # at once after it was opened, within one step of the clock
        checkpoint, before, data = bp.Checkpoint.open(folder), file.stat(), bytearray(file.read_bytes())
        data[-number - 1] ^= 1
        with file.open("r+b") as opened:
            opened.write(data)
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert (file.stat().st_size, file.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
        assert refused(checkpoint.model).code == "checkpoint.source_changed"
    assert refused(lambda: bp.export(run, tmp_path / "out")).code == "checkpoint.source_changed"

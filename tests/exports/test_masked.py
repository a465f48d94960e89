"""The masked form: hooks, masks and history come back, and work continues as on the run's own model."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch.nn.utils import prune

import bertprune as bp
from bertprune.model.hooks import HOOK_MAKERS, TORCH_METHODS

from .conftest import KEY, RECIPE, WORDS
from .test_baked import INPUT, bits, everything, outputs

FURTHER = bp.Step(method="random_unstructured", fraction=0.5, select=bp.Selection(types=["Linear"]))


@pytest.fixture
def back(tmp_path: Path, pruned: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that prunes, exports masked and loads: (…) -> (run, loaded model)."""

    def make(*arguments: Any, **folder: Any) -> Any:
        run = pruned(*arguments, **folder)
        bp.export(run, tmp_path / "masked", "masked")
        return run, bp.load(tmp_path / "masked")

    return make


def same_state(one: Any, other: Any) -> None:
    a, b = one.state_dict(), other.state_dict()
    assert list(a) == list(b)
    assert [value.dtype for value in a.values()] == [value.dtype for value in b.values()]
    assert all(torch.equal(a[name], b[name]) for name in a)


def hooks_of(model: Any) -> Any:
    return bp.snapshot(model).hooks


@pytest.mark.parametrize(
    ("model_cls", "dtype"),
    [("BertForSequenceClassification", "float32"), ("BertForMaskedLM", "bfloat16"), ("DistilBertModel", "float32")],
)
@pytest.mark.usefixtures("unchanged_randomness")
def test_everything_comes_back(back: Callable[..., Any], model_cls: str, dtype: str) -> None:
    recipe = bp.Recipe(steps=[*RECIPE.steps, WORDS]) if model_cls.startswith("Bert") else bp.Recipe(steps=[WORDS])
    run, model = back(recipe, model_cls=model_cls, dtype=dtype)
    same_state(run.model, model)
    assert bp.snapshot(model) == bp.snapshot(run.model)
    assert bp.sparsity(model) == run.report
    assert type(model) is type(run.model) and not model.training
    assert bits(outputs(model)) == bits(outputs(run.model))


def test_torchs_own_hooks_come_back_as_such(back: Callable[..., Any]) -> None:
    run, model = back()
    module = model.get_submodule(KEY)
    container, single = module._forward_pre_hooks.values()
    assert type(container) is prune.PruningContainer and type(single) is prune.L1Unstructured
    assert [type(hook) for hook in container][:2] == [prune.RandomUnstructured, prune.LnStructured]
    assert type(list(container)[2]).__name__ == "L1Unstructured" and isinstance(
        list(container)[2], prune.CustomFromMask
    )
    assert list(dict(module.named_parameters())) == list(dict(run.model.get_submodule(KEY).named_parameters()))
    assert module.weight_mask.dtype == torch.bool and module.weight.grad_fn is not None
    assert prune.is_pruned(model)


def test_float_masks_come_back_as_float(tmp_path: Path, tiny_folder: Callable[..., Path]) -> None:
    run = bp.prune(tiny_folder(), RECIPE, mask_dtype="float")
    bp.export(run, tmp_path / "out", "masked")
    stored = load_file(tmp_path / "out" / "masked.safetensors")
    assert stored[KEY + ".weight_mask"].dtype == torch.bool
    same_state(run.model, bp.load(tmp_path / "out"))


def test_torch_can_take_the_hooks_off(back: Callable[..., Any]) -> None:
    run, model = back()
    for one in (model, run.model):
        prune.remove(one.get_submodule(KEY), "weight")
    same_state(run.model, model)
    assert [hook.tensor for hook in hooks_of(model) if hook.module == KEY] == ["bias"]


def test_training_continues_the_same(back: Callable[..., Any]) -> None:
    run, model = back()
    for one in (model, run.model):
        optimiser = torch.optim.SGD(one.parameters(), lr=0.1)
        for _ in range(2):
            optimiser.zero_grad()
            one(input_ids=INPUT, labels=torch.tensor([0, 1])).loss.backward()
            optimiser.step()
    same_state(run.model, model)
    dead = ~model.get_submodule(KEY).weight_mask
    assert torch.count_nonzero(model.get_submodule(KEY).weight[dead]) == 0


def test_pruning_continues_the_same(back: Callable[..., Any]) -> None:
    run, model = back()
    for one in (model, run.model):
        bp.apply(one, FURTHER, seed=4)
        prune.l1_unstructured(one.get_submodule(KEY), "weight", amount=3)
    same_state(run.model, model)
    assert hooks_of(model) == hooks_of(run.model)


def test_tied_tensors_stay_tied_under_their_mask(back: Callable[..., Any], tmp_path: Path) -> None:
    _, model = back(WORDS, model_cls="BertForMaskedLM")
    inside, outside = model.get_input_embeddings(), model.get_output_embeddings()
    assert inside.weight_orig is outside.weight_orig and inside.weight_mask is outside.weight_mask
    stored = load_file(tmp_path / "masked" / "masked.safetensors")
    assert sum(name.endswith("_mask") for name in stored) == 1


def test_plain_from_pretrained_fails_on_it(back: Callable[..., Any], tmp_path: Path) -> None:
    from transformers import BertForSequenceClassification

    back()
    assert not list((tmp_path / "masked").glob("model*.safetensors")) + list((tmp_path / "masked").glob("*.bin"))
    with pytest.raises(OSError, match=r"model\.safetensors"):
        BertForSequenceClassification.from_pretrained(tmp_path / "masked", local_files_only=True)


@pytest.mark.parametrize(
    "folder", [{}, {"dtype": "float16"}, {"model_cls": "BertForMaskedLM"}], ids=["classifier", "half", "tied"]
)
def test_baking_it_later_gives_the_same_bytes(tmp_path: Path, pruned: Callable[..., Any], folder: Any) -> None:
    run = pruned(bp.Recipe(steps=[*RECIPE.steps, WORDS]), **folder)
    bp.export(run, tmp_path / "baked")
    bp.export(run, tmp_path / "masked", "masked")
    bp.export(tmp_path / "masked", tmp_path / "later")
    bp.export(tmp_path / "masked", tmp_path / "again", "masked")
    assert everything(tmp_path / "later") == everything(tmp_path / "baked")
    assert everything(tmp_path / "again") == everything(tmp_path / "masked")


def test_a_folder_is_not_overwritten_by_its_own_baked_form(tmp_path: Path, pruned: Callable[..., Any]) -> None:
    bp.export(pruned(), tmp_path / "masked", "masked")
    before = everything(tmp_path / "masked")
    with pytest.raises(bp.BertpruneError, match="contains the source checkpoint"):
        bp.export(tmp_path / "masked", tmp_path / "masked", overwrite=True)
    assert everything(tmp_path / "masked") == before


def test_a_method_that_is_not_registered_keeps_its_name(
    pruned: Callable[..., Any], tmp_path: Path, temporary_methods: dict[str, Any]
) -> None:
    @bp.method("from_afar")
    def from_afar(weight: torch.Tensor) -> torch.Tensor:
        """Keep the largest."""
        return weight

    run = pruned(bp.Step(method="from_afar", fraction=0.2, select="*attention.self.key"))
    bp.export(run, tmp_path / "masked", "masked")
    expected = hooks_of(run.model)
    del temporary_methods["from_afar"]
    model = bp.load(tmp_path / "masked")
    assert hooks_of(model) == expected
    assert hooks_of(model)[0].name == "FromAfar"


def own_rule(weight: torch.Tensor, *, power: float = 2.0) -> torch.Tensor:
    """Score by a power."""
    return weight.abs() ** power


@pytest.mark.parametrize("options", [{"power": 3.0}, {}])
def test_masks_of_a_replaced_method_open_where_it_is_not_registered(
    pruned: Callable[..., Any], tmp_path: Path, temporary_methods: dict[str, Any], options: Any
) -> None:
    built_in = temporary_methods["l1_unstructured"]
    bp.method("l1_unstructured", replace=True)(own_rule)
    run = pruned(bp.Step(method="l1_unstructured", fraction=0.5, options=options, select="*key"))
    bp.export(run, tmp_path / "masked", "masked")
    given, after = run.model, run.after
    temporary_methods["l1_unstructured"] = built_in
    HOOK_MAKERS.update(TORCH_METHODS)

    checkpoint = bp.Checkpoint.open(tmp_path / "masked")
    said = "Masks were made by the method l1_unstructured, defined in "
    assert [note for note in checkpoint.facts.notes if note.startswith(said)]
    back = checkpoint.load()
    same_state(given, back)
    assert hooks_of(back) == after.hooks
    assert not any(
        isinstance(hook, prune.L1Unstructured) for hook in back.get_submodule(KEY)._forward_pre_hooks.values()
    )
    further = bp.prune(checkpoint, bp.Step(method="l1_unstructured", fraction=0.5, select="*key"))
    bp.export(further, tmp_path / "further", "masked")
    assert hooks_of(bp.load(tmp_path / "further")) == further.after.hooks


@pytest.mark.parametrize("model_cls", ["BertForMaskedLM", "RobertaForMaskedLM", "AlbertForMaskedLM"])
def test_a_bias_that_the_head_ties_comes_back_under_its_mask(back: Callable[..., Any], model_cls: str) -> None:
    step = bp.Step(method="random_unstructured", fraction=0.3, select=bp.Selection(include="*decoder", tensor="bias"))
    run, model = back(step, model_cls=model_cls)
    same_state(run.model, model)

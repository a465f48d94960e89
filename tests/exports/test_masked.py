"""The masked form: hooks, masks and history come back, and work goes on as if nothing had happened."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn.utils import prune

import bertprune as bp
from bertprune.exports.write import export_folder

from .conftest import RECIPE, WORDS
from .test_baked import INPUT, bits, everything, outputs

KEY = "bert.encoder.layer.0.attention.self.key"
FURTHER = bp.Step(method="random_unstructured", fraction=0.5, select=bp.Selection(types=["Linear"]))


@pytest.fixture
def back(tmp_path: Path, pruned: Callable[..., Any]) -> Callable[..., Any]:
    """Give a function that prunes, exports masked and loads: (…) -> (run, loaded model)."""

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


@pytest.mark.parametrize("model_cls", ["BertForSequenceClassification", "BertForMaskedLM", "DistilBertModel"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.usefixtures("unchanged_randomness")
def test_everything_comes_back(back: Callable[..., Any], model_cls: str, dtype: str) -> None:
    recipe = bp.Recipe(steps=[*RECIPE.steps, WORDS]) if model_cls.startswith("Bert") else bp.Recipe(steps=[WORDS])
    run, model = back(recipe, model_cls=model_cls, dtype=dtype)
    same_state(run.model, model)
    assert bp.snapshot(model) == bp.snapshot(run.model)
    assert bp.sparsity(model) == run.report
    assert type(model) is type(run.model) and not model.training
    assert bits(outputs(model)) == bits(outputs(run.model))


def test_hooks_are_torchs_own_where_they_were(back: Callable[..., Any]) -> None:
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


def test_masks_of_another_dtype_come_back_in_it(tmp_path: Path, tiny_folder: Callable[..., Path]) -> None:
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


def test_training_goes_on_the_same(back: Callable[..., Any]) -> None:
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


def test_pruning_goes_on_the_same(back: Callable[..., Any]) -> None:
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
    with pytest.raises(bp.BertpruneError, match=r"bp\.load"):
        bp.Checkpoint.open(tmp_path / "masked")


@pytest.mark.parametrize(
    "folder", [{}, {"dtype": "float16"}, {"model_cls": "BertForMaskedLM"}], ids=["classifier", "half", "tied"]
)
def test_baking_it_later_gives_the_same_bytes(tmp_path: Path, pruned: Callable[..., Any], folder: Any) -> None:
    run = pruned(bp.Recipe(steps=[*RECIPE.steps, WORDS]), **folder)
    bp.export(run, tmp_path / "baked")
    bp.export(run, tmp_path / "masked", "masked")
    export_folder(tmp_path / "masked", tmp_path / "later")
    export_folder(tmp_path / "masked", tmp_path / "again", "masked")
    assert everything(tmp_path / "later") == everything(tmp_path / "baked")
    assert everything(tmp_path / "again") == everything(tmp_path / "masked")


def test_a_folder_is_not_baked_onto_itself(tmp_path: Path, pruned: Callable[..., Any]) -> None:
    bp.export(pruned(), tmp_path / "masked", "masked")
    before = everything(tmp_path / "masked")
    with pytest.raises(bp.BertpruneError, match="holds the source checkpoint"):
        export_folder(tmp_path / "masked", tmp_path / "masked", overwrite=True)
    assert everything(tmp_path / "masked") == before


def test_a_method_that_is_not_here_leaves_its_name(back: Callable[..., Any]) -> None:
    from bertprune.pruning.methods import registry

    @bp.method("from_afar")
    def from_afar(weight: torch.Tensor) -> torch.Tensor:
        """Keep the largest."""
        return weight

    try:
        run, model = back(bp.Step(method="from_afar", fraction=0.2, select="*attention.self.key"))
    finally:
        del registry._REGISTER["from_afar"]
    assert hooks_of(model) == hooks_of(run.model)
    assert hooks_of(model)[0].name == "FromAfar"


# --- folders from strangers


LACKS = f"lacks '{KEY}.weight'"
MISFIT = "does not fit its tensor"
APART = "do not agree about"
BEYOND = "steps that recipe.yaml does not have"


def _edit(name: str, change: Callable[[Any], Any]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        data = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(change(data)))

    return edit


def _tensors(change: Callable[[dict[str, torch.Tensor]], Any]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        tensors = load_file(folder / "masked.safetensors")
        change(tensors)
        save_file(tensors, folder / "masked.safetensors", metadata={"format": "pt"})

    return edit


def _set(name: str, value: torch.Tensor) -> Callable[[Path], None]:
    return _tensors(lambda tensors: tensors.update({KEY + name: value}))


def _drop(name: str) -> Callable[[Path], None]:
    return _tensors(lambda tensors: tensors.pop(KEY + name))


def _text(name: str, text: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_text(text) and None


def _history(value: Any) -> Callable[[Path], None]:
    return _edit("report.json", lambda report: {**report, "history": {**report["history"], KEY + ".weight": value}})


WRONG: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no report": (lambda folder: (folder / "report.json").unlink(), "report.json cannot be read"),
    "no recipe": (lambda folder: (folder / "recipe.yaml").unlink(), "recipe.yaml: cannot be read"),
    "no config": (lambda folder: (folder / "config.json").unlink(), "no config.json"),
    "broken report": (_text("report.json", "{"), "report.json is not JSON"),
    "list report": (_text("report.json", "[]"), "one JSON object is expected"),
    "broken recipe": (_text("recipe.yaml", "steps: 3"), "recipe.yaml: "),
    "no history": (
        _edit("report.json", lambda r: {k: v for k, v in r.items() if k != "history"}),
        "do not agree about",
    ),
    "history is text": (_edit("report.json", lambda r: {**r, "history": "x"}), APART),
    "steps beyond": (_history([9]), BEYOND),
    "negative steps": (_history([-1]), BEYOND),
    "true steps": (_history([True]), BEYOND),
    "no steps": (_history([]), BEYOND),
    "steps are text": (_history("0"), BEYOND),
    "not safetensors": (_text("masked.safetensors", "x" * 100), "masked.safetensors"),
    "no mask": (
        _drop(".weight_mask"),
        LACKS,
    ),
    "no values": (
        _drop(".weight_orig"),
        LACKS,
    ),
    "other shape": (
        _set(".weight_mask", torch.ones(2).bool()),
        "does not fit its tensor",
    ),
    "float mask": (_set(".weight_mask", torch.ones(32, 32)), MISFIT),
    "twice": (_set(".weight", torch.ones(32, 32)), "with a mask and without"),
    "one more mask": (
        _tensors(lambda t: t.update({"x_orig": torch.ones(2), "x_mask": torch.ones(2).bool()})),
        "do not agree about 'x'",
    ),
    "no tensors": (_tensors(lambda t: [t.pop(name) for name in list(t) if "layer.0" in name]), "lacks"),
}


@pytest.fixture(scope="module")
def masked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.conftest import make_model

    folder = tmp_path_factory.mktemp("strangers")
    make_model("BertForSequenceClassification").save_pretrained(folder / "source")
    bp.export(bp.prune(folder / "source", RECIPE), folder / "masked", "masked")
    return folder / "masked"


@pytest.mark.parametrize("case", WRONG)
def test_a_folder_that_lies_is_refused_in_one_line(masked: Path, tmp_path: Path, case: str) -> None:
    spoil, words = WRONG[case]
    shutil.copytree(masked, tmp_path / "lying")
    spoil(tmp_path / "lying")
    with pytest.raises(bp.BertpruneError) as caught:
        bp.load(tmp_path / "lying")
    said = str(caught.value)
    assert words in said and "\n" not in said and str(tmp_path) not in said


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda r: {**r, "seed": "0"}, "report.json has no seed"),
        (lambda r: {**r, "source": 3}, "does not say what the source was"),
        (lambda r: {**r, "source": {**r["source"], "more": 1}}, "does not say what the source was"),
        (lambda r: {**r, "source": {**r["source"], "name": 1}}, "something that is no text"),
    ],
)
def test_nor_is_it_baked(masked: Path, tmp_path: Path, change: Any, words: str) -> None:
    shutil.copytree(masked, tmp_path / "lying")
    _edit("report.json", change)(tmp_path / "lying")
    with pytest.raises(bp.BertpruneError, match=words):
        export_folder(tmp_path / "lying", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(bp.BertpruneError, match="does not exist here"):
        bp.load(tmp_path / "nowhere")

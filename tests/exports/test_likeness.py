"""An export keeps tensors and the names of labels: a model that was changed otherwise is refused, and no other is."""

import copy
import json
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

import bertprune as bp
from tests.tiny_models import make_model

from .conftest import KEY
from .test_baked import INPUT, bits, outputs

HALF = bp.Step(method="l1_unstructured", fraction=0.5, select="*attention.self.key")


class Scaled(nn.Linear):
    """A layer with the same tensors that computes something else."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scale."""
        return 3 * super().forward(x)


def replace(path: str, new: Callable[[], nn.Module]) -> Callable[[Any], None]:
    return lambda model: model.set_submodule(path, new())


def setting(path: str, name: str, value: Any) -> Callable[[Any], None]:
    return lambda model: setattr(model.get_submodule(path), name, value)


def to_config(name: str, value: Any) -> Callable[[Any], None]:
    return lambda model: setattr(model.config, name, value)


def quantise(model: Any) -> None:
    part = model.bert.encoder.layer[0].intermediate
    model.bert.encoder.layer[0].intermediate = torch.ao.quantization.quantize_dynamic(part, {nn.Linear}, torch.qint8)


def fewer_layers(model: Any) -> None:
    model.bert.encoder.layer = model.bert.encoder.layer[:1]


ATTENTION = "bert.encoder.layer.0.attention.self"
REFUSED: dict[str, tuple[Callable[[Any], Any], str, str]] = {
    "an activation": (
        replace("bert.encoder.layer.0.intermediate.intermediate_act_fn", nn.ReLU), "exports.other_module", "a ReLU",
    ),
    "a layer of another class": (replace("classifier", lambda: Scaled(32, 2)), "exports.other_module", "a Scaled"),
    "quantised": (quantise, "exports.other_module", "torch.ao.nn.quantized"),
    "an epsilon": (setting("bert.embeddings.LayerNorm", "eps", 0.5), "exports.other_setting", "LayerNorm.eps is 0.5"),
    "a scale": (setting(ATTENTION, "scaling", 9.0), "exports.other_setting", "self.scaling is 9.0"),
    "a forward": (setting(KEY, "forward", lambda x: x), "exports.other_setting", "key.forward is"),
    "an unsaved buffer": (
        lambda model: model.bert.embeddings.position_ids.add_(1), "exports.other_setting", "position_ids is tensor(",
    ),
    "an adapter": (
        replace("classifier", lambda: type("Linear", (nn.Linear,), {"__module__": "peft.tuners.lora"})(32, 2)),
        "selection.adapter", "model = model.merge_and_unload()",
    ),
    "a forward hook": (
        lambda model: model.classifier.register_forward_hook(lambda module, given, found: found * 2),
        "exports.foreign_hook", "classifier has the forward hook",
    ),
    "a hook that only looks on": (
        lambda model: model.classifier.register_forward_hook(lambda module, given, found: None),
        "exports.foreign_hook", "call remove() on what register_forward_hook",
    ),
    "a hook before": (
        lambda model: model.register_forward_pre_hook(partial(lambda a, module, given: given, 1)),
        "exports.foreign_hook", "the model has the forward hook",
    ),
    "no pruning hook": (
        lambda model: model.get_submodule(KEY)._forward_pre_hooks.clear(), "exports.no_hook", "but no pruning hook",
    ),
    "a compiled forward": (
        lambda model: setattr(model, "forward", torch.compile(model.forward, backend="eager")),
        "exports.other_setting", "(another function of that name)",
    ),
    "parametrized": (
        lambda model: weight_norm(model.classifier), "exports.parametrized", "remove_parametrizations first",
    ),
    "a layer more": (
        lambda model: model.add_module("extra", nn.Linear(3, 3)), "exports.added", "has extra.bias, which tiny-0",
    ),
    "a part without tensors more": (
        lambda model: model.classifier.add_module("extra", nn.Tanh()), "exports.added", "classifier.extra",
    ),
    "a layer less": (fewer_layers, "exports.removed", "the model lacks bert.encoder.layer.1."),
    "an activation in the config": (to_config("hidden_act", "relu"), "exports.other_config", "config.hidden_act"),
    "another number of labels": (
        to_config("id2label", {0: "a", 1: "b", 2: "c"}), "exports.other_config", "config.id2label",
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
@pytest.mark.filterwarnings("ignore:.*torch.ao.quantization")
def test_what_no_folder_could_hold_is_refused(
    tmp_path: Path, pruned: Callable[..., Any], subtests: pytest.Subtests
) -> None:
    run = pruned(HALF)
    for case, (change, code, words) in REFUSED.items():
        with subtests.test(case):
            run.release()
            with torch.no_grad():
                change(run.model)
            for source, options in ((run, {}), (run.model, {"like": run.checkpoint})):
                with pytest.raises(bp.BertpruneError) as caught:
                    bp.export(source, tmp_path / "out", **options)
                assert caught.value.code == code and words in str(caught.value) and "\n" not in str(caught.value)
            assert not (tmp_path / "out").exists()


def checkpointed(model: Any) -> None:
    model.train()
    model.activation_checkpointing_enable()
    model.enable_input_require_grads()
    model(input_ids=INPUT, labels=torch.tensor([0, 1])).loss.backward()


def captured(model: Any) -> None:
    model(input_ids=INPUT, output_hidden_states=True)
    model.config.output_hidden_states = model.config.use_cache = True


def no_dropout(model: Any) -> None:
    model.bert.embeddings.dropout = nn.Identity()
    model.classifier.dropout = None
    model.dropout.p = 0.5
    model.config.hidden_dropout_prob = 0.3


HARMLESS: dict[str, Callable[[Any], Any]] = {
    "training": nn.Module.train,
    "frozen": lambda model: model.requires_grad_(False),
    "checkpointed and trained": checkpointed,
    "another attention": lambda model: model.set_attn_implementation("eager"),
    "captured outputs": captured,
    "no dropout": no_dropout,
    "compiled in place": nn.Module.compile,
    "a note": lambda model: setattr(model, "note", object()),
    "moved": lambda model: model.double(),
}


def test_what_changes_nothing_but_how_a_model_runs_is_exported(
    tmp_path: Path, pruned: Callable[..., Any], subtests: pytest.Subtests
) -> None:
    run = pruned(HALF)
    before = bp.export(run, tmp_path / "before").path / "model.safetensors"
    for case, change in HARMLESS.items():
        with subtests.test(case):
            run.release()
            with torch.random.fork_rng(devices=[]):
                change(run.model)
            after = bp.export(run, tmp_path / case)
            assert before.read_bytes() == (after.path / "model.safetensors").read_bytes()
            copied = bp.export(copy.deepcopy(bp.bake(run.model)), tmp_path / f"{case}, copied", like=run.checkpoint)
            assert before.read_bytes() == (copied.path / "model.safetensors").read_bytes()


def test_a_model_that_changes_its_attention_by_itself_is_exported(
    tmp_path: Path, tiny_folder: Callable[..., Path]
) -> None:
    run = bp.prune(tiny_folder(model_cls="BigBirdModel"), HALF)
    expected = bits(outputs(run.model))
    bp.export(run, tmp_path / "out")
    assert bits(outputs(bp.load(tmp_path / "out"))) == expected


def test_names_of_labels_go_along_and_are_reported(tmp_path: Path, pruned: Callable[..., Any]) -> None:
    run = pruned(HALF)
    names = {0: "bad", 1: "good"}
    run.model.config.id2label, run.model.config.label2id = names, {name: at for at, name in names.items()}
    for form in ("baked", "masked"):
        written = bp.export(run, tmp_path / form, form)
        assert written.config == ("id2label", "label2id")
        assert "`config.json` were set in the model: id2label, label2id" in (tmp_path / form / "README.md").read_text()
        assert json.loads((tmp_path / form / "report.json").read_text())["config"] == ["id2label", "label2id"]
        assert bp.load(tmp_path / form).config.id2label == names
    plain = transformers.AutoConfig.from_pretrained(tmp_path / "baked")
    assert plain.id2label == names and run.checkpoint.config.id2label != names


def shared_module_weight(model: Any) -> None:
    layers = model.bert.encoder.layer
    layers[1].attention.self.query.weight = layers[0].attention.self.query.weight


def shared_storage(model: Any) -> None:
    layers = model.bert.encoder.layer
    layers[1].attention.self.query.weight = nn.Parameter(layers[0].attention.self.query.weight.data)


def slices(model: Any) -> None:
    fused, inner = torch.randn(96, 32), model.bert.encoder.layer[0].attention.self
    for at, name in enumerate(("query", "key", "value")):
        inner.get_submodule(name).weight = nn.Parameter(fused[32 * at : 32 * at + 32])


def tied_by_hand(model: Any) -> None:
    model.cls.predictions.decoder.weight = model.bert.embeddings.word_embeddings.weight


def masks_of_one_storage(model: Any) -> None:
    shared_module_weight(model)
    bp.apply(model, bp.Step(method="l1_unstructured", fraction=0.5, select="*layer.0.attention.self.query"))


SHARED = [shared_module_weight, shared_storage, slices, tied_by_hand, masks_of_one_storage]


def test_tensors_of_one_storage_are_each_written(
    tmp_path: Path, tiny_folder: Callable[..., Path], subtests: pytest.Subtests
) -> None:
    source = tiny_folder(model_cls="BertForMaskedLM", tie_word_embeddings=False)
    for share, form in product(SHARED, ["baked", "masked"]):
        with subtests.test(f"{share.__name__}, {form}"):
            model = make_model("BertForMaskedLM", tie_word_embeddings=False)
            with torch.random.fork_rng(devices=[]):
                share(model)
            bp.export(model, tmp_path / form, form, like=source, overwrite=True)
            assert bits(outputs(bp.load(tmp_path / form))) == bits(outputs(model))

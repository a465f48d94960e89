"""What an open checkpoint says of itself: facts, dtypes, ties, missing tensors."""

import warnings
from itertools import product

import pytest
import torch
import transformers
from checkpoint_files import alike, store, stored

import bertprune as bp
from bertprune.errors import MissingTensorsWarning
from bertprune.seeded import Seeded

CLASSES = [
    "BertModel",
    "BertForMaskedLM",
    "BertForPreTraining",
    "BertForSequenceClassification",
    "RobertaForMaskedLM",
    "XLMRobertaForSequenceClassification",
    "DistilBertForMaskedLM",
    "ElectraForMaskedLM",
]


def names_and_ties(model: torch.nn.Module) -> list[tuple[str, tuple[int, ...], int]]:
    first: dict[int, int] = {}
    tensors = model.state_dict(keep_vars=True).items()
    return [(name, tuple(value.shape), first.setdefault(id(value), len(first))) for name, value in tensors]


def test_each_class_is_built_as_transformers_builds_it(tiny_folder, subtests):
    for model_cls in CLASSES:
        with subtests.test(model_cls):
            folder = tiny_folder(model_cls)
            theirs = getattr(transformers, model_cls).from_pretrained(folder)
            checkpoint = bp.Checkpoint.open(folder)
            ours = checkpoint.load()
            assert type(ours) is type(checkpoint.skeleton()) is type(theirs)
            assert alike(ours, theirs)
            assert names_and_ties(checkpoint.skeleton()) == names_and_ties(ours) == names_and_ties(theirs)
            assert all(
                tensor.is_meta for tensor in [*checkpoint.skeleton().parameters(), *checkpoint.skeleton().buffers()]
            )
            assert not ours.training
            assert not checkpoint.missing


def test_facts_say_what_is_stored(tiny_folder, tiny_mlm):
    folder = tiny_folder("BertForMaskedLM", dtype="bfloat16")
    facts = bp.Checkpoint.open(folder).facts
    assert (facts.architecture, facts.model_type, facts.dtype) == ("BertForMaskedLM", "bert", "bfloat16")
    assert facts.parameters == sum(parameter.numel() for parameter in tiny_mlm.parameters())
    assert facts.files == ("model.safetensors",)
    assert facts.bytes == (folder / "model.safetensors").stat().st_size
    assert {fact.name: fact.shape for fact in facts.tensors} == {
        name: tuple(tensor.shape) for name, tensor in stored(folder).items()
    }


def test_half_precision_is_computed_in_float32_and_recorded(tiny_folder, subtests):
    for dtype in ["float16", "bfloat16"]:
        with subtests.test(dtype):
            folder = tiny_folder("BertForMaskedLM", dtype=dtype)
            checkpoint = bp.Checkpoint.open(folder)
            model = checkpoint.load()
            assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
            assert {checkpoint.source_dtype(name) for name, _ in model.named_parameters()} == {dtype}
            key = "bert.embeddings.word_embeddings.weight"
            assert torch.equal(model.get_parameter(key), stored(folder)[key].float())


def test_integers_stay_integers(tiny_folder):
    folder = tiny_folder("BertModel")
    tensors = stored(folder)
    key = "encoder.layer.0.attention.self.key.weight"
    tensors[key] = torch.ones(32, 32, dtype=torch.int8)
    store(folder, tensors)
    checkpoint = bp.Checkpoint.open(folder)
    assert {fact.name: fact.dtype for fact in checkpoint.facts.tensors}[key] == "int8"
    assert checkpoint.skeleton().get_parameter(key).dtype == torch.int8
    assert torch.equal(checkpoint.load().get_parameter(key), tensors[key])
    assert checkpoint.source_dtype(key) == "int8"


def test_old_names_and_prefixes_are_understood(tiny_folder):
    folder = tiny_folder("BertModel")
    old = {
        f"bert.{name}".replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): value
        for name, value in stored(folder).items()
    }
    store(folder, {**old, "cls.seq_relationship.bias": torch.zeros(2)})
    checkpoint = bp.Checkpoint.open(folder)
    assert not checkpoint.missing
    assert "cls.seq_relationship.bias" in " ".join(checkpoint.facts.notes)
    assert alike(checkpoint.load(), bp.Checkpoint.open(tiny_folder("BertModel")).load())


def test_a_decoder_stored_apart_is_tied_only_if_it_is_equal(tiny_folder, subtests):
    for equal, pickle in product([True, False], repeat=2):
        with subtests.test(f"equal: {equal}, pickled: {pickle}"):
            folder = tiny_folder("BertForMaskedLM")
            tensors = stored(folder)
            words = tensors["bert.embeddings.word_embeddings.weight"]
            tensors["cls.predictions.decoder.weight"] = words.clone() if equal else words + 1
            store(folder, tensors)
            if pickle:
                torch.save(tensors, folder / "pytorch_model.bin")
                (folder / "model.safetensors").unlink()
            checkpoint = bp.Checkpoint.open(folder)
            for model in (checkpoint.skeleton(), checkpoint.load(), checkpoint.model()):
                tied = model.get_parameter("cls.predictions.decoder.weight")
                assert (tied is model.get_parameter("bert.embeddings.word_embeddings.weight")) is equal
            assert names_and_ties(checkpoint.skeleton()) == names_and_ties(checkpoint.load())
            assert any("not tied" in note for note in checkpoint.facts.notes) is not equal


def test_missing_tensors_are_named_and_come_from_the_seed(tiny_folder):
    folder = tiny_folder("BertForSequenceClassification")
    tensors = stored(folder)
    lost = {"classifier.weight", "classifier.bias", "bert.pooler.dense.weight"}
    store(folder, {name: value for name, value in tensors.items() if name not in lost})
    with pytest.warns(MissingTensorsWarning, match=r"lacks 3 tensors .*bert\.pooler\.dense\.weight") as caught:
        checkpoint = bp.Checkpoint.open(folder)
    assert len(caught) == 1
    assert checkpoint.missing == lost
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        zero, again, one = checkpoint.load(0), checkpoint.load(0), checkpoint.load(1)
        shared = checkpoint.model(1)
        back = checkpoint.model(0)
    assert alike(zero, again)
    assert alike(one, shared)
    assert alike(zero, back)
    differs = {name for name, value in one.state_dict().items() if not torch.equal(value, zero.state_dict()[name])}
    assert differs == lost - {"classifier.bias"}  # a fresh bias is zero under every seed
    assert zero.classifier.weight.std().item() == pytest.approx(0.02, rel=0.5)


def test_what_is_missing_is_what_transformers_finds_missing(tiny_folder):
    folder = tiny_folder("BertForPreTraining")
    tensors = stored(folder)
    store(folder, {name: tensors[name] for name in sorted(tensors)[::2]})
    with Seeded(0):
        _, info = transformers.BertForPreTraining.from_pretrained(folder, output_loading_info=True)
    with pytest.warns(MissingTensorsWarning):
        assert bp.Checkpoint.open(folder).missing == frozenset(info["missing_keys"])

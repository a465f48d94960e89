"""Roles and layers are known in the listed families, with and without heads, and in nothing else."""

import pytest
import torch
from torch import nn

import bertprune as bp
from bertprune.errors import SelectionError
from bertprune.model.families import Place, base_prefix, places

from .tiny_families import T5, build

IN_A_LAYER = [
    "attention.key",
    "attention.output",
    "attention.query",
    "attention.value",
    "ffn.intermediate",
    "ffn.output",
]


def with_role(model: nn.Module) -> dict[str, Place]:
    return {path: place for path, place in places(model).items() if place.role not in (None, "head")}


def test_every_layer_has_each_role_once_on_a_matrix_of_the_right_shape(tiny, subtests):
    for name in ["Bert", "Roberta", "DistilBert", "Electra", "Camembert", "XLMRoberta"]:
        with subtests.test(name):
            model = tiny(f"{name}Model")
            known = with_role(model)
            for layer in (0, 1):
                assert sorted(place.role for place in known.values() if place.layer == layer) == IN_A_LAYER
            shapes = {"ffn.intermediate": (64, 32), "ffn.output": (32, 64)}
            for path, place in known.items():
                part = place.role.partition(".")[2]
                if place.layer is not None:
                    assert tuple(model.get_submodule(path).weight.shape) == shapes.get(place.role, (32, 32))
                if part in ("query", "key", "value"):
                    assert path.rpartition(".")[2][0] == part[0]  # `query` in most families, `q_lin` in DistilBERT
            assert (base_prefix(model), "" in places(model)) == ("", False)


def test_every_embedding_has_its_role(tiny, subtests):
    for name in ["Bert", "DistilBert", "Electra"]:
        with subtests.test(name):
            model = tiny(f"{name}Model")
            rows = {
                place.role: model.get_submodule(path).num_embeddings
                for path, place in with_role(model).items()
                if place.role.startswith("embeddings.")
            }
            token_types = {} if name == "DistilBert" else {"embeddings.token_type": 2}
            assert rows == {"embeddings.word": 97, "embeddings.position": 32} | token_types


TASKS = [
    ("BertForSequenceClassification", "bert.", {"classifier"}),
    ("BertForMaskedLM", "bert.", {"cls.predictions.transform.dense", "cls.predictions.decoder"}),
    ("XLMRobertaForTokenClassification", "roberta.", {"classifier"}),
    ("DistilBertForSequenceClassification", "distilbert.", {"pre_classifier", "classifier"}),
    ("ElectraForMaskedLM", "electra.", {"generator_lm_head", "generator_predictions.dense"}),
]


def test_task_models_have_the_same_roles_behind_a_prefix_and_a_head(tiny, subtests):
    for name, prefix, heads in TASKS:
        with subtests.test(name):
            model, base = tiny(name), tiny(f"{name.partition('For')[0]}Model")
            inside = {path.removeprefix(prefix): place for path, place in with_role(model).items()}
            assert {path: place for path, place in with_role(base).items() if place.role != "pooler"} == {
                path: place for path, place in inside.items() if place.role != "pooler"
            }
            assert ("pooler.dense" in inside) == (name == "BertForSequenceClassification")
            assert base_prefix(model) == prefix
            outside = {path for path, _ in model.named_modules() if path and not f"{path}.".startswith(prefix)}
            assert {path for path, place in places(model).items() if place.role == "head"} == outside >= heads


def test_containers_and_layer_norms_keep_their_layer_without_a_role(tiny):
    where = places(tiny("BertModel"))
    assert where["encoder.layer.1"] == Place("bert", 1, None)
    assert where["encoder.layer.1.output.LayerNorm"] == Place("bert", 1, None)
    assert where["encoder.layer"] == Place("bert", None, None)
    assert where["embeddings.LayerNorm"] == Place("bert", None, None)
    assert where["pooler.dense"] == Place("bert", None, "pooler")


def test_electras_projection_belongs_to_the_base_model_but_has_no_role(tiny):
    where = places(tiny("ElectraForMaskedLM", embedding_size=16))
    assert where["electra.embeddings_project"] == Place("electra", None, None)


def test_cross_attention_counts_as_attention(tiny):
    where = places(tiny("BertForMaskedLM", is_decoder=True, add_cross_attention=True))
    assert where["bert.encoder.layer.1.crossattention.self.key"] == Place("bert", 1, "attention.key")


def test_weights_are_not_needed_and_no_random_number_is_drawn(tiny):
    model = tiny("BertModel")
    state = torch.get_rng_state()
    assert places(model) == places(tiny("BertModel", device="meta"))
    assert torch.equal(state, torch.get_rng_state())


class Wrapper(nn.Module):
    def __init__(self, **parts: nn.Module) -> None:
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)


def test_a_custom_model_around_one_encoder_works(tiny):
    model = Wrapper(encoder=tiny("BertModel"), classifier=nn.Linear(32, 2))
    assert base_prefix(model) == "encoder."
    assert places(model)["encoder.encoder.layer.0.output.dense"] == Place("bert", 0, "ffn.output")
    assert places(model)["classifier"] == Place("bert", None, "head")
    inner = Wrapper(inner=tiny("BertForMaskedLM"))
    assert base_prefix(inner) == "inner.bert."
    assert places(inner)["inner"] == Place("bert", None, None)
    assert places(inner)["inner.cls"].role == "head"


def test_unknown_models_have_no_places(tiny):
    lookalike = nn.ModuleDict({"encoder": nn.ModuleDict({"layer": nn.ModuleList([nn.Linear(2, 2)])})})
    two = Wrapper(question=tiny("BertModel"), passage=tiny("BertModel"))
    fnet = tiny("FNetModel")
    for model in (lookalike, two, fnet):
        assert places(model) == {}
        assert base_prefix(model) == ""


def test_roles_are_found_in_a_wrapper_and_prune_what_it_wraps(tiny):
    model = tiny("BertForSequenceClassification")
    wrapped, inputs = nn.DataParallel(model), torch.tensor([[2, 7, 11]])
    key = bp.Selection(roles="attention.key", layers=[1])
    bp.apply(wrapped, bp.Step(method="l1_unstructured", fraction=0.5, select=key))
    assert int(model.bert.encoder.layer[1].attention.self.key.weight_mask.sum()) == 512
    assert torch.equal(wrapped(inputs)[0], model(inputs)[0])


def test_a_wrapper_that_passes_questions_on_is_not_taken_for_the_model(tiny):
    """Such as the one that `torch.compile` makes."""

    class Passing(Wrapper):
        def __getattr__(self, name):
            return super().__getattr__(name) if name == "_orig_mod" else getattr(self._orig_mod, name)

    wrapped = Passing(_orig_mod=tiny("BertForMaskedLM"))
    assert base_prefix(wrapped) == "_orig_mod.bert."
    assert places(wrapped)["_orig_mod.bert.encoder.layer.1.output.dense"] == Place("bert", 1, "ffn.output")


def test_an_adapter_has_to_be_merged_first(tiny):
    model = tiny("BertModel")
    query = model.encoder.layer[0].attention.self.query
    model.encoder.layer[0].attention.self.query = type("Linear", (Wrapper,), {"__module__": "peft.tuners.lora"})(
        base_layer=query
    )
    with pytest.raises(SelectionError, match="merge_and_unload"):
        bp.apply(model, bp.Step(method="l1_unstructured", fraction=0.5))


def test_a_model_with_a_decoder_has_no_places(subtests):
    for name in ["T5Model", "T5ForConditionalGeneration"]:
        with subtests.test(name):
            assert places(build(name, "T5Config", T5)) == {}

"""Roles and layers are told for the known families, with and without heads, and for nothing else."""

import pytest
import torch
from torch import nn

from bertprune.model.families import Place, base_prefix, places

BERT_LAYER = {
    "attention.self.query": "attention.query",
    "attention.self.key": "attention.key",
    "attention.self.value": "attention.value",
    "attention.output.dense": "attention.output",
    "intermediate.dense": "ffn.intermediate",
    "output.dense": "ffn.output",
}
DISTIL_LAYER = {
    "attention.q_lin": "attention.query",
    "attention.k_lin": "attention.key",
    "attention.v_lin": "attention.value",
    "attention.out_lin": "attention.output",
    "ffn.lin1": "ffn.intermediate",
    "ffn.lin2": "ffn.output",
}
EMBEDDINGS = {
    "embeddings.word_embeddings": "embeddings.word",
    "embeddings.position_embeddings": "embeddings.position",
    "embeddings.token_type_embeddings": "embeddings.token_type",
}


def expected(name: str) -> dict[str, tuple[int | None, str]]:
    layers, layer = ("transformer.layer", DISTIL_LAYER) if "Distil" in name else ("encoder.layer", BERT_LAYER)
    roles: dict[str, tuple[int | None, str]] = {
        f"{layers}.{number}.{part}": (number, role) for number in range(2) for part, role in layer.items()
    }
    roles |= {part: (None, role) for part, role in EMBEDDINGS.items() if "Distil" not in name or "type" not in part}
    return roles | ({"pooler.dense": (None, "pooler")} if name.startswith(("Bert", "Roberta")) else {})


def told(model: nn.Module, prefix: str = "") -> dict[str, tuple[int | None, str]]:
    return {
        path.removeprefix(prefix): (place.layer, place.role)
        for path, place in places(model).items()
        if place.role not in (None, "head")
    }


@pytest.mark.parametrize("name", ["Bert", "Roberta", "DistilBert", "Electra", "Camembert", "XLMRoberta"])
def test_every_base_model_has_all_its_roles_and_no_others(tiny, name):
    model = tiny(f"{name}Model")
    assert told(model) == expected(name.replace("Camembert", "Roberta").replace("XLMRoberta", "Roberta"))
    assert base_prefix(model) == ""
    assert "" not in places(model)


@pytest.mark.parametrize(
    ("name", "prefix", "heads"),
    [
        ("BertForSequenceClassification", "bert.", {"classifier"}),
        ("BertForMaskedLM", "bert.", {"cls.predictions.transform.dense", "cls.predictions.decoder"}),
        ("RobertaForMaskedLM", "roberta.", {"lm_head.dense", "lm_head.decoder"}),
        ("XLMRobertaForTokenClassification", "roberta.", {"classifier"}),
        ("DistilBertForSequenceClassification", "distilbert.", {"pre_classifier", "classifier"}),
        ("ElectraForPreTraining", "electra.", {"discriminator_predictions.dense_prediction"}),
        ("ElectraForMaskedLM", "electra.", {"generator_lm_head", "generator_predictions.dense"}),
    ],
)
def test_task_models_have_the_same_roles_behind_a_prefix_and_a_head(tiny, name, prefix, heads):
    model = tiny(name)
    has_pooler = name == "BertForSequenceClassification"
    assert told(model, prefix) == {k: v for k, v in expected(name).items() if k != "pooler.dense" or has_pooler}
    assert base_prefix(model) == prefix
    role = {path: place.role for path, place in places(model).items()}
    assert {role[path] for path in heads} == {"head"}
    outside = {path for path in role if not f"{path}.".startswith(prefix)}
    assert {role[path] for path in outside} == {"head"}
    assert "head" not in {role[path] for path in role if f"{path}.".startswith(prefix)}


def test_containers_and_layer_norms_keep_their_layer_without_a_role(tiny):
    where = places(tiny("BertModel"))
    assert where["encoder.layer.1"] == Place("bert", 1, None)
    assert where["encoder.layer.1.output.LayerNorm"] == Place("bert", 1, None)
    assert where["encoder.layer"] == Place("bert", None, None)
    assert where["embeddings.LayerNorm"] == Place("bert", None, None)


def test_electra_projection_belongs_to_the_base_but_has_no_role(tiny):
    where = places(tiny("ElectraForMaskedLM", embedding_size=16))
    assert where["electra.embeddings_project"] == Place("electra", None, None)


def test_cross_attention_counts_as_attention(tiny):
    where = places(tiny("BertForMaskedLM", is_decoder=True, add_cross_attention=True))
    assert where["bert.encoder.layer.1.crossattention.self.key"] == Place("bert", 1, "attention.key")


def test_weights_are_not_needed(tiny):
    assert told(tiny("BertModel", device="meta")) == expected("Bert")


class Wrapper(nn.Module):
    def __init__(self, **parts: nn.Module) -> None:
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)


def test_a_model_of_ones_own_around_one_encoder_is_understood(tiny):
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
    albert = tiny("AlbertModel", embedding_size=8)
    for model in (lookalike, two, albert, nn.Linear(2, 2)):
        assert places(model) == {}
        assert base_prefix(model) == ""


def test_looking_draws_no_random_numbers(tiny):
    model = tiny("BertModel")
    state = torch.get_rng_state()
    places(model)
    assert torch.equal(state, torch.get_rng_state())

"""Two runs side by side: the same targets on both sides, and the values that both mask."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

import bertprune as bp


def key(model: Any, layer: int = 0) -> nn.Module:
    return model.encoder.layer[layer].attention.self.key


def named(found: bp.Comparison, end: str) -> Any:
    return next(one for one in found.tensors if one.name.endswith(end))


@pytest.fixture
def pair(tiny: Callable[..., nn.Module]) -> tuple[nn.Module, nn.Module]:
    """Give two models: a quarter of one key, and half of both keys."""
    first, second = tiny("BertModel"), tiny("BertModel")
    prune.l1_unstructured(key(first), "weight", amount=0.25)
    for layer in range(2):
        prune.l1_unstructured(key(second, layer), "weight", amount=0.5)
    return first, second


def test_both_sides_are_counted_over_the_same_tensors(pair: tuple[nn.Module, nn.Module]) -> None:
    found = bp.compare(*pair)
    assert [one.name for one in found.tensors] == [f"encoder.layer.{at}.attention.self.key.weight" for at in (0, 1)]
    assert [side.size for side in found.total] == [2048, 2048]
    assert [side.masked for side in found.total] == [256, 1024]
    assert {layer: (one.masked, other.masked) for layer, (one, other) in found.by("layer").items()} == {
        0: (256, 512),
        1: (0, 512),
    }
    assert [one.difference for one in found.tensors] == [0.25, 0.5]
    assert [side.size for side in found.model] == [bp.sparsity(pair[0]).model.size] * 2


def test_what_both_mask_is_counted_value_by_value(tiny: Callable[..., nn.Module]) -> None:
    first, second, masks = tiny("BertModel"), tiny("BertModel"), []
    for seed, model in enumerate((first, second)):
        generator = torch.Generator().manual_seed(seed)
        masks.append(torch.rand(32, 32, generator=generator) < 0.5)
        prune.custom_from_mask(key(model), "weight", masks[-1])
    found = named(bp.compare(first, second), "key.weight")
    assert found.both == int((~masks[0] & ~masks[1]).sum())
    assert found.differs
    assert not named(bp.compare(first, first), "key.weight").differs


def test_masks_of_one_size_may_still_differ(tiny: Callable[..., nn.Module]) -> None:
    first, second = tiny("BertModel"), tiny("BertModel")
    for model, start in ((first, 0), (second, 16)):
        mask = torch.ones(32, 32)
        mask[start : start + 8] = 0
        prune.custom_from_mask(key(model), "weight", mask)
    one = named(bp.compare(first, second), "key.weight")
    assert (one.first.masked, one.second.masked, one.both, one.differs) == (256, 256, 0, True)


def test_runs_reports_and_models_compare_alike(pair: tuple[nn.Module, nn.Module]) -> None:
    runs = [
        bp.prune("demo", bp.Step(method="random_unstructured", fraction=0.5, select=["*layer.0*key"]), seed=seed)
        for seed in (0, 1)
    ]
    by_run, by_model = bp.compare(*runs), bp.compare(*(run.model for run in runs))
    assert by_run.to_dict() == by_model.to_dict()
    weight = named(by_run, "key.weight")
    assert 0 < weight.both < weight.first.masked
    alone = bp.compare(*(run.report for run in runs))
    assert named(alone, "key.weight").both is None
    assert alone.total == by_run.total
    assert bp.compare(runs[0], runs[0].report).total[0] == runs[0].report.total


def test_a_mask_that_is_not_the_only_one_is_not_counted(tiny: Callable[..., nn.Module]) -> None:
    tied = tiny("BertForMaskedLM")
    prune.l1_unstructured(tied.cls.predictions.decoder, "weight", amount=0.5)  # its other owner keeps every value
    found = bp.compare(tied, tied)
    words = named(found, "word_embeddings.weight")
    assert (words.first.masked, words.both, words.differs) == (0, 0, False)
    prune.l1_unstructured(tied.bert.embeddings.word_embeddings, "weight", amount=0.7)
    assert named(bp.compare(tied, tied), "word_embeddings.weight").both is None


def test_a_tensor_of_one_side_has_no_count_on_the_other(tiny: Callable[..., nn.Module]) -> None:
    shallow, deep = tiny("BertModel", num_hidden_layers=1), tiny("BertModel")
    for layer in range(2):
        prune.l1_unstructured(key(deep, layer), "weight", amount=0.5)
    found = bp.compare(shallow, deep)
    lonely = named(found, "layer.1.attention.self.key.weight")
    assert (lonely.first, lonely.both, lonely.differs) == (None, None, True)
    assert found.by("layer")[1][0].size == 0
    with pytest.raises(bp.BertpruneError, match="no tensor in common"):
        bp.compare(shallow, nn.Sequential(nn.Linear(2, 2)))
    with pytest.raises(bp.BertpruneError, match=r"^embeddings\.\S+ has the shapes \(97, 32\) and \(90, 32\); "):
        bp.compare(shallow, tiny("BertModel", vocab_size=90))
    with pytest.raises(bp.BertpruneError) as caught:
        bp.compare(tiny("BertForMaskedLM"), tiny("BertForSequenceClassification"))
    assert caught.value.code == "report.other_architecture"


def test_it_is_plain_data(pair: tuple[nn.Module, nn.Module]) -> None:
    found = json.loads(json.dumps(bp.compare(*pair).to_dict(), allow_nan=False))
    assert set(found) == {"total", "model", "layers", "roles", "tensors"}
    assert found["layers"][1]["difference"] == 0.5
    assert found["tensors"][0]["both"] == 256
    assert found["tensors"][0]["differs"] is True


def test_without_masks_there_are_no_targets(tiny: Callable[..., nn.Module]) -> None:
    found = bp.compare(tiny("BertModel"), tiny("BertModel"))
    assert (found.tensors, found.matrix()) == ((), {})

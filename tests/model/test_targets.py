"""Selections meet models: what matches, what is left out, what is refused and in which words."""

import time

import pytest
import torch
from torch import nn

from bertprune.errors import RecipeError, SelectionError
from bertprune.model.targets import every_target, find_targets
from bertprune.pruning.plan import plan
from bertprune.recipe import Recipe, Selection, Step
from tests.conftest import cheaply


def names(model, **conditions):
    return [target.name for target in find_targets(model, Selection(**conditions))]


def test_all_matrices_by_default_and_no_layer_norm(tiny_bert):
    chosen = names(tiny_bert)
    assert len(chosen) == 3 + 2 * 6 + 1
    assert not any("LayerNorm" in name for name in chosen)


def test_conditions_all_hold(tiny_bert):
    assert names(tiny_bert, roles=["attention.query", "ffn.output"], layers=[1]) == [
        "encoder.layer.1.attention.self.query.weight",
        "encoder.layer.1.output.dense.weight",
    ]
    assert names(tiny_bert, types="Embedding", exclude="*position*") == [
        "embeddings.word_embeddings.weight",
        "embeddings.token_type_embeddings.weight",
    ]


@pytest.mark.parametrize("glob", ["encoder.layer.0.attention.self.*", "bert.encoder.layer.0.attention.self.*"])
def test_the_base_prefix_may_be_left_out(tiny_classifier, glob):
    assert names(tiny_classifier, include=glob) == [
        f"bert.encoder.layer.0.attention.self.{part}.weight" for part in ("query", "key", "value")
    ]


def test_braces_and_stars_that_cross_dots(tiny_bert):
    assert names(tiny_bert, include="encoder.*.self.{key,value}") == [
        f"encoder.layer.{layer}.attention.self.{part}.weight" for layer in (0, 1) for part in ("key", "value")
    ]
    assert len(names(tiny_bert, include="encoder.layer.{0..1}.*")) == 12


def test_layer_norms_only_when_named(tiny_bert):
    assert not any("LayerNorm" in name for name in names(tiny_bert, include="encoder.layer.0.*"))
    assert len(names(tiny_bert, include="*LayerNorm")) == 5
    assert len(names(tiny_bert, types="LayerNorm")) == 5


def test_biases_of_matrices_when_asked(tiny_bert):
    chosen = names(tiny_bert, tensor="bias", layers=[0])
    assert len(chosen) == 6 and all(name.endswith(".bias") for name in chosen)
    assert not any("LayerNorm" in name for name in chosen)
    assert names(tiny_bert, tensor="bias", include="encoder.layer.0.output.LayerNorm")


def test_tied_tensors_are_one(tiny_mlm):
    (word,) = find_targets(tiny_mlm, Selection(roles="embeddings.word"))
    assert word.aliases == ("cls.predictions.decoder.weight",)
    assert names(tiny_mlm, include="cls.predictions.decoder") == [word.name]
    assert word.name not in names(tiny_mlm, exclude="*decoder")
    assert len(names(tiny_mlm)) == len(set(names(tiny_mlm)))


def test_missing_tensors_are_never_targets(tiny_bert):
    targets = find_targets(tiny_bert, Selection(), missing={"pooler.dense.weight"})
    assert "pooler.dense.weight" not in [target.name for target in targets]
    with pytest.raises(SelectionError, match=r"matches only tensors that the checkpoint lacks: pooler\.dense\.weight"):
        find_targets(tiny_bert, Selection(roles="pooler"), missing={"pooler.dense.weight"})


def test_any_torch_model_by_types_and_globs():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(4, 2), nn.BatchNorm1d(2))
    assert names(model, types="Conv2d") == ["0.weight"]
    assert names(model, include="1") == ["1.weight"]
    assert names(nn.Linear(3, 3)) == ["weight"]
    with pytest.raises(SelectionError, match="no 'pooler' in a known family; it has none"):
        names(model, roles="pooler")


def test_pruned_tensors_keep_their_names(tiny_bert):
    from torch.nn.utils import prune

    prune.random_unstructured(tiny_bert.pooler.dense, "weight", 0.5)
    (target,) = find_targets(tiny_bert, Selection(roles="pooler"))
    assert target.name == "pooler.dense.weight" and target.mask is tiny_bert.pooler.dense.weight_mask
    assert "pooler.dense.weight" in [target.name for target in every_target(tiny_bert)]


@pytest.mark.parametrize(
    ("conditions", "words"),
    [
        ({"layers": [7]}, r"no layer 7 .*; it has 0, 1$"),
        ({"types": "Conv2d"}, r"no module of type 'Conv2d' with a weight; it has Embedding, LayerNorm, Linear"),
        ({"tensor": "wieght"}, r"no tensor is named 'wieght'; the model has weight, bias"),
        ({"include": "encoder.layer.0"}, r"is a container: 'encoder\.layer\.0\.\*' takes what is inside"),
        ({"include": "encoder.layer.0.attention.self.kye"}, r"the nearest are encoder\.layer\.0\.attention\.self\.key"),
        ({"include": ["pooler.dense", "nothing.*"]}, r"'nothing\.\*' matches no module"),
        ({"roles": "pooler", "layers": [0]}, r"matches nothing: no tensor meets all of its conditions"),
        ({"exclude": "*"}, r"matches nothing"),
        ({"include": "{1..2000}"}, r"braces stand for more than 1,000 globs"),
    ],
)
def test_what_matches_nothing_says_what_is_there(tiny_bert, conditions, words):
    with pytest.raises(SelectionError, match=words):
        names(tiny_bert, **conditions)


def test_a_catastrophic_pattern_is_quick(tiny_bert):
    with pytest.raises(RecipeError):
        names(tiny_bert, include="*a" * 40 + "z")


def test_meta_tensors_can_be_selected():
    with torch.device("meta"):
        assert names(nn.Linear(2, 2)) == ["weight"]


COSTLY = {
    "stars": {"include": ["*a" * 30 + "b"]},
    "stars and marks": {"include": ["*?" * 500 + "z"]},
    "only stars": {"include": ["*" * 90_000 + "z"]},
    "classes": {"include": [("[" + "a" * 5000 + "]*") * 10]},
    "many globs": {"include": [f"*{number}*" for number in range(9000)]},
    "many exclusions": {"include": ["*"], "exclude": [f"*{{0..900}}a{number}*" for number in range(5000)]},
    "wide braces": {"include": ["{0..999999999}"]},
    "deep braces": {"include": ["{" * 2000 + "}" * 2000]},
    "braces side by side": {"include": ["{a,b}" * 50]},
    "a long type": {"types": ["x" * 90_000]},
    "a long tensor": {"tensor": "x" * 90_000},
    "markup": {"include": ["<img src=x onerror=alert(1)>\n# heading"]},
}


@pytest.mark.parametrize("case", COSTLY)
def test_a_selection_that_would_take_for_ever_is_refused_soon(kobert, case):
    started = time.thread_time()
    with pytest.raises(SelectionError) as told:
        find_targets(kobert.skeleton(), Selection(**COSTLY[case]))
    assert time.thread_time() - started < 2
    assert len(str(told.value)) < 1000
    assert "\n" not in str(told.value)


def test_steps_that_would_take_for_ever_together_are_refused_soon(kobert):
    step = Step(method="l1_unstructured", count=1, select=Selection(include="*", exclude="*{1..300}*a*b*"))
    with cheaply(2.0, 100_000_000), pytest.raises(RecipeError, match=r"the globs of all steps .* 1,000 in all"):
        plan(kobert.skeleton(), Recipe(steps=[step] * 40))

"""Selections on models: what they match, what they leave out, what they refuse and why."""

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

import bertprune as bp
from bertprune.errors import SelectionError
from bertprune.model.globs import count_globs
from bertprune.model.matching import find_targets
from bertprune.model.targets import every_target
from bertprune.selection import Selection


def names(model, **conditions):
    return [target.name for target in find_targets(model, Selection(**conditions))]


def test_all_matrices_by_default_and_no_layer_norm(tiny_bert):
    chosen = names(tiny_bert)
    assert len(chosen) == 3 + 2 * 6 + 1
    assert not any("LayerNorm" in name for name in chosen)


def test_all_conditions_must_hold(tiny_bert):
    assert names(tiny_bert, roles=["attention.query", "ffn.output"], layers=[1]) == [
        "encoder.layer.1.attention.self.query.weight",
        "encoder.layer.1.output.dense.weight",
    ]
    assert names(tiny_bert, types="Embedding", exclude="*position*") == [
        "embeddings.word_embeddings.weight",
        "embeddings.token_type_embeddings.weight",
    ]


def test_the_base_prefix_is_optional(tiny_classifier, subtests):
    for glob in ["encoder.layer.0.attention.self.*", "bert.encoder.layer.0.attention.self.*"]:
        with subtests.test(glob):
            assert names(tiny_classifier, include=glob) == [
                f"bert.encoder.layer.0.attention.self.{part}.weight" for part in ("query", "key", "value")
            ]


def test_braces_list_alternatives_and_stars_match_dots(tiny_bert):
    assert names(tiny_bert, include="encoder.*.self.{key,value}") == [
        f"encoder.layer.{layer}.attention.self.{part}.weight" for layer in (0, 1) for part in ("key", "value")
    ]
    assert len(names(tiny_bert, include="encoder.layer.{0..1}.*")) == 12
    assert count_globs(Selection(include="{0..1}.{a,b}", exclude="*")) == 5


ALTERNATIVES = [
    ("encoder.*.{query,qury}", "encoder.*.qury"),
    ("{*.query,*.qury}", "*.qury"),
    ("encoder.layer.{0..9}.*", "encoder.layer.2.*"),
    ("encoder.layer.{1,0,7}.*.{query,key}", "encoder.layer.7.*.query"),
    ("*.{self.{query,kye},dense}", "*.self.kye"),
    ("*.{self.{query,key},dese}", "*.dese"),
]


def test_an_alternative_that_matches_nothing_is_named(tiny_bert, subtests):
    for field in ["include", "exclude"]:
        with subtests.test(field):
            for glob, alternative in ALTERNATIVES:
                with subtests.test(glob):
                    with pytest.raises(SelectionError) as caught:
                        names(tiny_bert, **{field: glob})
                    assert caught.value.code == "selection.alternative"
                    assert (
                        str(caught.value)
                        == f"{glob!r}: {alternative!r}, one of its alternatives, matches no module with a weight"
                    )


NEEDED = [
    "*.{self,output}.{query,dense}",  # not every pair is there, but each alternative is
    "*.{self.{query,key},dense}",
    "*.{query,query}",
    "encoder.layer.{0..1..1}.*.query",
    "*.{q..q}uery",
    "*.{output.dense,output.de*}",
]


def test_alternatives_that_are_all_needed_are_taken(tiny_bert, subtests):
    for glob in NEEDED:
        with subtests.test(glob):
            assert names(tiny_bert, include=glob)


def test_layer_norms_only_when_named(tiny_bert):
    assert not any("LayerNorm" in name for name in names(tiny_bert, include="encoder.layer.0.*"))
    assert len(names(tiny_bert, include="*LayerNorm")) == 5
    assert len(names(tiny_bert, types="LayerNorm")) == 5


def test_biases_of_matrices_when_asked(tiny_bert):
    chosen = names(tiny_bert, tensor="bias", layers=[0])
    assert len(chosen) == 6 and all(name.endswith(".bias") for name in chosen)
    assert not any("LayerNorm" in name for name in chosen)
    assert names(tiny_bert, tensor="bias", include="encoder.layer.0.output.LayerNorm")


def test_tied_tensors_are_one_target(tiny_mlm):
    (word,) = find_targets(tiny_mlm, Selection(roles="embeddings.word"))
    assert word.aliases == ("cls.predictions.decoder.weight",)
    assert names(tiny_mlm, include="cls.predictions.decoder") == [word.name]
    assert word.name not in names(tiny_mlm, exclude="*decoder")
    assert len(names(tiny_mlm)) == len(set(names(tiny_mlm)))


def test_missing_tensors_are_never_targets(tiny_bert):
    targets = find_targets(tiny_bert, Selection(), missing={"pooler.dense.weight"})
    assert "pooler.dense.weight" not in [target.name for target in targets]
    with pytest.raises(SelectionError, match=r"only tensors that the checkpoint lacks: pooler\.dense\.weight"):
        find_targets(tiny_bert, Selection(roles="pooler"), missing={"pooler.dense.weight"})


def test_any_torch_model_by_types_and_globs():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(4, 2), nn.BatchNorm1d(2))
    assert names(model, types="Conv2d") == ["0.weight"]
    assert names(model, include="1") == ["1.weight"]
    assert names(nn.Linear(3, 3), include="*") == ["weight"]
    with pytest.raises(SelectionError, match=r"roles and layers are known for .* ModernBERT"):
        names(model, roles="pooler")


def test_pruned_tensors_keep_their_names(tiny_bert):
    prune.random_unstructured(tiny_bert.pooler.dense, "weight", 0.5)
    (target,) = find_targets(tiny_bert, Selection(roles="pooler"))
    assert target.name == "pooler.dense.weight"
    assert target.parameter is tiny_bert.pooler.dense.weight_orig
    assert target.mask is target.owners[0].mask is tiny_bert.pooler.dense.weight_mask


def test_a_shared_module_is_one_owner_unless_every_path_is_asked_for():
    part = nn.Linear(2, 2, bias=False)
    model = nn.ModuleDict({"one": part, "two": part})
    assert [(target.name, target.aliases) for target in every_target(model)] == [("one.weight", ())]
    (target,) = every_target(model, shared_modules=True)
    assert (target.name, target.aliases) == ("one.weight", ("two.weight",))


def test_meta_tensors_can_be_selected():
    with torch.device("meta"):
        assert names(nn.Linear(2, 2)) == ["weight"]


MATCHES_NOTHING = [
    ({"layers": [7]}, "selection.unknown_layer", r"no layer 7; it has 0, 1$"),
    ({"roles": "head"}, "selection.unknown_role", r"the role 'head'; it has attention\.key, .* and 2 more$"),
    ({"types": "Conv2d"}, "selection.unknown_type", r"'Conv2d' with a weight; it has Embedding, LayerNorm, Linear"),
    ({"tensor": "wieght"}, "selection.unknown_tensor", r"'wieght'; the model has weight, bias"),
    ({"include": "encoder.layer.0"}, "selection.container", r"select them by 'encoder\.layer\.0\.\*'"),
    ({"include": "encoder.layer.0.attention.self.kye"}, "selection.unmatched_glob_near", r"nearest are .*\.key"),
    (
        {"include": "encoder.layer.0.output.dropout"},
        "selection.unmatched_glob_near",
        r"nearest are .*output\.dense",
    ),
    ({"include": ["pooler.dense", "9.*"]}, "selection.unmatched_glob", r"'9\.\*' matches no module with a weight"),
    (
        {"exclude": "poolr.*"},
        "selection.unmatched_glob_near",
        r"^'poolr\.\*' matches .* nearest are pooler",
    ),
    ({"exclude": "encoder.layer.0"}, "selection.container", r"select them by 'encoder\.layer\.0\.\*'"),
    ({"include": "pooler.dense", "exclude": ["*", "9.*"]}, "selection.unmatched_glob", r"^'9\.\*' matches no"),
    ({"roles": "pooler", "layers": [0]}, "selection.empty", r"all conditions of the selection \(roles pooler; lay"),
    ({"exclude": "*"}, "selection.empty", r"\(exclude \*\)"),
]


def test_what_matches_nothing_says_what_there_is(tiny_bert, subtests):
    for conditions, code, words in MATCHES_NOTHING:
        with subtests.test(f"{code}: {conditions}"):
            with pytest.raises(SelectionError, match=words) as caught:
                names(tiny_bert, **conditions)
            assert caught.value.code == code


COSTLY = {
    "backtracking": ({"include": ["*?" * 500 + "z"]}, "selection.unmatched_glob"),
    "many globs": ({"include": [f"*{number}*" for number in range(9000)]}, "selection.too_many_globs"),
    "wide braces": ({"include": ["{0..999999999}"]}, "selection.wide_braces"),
    "braces side by side": ({"include": ["{a,b}" * 50]}, "selection.wide_braces"),
    "deep braces": ({"include": ["{" * 2000 + "}" * 2000]}, "selection.too_many_braces"),
    "a long name": ({"tensor": "x" * 90_000}, "selection.unknown_tensor"),
    "a long glob": ({"include": ["a" * 90_000]}, "selection.unmatched_glob"),
    "line breaks": ({"include": ["<img src=x onerror=alert(1)>\n# heading"]}, "selection.unmatched_glob"),
}


def test_a_selection_that_would_take_hours_is_refused_in_one_short_line(tiny_bert, subtests):
    for case in COSTLY:
        with subtests.test(case):
            conditions, code = COSTLY[case]
            with pytest.raises(SelectionError) as caught:
                find_targets(tiny_bert, Selection(**conditions))
            assert caught.value.code == code
            assert len(str(caught.value)) < 1000
            assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated")
@pytest.mark.parametrize("norm", [torch.nn.utils.parametrizations.weight_norm, torch.nn.utils.weight_norm])
def test_a_tensor_that_is_computed_is_not_passed_over(tiny_bert, norm, subtests):
    norm(tiny_bert.pooler.dense)
    said = r"^pooler\.dense\.weight is computed .*remove_parametrizations"
    for selection in ({"include": "pooler.dense"}, {"include": "*"}, {"types": "Linear"}, {}):
        with subtests.test(str(selection)):
            with pytest.raises(SelectionError, match=said) as caught:
                find_targets(tiny_bert, Selection(**selection))
            assert caught.value.code == "selection.parametrized"
            if selection.get("include") != "pooler.dense":
                assert "pooler.dense.weight" not in names(tiny_bert, **selection, exclude="pooler.dense")
    assert names(tiny_bert, roles="attention.query")


NO_EFFECT = [
    ({"include": "*.query", "exclude": "*.key"}, "selection.exclude_nothing"),
    ({"roles": "attention.query", "layers": 0, "exclude": "encoder.layer.1.*"}, "selection.exclude_nothing"),
    ({"types": "Embedding", "exclude": ["*position*", "pooler.dense"]}, "selection.exclude_nothing"),
    ({"include": ["*.query", "pooler.*"], "layers": 0}, "selection.include_nothing"),
    ({"include": ["*.query", "embeddings.*"], "types": "Linear"}, "selection.include_nothing"),
]


def test_a_glob_that_changes_nothing_is_refused_in_include_and_exclude(tiny_bert, subtests):
    for conditions, code in NO_EFFECT:
        with subtests.test(str(conditions)):
            with pytest.raises(SelectionError) as caught:
                names(tiny_bert, **conditions)
            assert caught.value.code == code


def test_a_glob_that_spares_vectors_or_other_names_of_a_tensor_has_an_effect(tiny_bert, tiny_mlm):
    assert names(tiny_bert, include="encoder.*", exclude="*.LayerNorm")
    assert names(tiny_mlm, include="*", exclude="*decoder")
    assert names(tiny_bert, include="*", exclude=["encoder.*", "*.query"])


def test_a_head_is_not_pruned_without_a_part_of_it_that_is_computed(tiny_bert):
    torch.nn.utils.parametrizations.weight_norm(tiny_bert.encoder.layer[0].attention.self.key)
    step = bp.Step(method="magnitude", granularity="head", count=1, select=bp.Selection(roles="attention.query"))
    with pytest.raises(SelectionError) as caught:
        bp.apply(tiny_bert, step)
    assert caught.value.code == "selection.parametrized" and "layer.0.attention.self.key.weight" in str(caught.value)
    assert not prune.is_pruned(tiny_bert)


def test_neurons_and_heads_refuse_the_same(tiny_bert):
    def step(**select):
        return bp.Step(method="magnitude", granularity="head", count=1, select=bp.Selection(**select))

    for select, code in (
        ({"layers": 0, "exclude": "encoder.layer.1.*"}, "selection.exclude_nothing"),
        ({"roles": "attention.query", "exclude": "pooler.*"}, "selection.exclude_nothing"),
        ({"include": ["*.query", "embeddings.*"]}, "selection.include_nothing"),
    ):
        with pytest.raises(SelectionError) as caught:
            bp.apply(tiny_bert, step(**select))
        assert caught.value.code == code
    assert len(bp.apply(tiny_bert, step(exclude="encoder.layer.1.*.key"))[0].tensors) == 7

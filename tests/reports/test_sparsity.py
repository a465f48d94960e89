"""Masked, zero and alive values are counted once each and never mixed up."""

import json

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from bertprune.errors import BertpruneError
from bertprune.reports.counting import Count
from bertprune.reports.sparsity import sparsity

PARTS = ("query", "key", "value")


def key(model):
    return model.encoder.layer[0].attention.self.key


def of(report, name):
    return next(one for one in report.tensors if one.name == name)


def qkv(model):
    return [(getattr(layer.attention.self, part), "weight") for layer in model.encoder.layer for part in PARTS]


def test_a_fresh_model_is_not_sparse_though_its_biases_are_zero(tiny, subtests):
    for name in ["BertForMaskedLM", "DistilBertModel"]:
        with subtests.test(name):
            model = tiny(name)
            report = sparsity(model)
            assert report.targets == ()
            assert report.total == Count()
            assert report.model.size == sum(p.numel() for p in model.parameters())
            assert report.model.masked == 0
            assert report.model.zero == sum(int((p == 0).sum()) for p in model.parameters()) > 0
            assert "no tensor has a mask" in report.to_text()


def test_a_masked_value_counts_as_masked_whatever_it_was(tiny):
    model = tiny("BertModel")
    key(model).weight.data[:2] = 0
    prune.l1_unstructured(key(model), "weight", amount=100)
    one = of(sparsity(model), "encoder.layer.0.attention.self.key.weight")
    assert (one.count.masked, one.count.zero) == (100, 0)
    key(model).weight_orig.data[5, :7] = 0
    assert key(model).weight_mask[5, :7].all()
    assert of(sparsity(model), one.name).count.zero == 7


def test_a_baked_model_has_zeros_and_nothing_masked(tiny):
    model = tiny("BertModel")
    prune.l1_unstructured(key(model), "weight", amount=100)
    prune.remove(key(model), "weight")
    one = of(sparsity(model), "encoder.layer.0.attention.self.key.weight")
    assert (one.count.masked, one.count.zero, one.masks, one.history) == (0, 100, 0, ())


def test_the_zeros_of_a_baked_model_are_shown_by_tensor_layer_and_role(tiny):
    model = tiny("BertModel")
    for layer in model.encoder.layer:
        prune.l1_unstructured(layer.attention.self.key, "weight", 0.75)
        prune.remove(layer.attention.self.key, "weight")
    report = sparsity(model)
    shown = {one.name: one.count.zero for one in report.rows}
    assert shown == {name: zeros for name, value in model.named_parameters() if (zeros := int((value == 0).sum()))}
    assert report.targets == () and report.total == Count()
    frame = report.to_frame()
    assert dict(zip(frame["name"], frame["zero"], strict=True)) == shown and set(frame["masked"]) == {0}
    assert sum(one.zero for one in report.by("layer").values()) == sum(shown.values()) == report.model.zero
    assert report.by("role")["attention.key"].zero == report.matrix()[0, "attention.key"].zero * 2 >= 2 * 768
    assert "768 (75.00%)" in report.to_text()


def test_it_is_right_after_an_optimiser_step_while_the_derived_tensor_is_out_of_date(tiny):
    model = tiny("BertModel")
    prune.l1_unstructured(key(model), "weight", amount=100)
    key(model).weight_orig.data[-1] = 0
    masked_row = int((~key(model).weight_mask[-1].bool()).sum())
    one = of(sparsity(model), "encoder.layer.0.attention.self.key.weight")
    assert (one.count.masked, one.count.zero) == (100, 32 - masked_row)


def test_each_target_has_its_place_and_its_history(tiny):
    model = tiny("BertForSequenceClassification")
    prune.random_unstructured(model.bert.encoder.layer[1].output.dense, "weight", amount=10)
    prune.ln_structured(model.bert.encoder.layer[1].output.dense, "weight", amount=1, n=2, dim=0)
    prune.l1_unstructured(model.classifier, "bias", amount=1)
    dense, bias = sparsity(model).targets
    assert (dense.module, dense.tensor, dense.type) == ("bert.encoder.layer.1.output.dense", "weight", "Linear")
    assert (dense.role, dense.layer, dense.shape, dense.masks) == ("ffn.output", 1, (32, 64), 1)
    assert dense.history == ("RandomUnstructured", "LnStructured")
    assert (bias.name, bias.role, bias.layer, bias.history) == ("classifier.bias", "head", None, ("L1Unstructured",))


def test_totals_are_the_sums_of_the_masks_in_every_grouping(tiny, subtests):
    for dtype in [torch.bool, torch.float32]:
        with subtests.test(str(dtype)):
            model = tiny("BertModel")
            prune.global_unstructured(qkv(model), prune.L1Unstructured, amount=0.2)
            prune.l1_unstructured(model.embeddings.word_embeddings, "weight", amount=0.1)
            for module in model.modules():
                if hasattr(module, "weight_mask"):
                    module.weight_mask = module.weight_mask.to(dtype)
            report = sparsity(model)
            masks = [mask for name, mask in model.named_buffers() if name.endswith("_mask")]
            assert report.total.masked == sum(int((mask == 0).sum()) for mask in masks)
            assert report.total.size == sum(mask.numel() for mask in masks)
            assert report.model.masked == report.total.masked
            for grouping in ("layer", "role", "module", "type"):
                assert sum(report.by(grouping).values(), Count()) == report.total
            assert sum(report.matrix().values(), Count()) == report.total
            assert list(report.by("layer")) == [0, 1, None]
            assert list(report.by("role")) == ["embeddings.word", "attention.query", "attention.key", "attention.value"]
            assert list(report.by("type")) == ["Embedding", "Linear"]
            assert list(report.matrix())[:3] == [(0, f"attention.{part}") for part in PARTS]


def test_an_unknown_grouping_is_refused(tiny):
    with pytest.raises(BertpruneError, match="grouped by layer, role, module, type, not by 'head'"):
        sparsity(nn.Linear(2, 2)).by("head")


def test_models_of_unknown_families_group_under_none():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    prune.l1_unstructured(model[1], "weight", amount=3)
    report = sparsity(model)
    assert report.by("role") == report.by("layer") == {None: Count(9, 3, 0)}
    assert report.by("module") == {"1": Count(9, 3, 0)}


class TestTied:
    """A decoder tied to the word embeddings."""

    @staticmethod
    def mask(module, kept):
        prune.custom_from_mask(module, "weight", kept)

    def test_counts_once_under_its_first_name_with_the_role_of_the_embeddings(self, tiny):
        for name in ("BertForMaskedLM", "XLMRobertaForMaskedLM"):
            model = tiny(name)
            report = sparsity(model)
            tied = [one for one in report.tensors if one.aliases and one.tensor == "weight"]
            assert len(tied) == 1
            first = next(n for n, p in model.named_parameters() if p is model.get_input_embeddings().weight)
            assert (tied[0].name, tied[0].role, tied[0].layer) == (first, "embeddings.word", None)
            assert report.model.size == sum(p.numel() for p in model.parameters())

    def test_pruned_at_both_owners_with_one_mask(self, tiny):
        model = tiny("BertForMaskedLM")
        words, decoder = model.bert.embeddings.word_embeddings, model.cls.predictions.decoder
        kept = torch.rand(97, 32) < 0.7
        self.mask(words, kept)
        self.mask(decoder, kept)
        decoder.weight_mask = words.weight_mask
        (one,) = sparsity(model).targets
        assert (one.masks, one.count.masked) == (1, int((~kept).sum()))
        assert one.aliases == ("cls.predictions.decoder.weight",)
        assert "tied to cls.predictions.decoder.weight" in sparsity(model).to_text()

    def test_with_different_masks_only_what_no_owner_keeps_is_masked(self, tiny):
        model = tiny("BertForMaskedLM")
        one, other = torch.rand(97, 32) < 0.7, torch.rand(97, 32) < 0.5
        self.mask(model.bert.embeddings.word_embeddings, one)
        self.mask(model.cls.predictions.decoder, other)
        (tied,) = sparsity(model).targets
        assert (tied.masks, tied.count.masked) == (2, int((~(one | other)).sum()))

    def test_an_owner_without_a_mask_keeps_everything(self, tiny):
        model = tiny("BertForMaskedLM")
        self.mask(model.cls.predictions.decoder, torch.rand(97, 32) < 0.7)
        (tied,) = sparsity(model).targets
        assert (tied.masks, tied.count.masked) == (1, 0)


def test_a_shared_module_counts_once():
    part = nn.Linear(3, 3)
    prune.l1_unstructured(part, "weight", amount=2)
    (one,) = sparsity(nn.ModuleDict({"one": part, "two": part})).targets
    assert (one.name, one.aliases, one.count) == ("one.weight", ("two.weight",), Count(9, 2, 0))


def test_an_orig_or_a_mask_alone_is_not_pruning():
    odd = nn.Module()
    odd.weight_orig = nn.Parameter(torch.ones(3))
    odd.register_buffer("other_mask", torch.zeros(3))
    (one,) = sparsity(odd).tensors
    assert (one.name, one.masks, one.count) == ("weight_orig", 0, Count(3, 0, 0))


def test_meta_tensors_and_masks_of_another_shape_are_refused(tiny):
    with pytest.raises(BertpruneError, match=r"embeddings\.word_embeddings\.weight is on the meta device"):
        sparsity(tiny("BertModel", device="meta"))
    layer = nn.Linear(2, 2)
    prune.identity(layer, "weight")
    layer.weight_mask = torch.ones(2)
    with pytest.raises(BertpruneError, match=r"weight: the mask has shape \(2,\) and the tensor \(2, 2\)"):
        sparsity(layer)


def test_nothing_is_changed(tiny):
    model = tiny("BertModel")
    prune.l1_unstructured(key(model), "weight", amount=100)
    key(model).weight_mask = key(model).weight_mask.bool()
    before = {name: (id(one), one._version, one.clone()) for name, one in model.state_dict(keep_vars=True).items()}
    state = torch.get_rng_state()
    sparsity(model)
    assert torch.equal(state, torch.get_rng_state())
    for name, one in model.state_dict(keep_vars=True).items():
        identity, version, values = before[name]
        assert (id(one), one._version) == (identity, version)
        assert torch.equal(one, values)


def test_the_table_has_a_row_for_each_target(tiny):
    model = tiny("BertModel")
    prune.global_unstructured(qkv(model), prune.L1Unstructured, amount=0.2)
    prune.l1_unstructured(model.embeddings.word_embeddings, "weight", amount=0.1)
    report = sparsity(model)
    table = report.to_frame()
    assert list(table.columns) == (
        "name module tensor type role layer size masked zero alive sparsity history aliases".split()
    )
    assert list(table.name) == [one.name for one in report.targets]
    assert table.masked.sum() == report.total.masked
    assert (table.sparsity == table.masked / table["size"]).all()
    assert table.layer.isna().tolist() == [True] + [False] * 6
    assert str(table.layer.dtype) == "Int64"
    assert sparsity(nn.Linear(2, 2)).to_frame().empty


def test_it_is_json_and_deterministic(tiny):
    model = tiny("BertForMaskedLM")
    prune.l1_unstructured(model.cls.predictions.transform.dense, "weight", amount=0.5)
    plain = sparsity(model).to_dict()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain == sparsity(model).to_dict()
    assert plain["total"] == {"size": 1024, "masked": 512, "zero": 0, "alive": 512, "sparsity": 0.5}
    assert len(plain["tensors"]) == len(sparsity(model).tensors)


def test_it_prints_as_in_the_golden_file(golden):
    model = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
    for parameter in model.parameters():
        parameter.data = torch.arange(parameter.numel(), dtype=torch.float32).reshape(parameter.shape)
    prune.l1_unstructured(model[0], "weight", amount=3)
    golden("report_unknown_family.txt", sparsity(model).to_text())


def test_it_prints_layers_and_roles_in_english_and_korean(tiny, golden):
    model = tiny("BertForMaskedLM")
    for layer in model.bert.encoder.layer:
        prune.ln_structured(layer.attention.self.query, "weight", amount=8, n=2, dim=1)
        prune.ln_structured(layer.output.dense, "weight", amount=16, n=2, dim=0)
    words = model.bert.embeddings.word_embeddings
    for owner in (words, model.cls.predictions.decoder):
        prune.custom_from_mask(owner, "weight", torch.arange(97).remainder(4).ne(0)[:, None].expand(97, 32))
    golden("report_bert.txt", sparsity(model).to_text())
    golden(
        "report_bert_ko.txt", sparsity(model).to_text({"tensor": "텐서", "outside": "층 바깥", "model": "모델 전체"})
    )


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
@pytest.mark.filterwarnings("ignore:.*torch.ao.quantization")
def test_weights_that_quantisation_has_packed_are_not_left_out(subtests):
    for part in [nn.Linear(4, 4), nn.LSTM(4, 4)]:
        with subtests.test(str(part)):
            held = nn.ModuleDict({"inner": part, "plain": nn.Embedding(3, 4)})
            quantised = torch.ao.quantization.quantize_dynamic(held, {type(part)}, torch.qint8)
            with pytest.raises(BertpruneError, match="inner keeps its weights packed"):
                sparsity(quantised)


def test_a_module_with_more_in_its_state_dict_is_counted():
    class Noted(nn.Linear):
        def get_extra_state(self):
            return {"note": 1}

    assert sparsity(Noted(4, 4)).model.size == 20

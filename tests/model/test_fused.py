"""A fused projection answers to query, key and value; a step that names one of them touches its rows only."""

from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import bertprune as bp
from bertprune.errors import BertpruneError, SelectionError
from bertprune.pruning.preview import preview_recipe

from .tiny_families import KNOWN, build, outputs

QKV = ("attention.query", "attention.key", "attention.value")
FUSED = {"modernbert": "model.layers.0.attn.Wqkv", "deberta": "encoder.layer.0.attention.self.in_proj"}


def rows_by_hand(name: str, part: int) -> list[int]:
    """List the rows of query (0), key (1) or value (2), as the forward pass of each family takes them apart."""
    if name == "modernbert":  # view(…, 3, heads, 8)
        return list(range(32 * part, 32 * part + 32))
    return [24 * head + 8 * part + row for head in range(4) for row in range(8)]  # view(…, heads, 24).chunk(3)


def select(name: str, *roles: str, **conditions: Any) -> bp.Selection:
    return bp.Selection(roles=roles, include=FUSED[name], **conditions)


@pytest.fixture
def fused() -> Any:
    """Return the projection whose parts lie apart, head by head: the family, its model, and the module."""
    model = build(*KNOWN["deberta"])
    return "deberta", model, model.get_submodule(FUSED["deberta"])


def test_only_the_rows_of_the_role_are_pruned_and_as_torch_would_by_themselves(subtests: pytest.Subtests) -> None:
    for name, (part, role) in product(FUSED, enumerate(QKV)):
        model = build(*KNOWN[name])
        module = model.get_submodule(FUSED[name])
        rows, alone = rows_by_hand(name, part), torch.nn.Linear(32, 32, bias=False)
        alone.weight.data = module.weight.data[rows].clone()
        torch.nn.utils.prune.l1_unstructured(alone, "weight", amount=0.3)
        (outcome,) = bp.apply(model, bp.Step(method="l1_unstructured", fraction=0.3, select=select(name, role)))
        with subtests.test(f"{name}, {role}"):
            assert (outcome.alive_before, outcome.removed) == (1024, round(0.3 * 1024))
            assert torch.equal(module.weight_mask[rows], alone.weight_mask.bool())
            assert module.weight_mask[[row for row in range(96) if row not in rows]].all()


def test_without_roles_it_is_one_tensor_and_with_all_of_them_three(fused: Any) -> None:
    name, model, module = fused
    whole = bp.Step(method="l1_unstructured", count=30, select=bp.Selection(include=FUSED[name]))
    assert [one.removed for one in bp.apply(model, whole)[0].tensors] == [30]
    parts = bp.Step(method="l1_unstructured", count=30, select=select(name, *QKV))
    assert [one.removed for one in bp.apply(model, parts)[0].tensors] == [30, 30, 30]
    assert [len(hook.history) for hook in bp.snapshot(model).hooks if hook.tensor] == [2]
    assert int((~module.weight_mask).sum()) == 120


def test_rows_and_columns_are_those_of_the_part(subtests: pytest.Subtests) -> None:
    for name, method, dim in product(FUSED, ["ln_structured", "random_structured"], [0, 1]):
        model = build(*KNOWN[name])
        chosen = bp.Step(method=method, count=4, options={"dim": dim}, select=select(name, "attention.key"))
        (outcome,) = bp.apply(model, chosen)
        with subtests.test(f"{name}, {method}, dim {dim}"):
            assert [(one.size, one.slices_before, one.slices_removed) for one in outcome.tensors] == [(1024, 32, 4)]
            mask = model.get_submodule(FUSED[name]).weight_mask
            assert int((~mask[rows_by_hand(name, 1)]).all(dim=1 - dim).sum()) == 4
            assert int((~mask).sum()) == 4 * 32


def test_reports_count_the_parts_by_role(fused: Any) -> None:
    name, model, _ = fused
    bp.apply(model, bp.Step(method="l1_unstructured", fraction=0.5, select=select(name, "attention.key")))
    report = bp.sparsity(model)
    assert {role: one.masked for role, one in report.by("role").items()} == dict(zip(QKV, (0, 512, 0), strict=True))
    assert report.matrix()[0, "attention.key"] == bp.sparsity(model).by("role")["attention.key"]
    assert (report.total.size, report.total.masked) == (3 * 1024, 512)


def test_the_bias_has_the_same_parts() -> None:
    model = build("ModernBertModel", "ModernBertConfig", KNOWN["modernbert"][2] | {"attention_bias": True})
    chosen = bp.Selection(roles="attention.value", layers=[1], tensor="bias")
    model.layers[1].attn.Wqkv.bias.data.uniform_(1, 2)
    bp.apply(model, bp.Step(method="l1_unstructured", fraction=1.0, select=chosen))
    assert model.layers[1].attn.Wqkv.bias_mask.tolist() == [True] * 64 + [False] * 32


def test_a_part_is_exported_like_any_mask_and_is_not_written_as_plain_torch(fused: Any, tmp_path: Path) -> None:
    name, model, _ = fused
    model.save_pretrained(tmp_path / "source")
    run = bp.prune(tmp_path / "source", bp.Step(method="l1_unstructured", count=99, select=select(name, *QKV[:2])))
    bp.export(run, tmp_path / "masked", "masked")
    back = bp.load(tmp_path / "masked")
    assert torch.equal(outputs(back), outputs(run.model))
    assert [hook.history for hook in bp.snapshot(back).hooks if hook.tensor] == [("L1Unstructured",)]
    assert "torch does not prune a part of a tensor" in run.as_python()


def test_a_part_is_not_baked_alone(fused: Any) -> None:
    name, model, _ = fused
    bp.apply(model, bp.Step(method="l1_unstructured", count=9, select=select(name, "attention.key")))
    with pytest.raises(SelectionError, match="can only be baked together") as caught:
        bp.bake(model, select(name, "attention.key"))
    assert caught.value.code == "bake.part"


STEPS = st.builds(
    lambda roles, method, amount, dim, scope: bp.Step(
        method=method, scope=scope, select=bp.Selection(include="*Wqkv", roles=roles), **amount,
        options={"dim": dim} if method == "ln_structured" else {},
    ),
    st.lists(st.sampled_from(QKV), max_size=3, unique=True),
    st.sampled_from(["l1_unstructured", "ln_structured"]),
    st.one_of(st.builds(lambda f: {"fraction": f}, st.sampled_from([0.1, 0.5])), st.just({"count": 3})),
    st.sampled_from([0, 1]),
    st.sampled_from(["local", "global"]),
)  # fmt: skip


@settings(max_examples=30)
@given(st.lists(STEPS, min_size=1, max_size=4))
def test_a_preview_bounds_what_is_pruned_in_any_order_of_parts_and_wholes(steps: list[bp.Step]) -> None:
    model, recipe = build(*KNOWN["modernbert"]), bp.Recipe(steps=steps)
    seen = preview_recipe(model, recipe)
    for expected, outcome in zip(seen.steps, bp.apply(model, recipe), strict=True):
        assert expected.removed[0] <= outcome.removed <= expected.removed[1]
        assert expected.weights == sum(one.size for one in outcome.tensors)


def test_a_preview_knows_that_nothing_is_left_of_a_part_of_what_is_gone(fused: Any) -> None:
    name, model, _ = fused
    everything = bp.Step(method="l1_unstructured", fraction=1.0, select=bp.Selection(include=FUSED[name]))
    rows = bp.Step(
        method="ln_structured", count=1, scope="global", options={"dim": 0}, select=select(name, "attention.query")
    )
    recipe = bp.Recipe(steps=[everything, rows])
    with pytest.raises(BertpruneError) as previewed:
        preview_recipe(model, recipe)
    with pytest.raises(BertpruneError) as pruned:
        bp.apply(model, recipe)
    assert previewed.value.code == pruned.value.code == "prune.not_enough"

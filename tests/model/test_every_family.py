"""Each known family, built tiny: roles, pruning, both exports, a plain reload; test_direct_reads trains them."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import nn

import bertprune as bp
from bertprune.errors import SelectionError
from bertprune.model.families import places

from .tiny_families import KNOWN, SMALL, build, outputs

IN_A_LAYER = {
    "attention.query",
    "attention.key",
    "attention.value",
    "attention.output",
    "ffn.intermediate",
    "ffn.output",
}
EVERYTHING = bp.Step(method="l1_unstructured", fraction=0.4, scope="global")


def matrices(model: nn.Module) -> dict[str, nn.Module]:
    return {path: one for path, one in model.named_modules() if isinstance(one, nn.Linear)}


def test_every_layer_is_found_and_every_matrix_in_it_has_its_role(subtests: pytest.Subtests) -> None:
    for family in KNOWN:
        with subtests.test(family):
            model = build(*KNOWN[family])
            where = places(model)
            layers = {place.layer for place in where.values()} - {None}
            unique = getattr(model.config, "num_hidden_groups", model.config.num_hidden_layers)
            assert layers == set(range(unique))
            for layer in layers:
                inside = {path: one for path, one in matrices(model).items() if where[path].layer == layer}
                assert {role for path in inside for role in where[path].roles} == IN_A_LAYER
            for path, one in matrices(model).items():
                if where[path].layer is None:
                    continue
                width = {"ffn.intermediate": 32, "ffn.output": 48}.get(where[path].role, 32)
                assert one.weight.shape[1] == width
            roles = {role for place in where.values() for role in place.roles}
            assert {role for role in roles if role.startswith("embeddings.")} >= {"embeddings.word"}


def test_a_shared_layer_says_how_often_it_is_used() -> None:
    once, groups = build(*KNOWN["albert"]), build(*KNOWN["albert-groups"])
    assert {place.uses for place in places(once).values() if place.layer == 0} == {3}
    assert [max(p.uses for p in places(groups).values() if p.layer == layer) for layer in (0, 1)] == [3, 2]
    assert "(0): AlbertLayer, 8,544 each, shared by" not in bp.tree(once).render()
    assert ", shared by 3 layers" in bp.tree(once).render()
    bp.apply(once, bp.Step(method="l1_unstructured", fraction=0.5, select=bp.Selection(roles="attention.key")))
    report = bp.sparsity(once)
    assert report.total.size == 32 * 32
    assert "used by layers: 3" in report.to_text()


def test_pruned_and_exported_it_gives_the_same_outputs_wherever_it_loads(
    tmp_path: Path, subtests: pytest.Subtests
) -> None:
    for family in KNOWN:
        with subtests.test(family):
            folder = tmp_path / family
            model = build(*KNOWN[family])
            model.save_pretrained(folder / "source")
            run = bp.prune(folder / "source", EVERYTHING)
            assert run.report.total.masked == round(0.4 * run.report.total.size)
            expected = outputs(run.model)
            assert not torch.equal(expected, outputs(model))
            bp.export(run, folder / "baked", "baked")
            bp.export(run, folder / "masked", "masked")
            plain = getattr(transformers, type(model).__name__).from_pretrained(folder / "baked").eval()
            assert torch.equal(outputs(plain), expected)
            assert torch.equal(outputs(bp.load(folder / "masked")), expected)


@pytest.mark.parametrize(
    ("model_cls", "config_cls", "changes"),
    [
        ("FNetModel", "FNetConfig", {}),
        ("ErnieModel", "ErnieConfig", {}),
        ("BartModel", "BartConfig", {"d_model": 32, "encoder_layers": 1, "decoder_layers": 1}),
    ],
)
def test_any_other_architecture_is_pruned_by_type_and_has_no_roles(
    model_cls: str, config_cls: str, changes: dict[str, Any], tmp_path: Path
) -> None:
    known = {key: SMALL[key] for key in ("vocab_size", "pad_token_id", "bos_token_id", "eos_token_id")}
    model = build(model_cls, config_cls, (known if changes else SMALL) | changes)
    model.save_pretrained(tmp_path / "source")
    with pytest.raises(SelectionError) as caught:
        bp.prune(tmp_path / "source", bp.Step(method="l1_unstructured", count=1, select=bp.Selection(roles="pooler")))
    assert caught.value.code == "selection.unknown_family"
    run = bp.prune(tmp_path / "source", EVERYTHING)
    bp.export(run, tmp_path / "baked", "baked")
    plain = getattr(transformers, model_cls).from_pretrained(tmp_path / "baked").state_dict()
    assert all(torch.equal(value, plain[name]) for name, value in bp.bake(run.model).state_dict().items())

"""Masked, zero and alive are told apart wherever a report is shown: baked models, and ones pruned further."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

import bertprune as bp


def keys(model: Any) -> list[nn.Module]:
    return [layer.attention.self.key for layer in model.encoder.layer]


@pytest.fixture
def masked(tiny: Callable[..., Any]) -> Any:
    """Give a model whose keys are pruned by half."""
    model = tiny("BertModel")
    for key in keys(model):
        prune.l1_unstructured(key, "weight", amount=0.5)
    return model


@pytest.fixture
def baked(masked: Any) -> Any:
    """Give the same model baked."""
    return bp.bake(masked)


@pytest.fixture
def further(baked: Any) -> Any:
    """Give the baked model, with a quarter of the first layer's key masked, all of it zero already."""
    prune.l1_unstructured(keys(baked)[0], "weight", amount=0.25)
    return baked


def cells(figure: Any) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def legend(figure: Any) -> str:
    return str(figure.axes[-1].get_title("right"))


def test_a_heatmap_of_a_baked_model_shows_its_zeros_and_names_them(baked: Any) -> None:
    figure = bp.figures.heatmap(baked)
    assert cells(figure) == ["50.0% zero"] * 2 and legend(figure) == "zero"
    assert list(bp.figures.cells(figure, bp.sparsity(baked))) == [(at, "attention.key") for at in (0, 1)]


def test_a_heatmap_tells_masks_from_zeros_and_colours_both(further: Any) -> None:
    figure = bp.figures.heatmap(further)
    assert cells(figure) == ["25.0%\n25.0% zero", "50.0% zero"]
    assert legend(figure) == "masked + zero, the rest is alive"
    assert figure.axes[0].collections[0].get_array().ravel().tolist() == [0.5, 0.5]
    korean = bp.figures.heatmap(further, {"zero": "0인 값", "gone": "전부"})
    assert cells(korean)[1] == "50.0% 0인 값" and legend(korean) == "전부"


def test_a_model_of_an_unknown_family_is_drawn_with_its_zeros() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    prune.l1_unstructured(model[0], "weight", amount=8)
    bp.bake(model)
    assert cells(bp.figures.heatmap(model)) == ["50.0% zero"]


def test_zeros_of_biases_and_padding_are_no_sign_of_pruning(tiny: Callable[..., Any]) -> None:
    report = bp.sparsity(tiny("BertForMaskedLM"))
    assert report.model.zero and not [one.name for one in report.tensors if one.is_zeroed]


def test_tables_and_groups_show_baked_matrices_next_to_pruned_ones(further: Any) -> None:
    report = bp.sparsity(further)
    assert [one.name for one in report.rows] == [f"encoder.layer.{at}.attention.self.key.weight" for at in (0, 1)]
    assert [(one.masked, one.zero) for one in report.by("layer").values()] == [(256, 256), (0, 512)]
    assert report.by("role")["attention.key"] == report.rows[0].count + report.rows[1].count
    assert "512 (50.00%)" in report.to_text() and report.to_frame()["zero"].tolist() == [256, 512]
    assert report.total == report.rows[0].count


def test_a_comparison_shows_zeros_beside_masks(masked: Any, tiny: Callable[..., Any]) -> None:
    sparse = bp.sparsity(masked)
    baked = bp.sparsity(bp.bake(masked))
    found = bp.compare(sparse, baked)
    assert [(one.name, one.differs) for one in found.tensors] == [(one.name, True) for one in sparse.targets]
    assert [side.shares_text for side in found.total] == ["50.00%", "0.00% + 50.00% zero"]
    assert cells(bp.figures.difference(found)) == ["-50.0\n+50.0 zero"] * 2
    against = bp.compare(baked, bp.sparsity(tiny("BertModel")))
    assert [one.second.zero for one in against.tensors] == [0, 0] and against.tensors[0].differs
    assert not bp.compare(baked, baked).tensors[0].differs


def test_a_histogram_counts_zeros_by_themselves() -> None:
    weight = torch.cat([torch.zeros(30), torch.linspace(1, 2, 70)])
    legend = bp.figures.histogram(weight).axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["kept: 70 (70.00%)", "zero: 30 (30.00%)"]
    mask = torch.arange(100) >= 10
    legend = bp.figures.histogram(weight, mask).axes[0].get_legend()
    assert [text.get_text().split(":")[0] for text in legend.get_texts()] == ["kept", "removed", "zero"]

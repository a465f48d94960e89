"""Figures show the report's own numbers, in English or Korean, on any background, without pyplot."""

import io
import sys
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from matplotlib.image import imread
from torch import nn
from torch.nn.utils import prune

from bertprune.errors import BertpruneError
from bertprune.reports import figures
from bertprune.reports.canvas import text_colour
from bertprune.reports.compare import compare
from bertprune.reports.sparsity import sparsity

KOREAN = {"layer": "층", "outside": "층 바깥", "attention.key": "어텐션\n키", "sparsity": "희소성", "removed": "제거됨"}


def pixels(figure):
    file = io.BytesIO()
    figure.savefig(file, format="raw")
    return np.frombuffer(file.getvalue(), np.uint8).reshape(-1, 4)


def words(figure):
    figure.draw_without_rendering()
    return {text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text")) if text.get_text()}


@pytest.fixture
def pruned(tiny):
    model = tiny("BertForMaskedLM")
    for number, layer in enumerate(model.bert.encoder.layer):
        prune.l1_unstructured(layer.attention.self.key, "weight", amount=0.25 + number / 4)
    prune.l1_unstructured(model.bert.encoder.layer[1].output.dense, "weight", amount=0.125)
    prune.l1_unstructured(model.cls.predictions.transform.dense, "weight", amount=0.75)
    return sparsity(model)


def test_a_heatmap_has_each_number_in_its_cell(pruned):
    inside, outside, bar = figures.heatmap(pruned).axes
    assert [text.get_text() for text in inside.texts] == ["25.0%", "50.0%", "12.5%"]
    assert inside.collections[0].get_array().filled(np.nan).shape == (2, 2)
    assert np.isnan(inside.collections[0].get_array().filled(np.nan)[0, 1])
    assert [label.get_text() for label in inside.get_yticklabels()] == ["0", "1"]
    assert [label.get_text() for label in inside.get_xticklabels()] == ["attention\nkey", "ffn\noutput"]
    assert [label.get_text() for label in outside.get_yticklabels()] == ["outside"]
    assert [text.get_text() for text in outside.texts] == ["75.0%"]
    assert inside.get_xlim() == outside.get_xlim()
    assert bar.get_title("right") == "sparsity"


def test_layers_count_from_zero_even_where_the_first_have_no_target(tiny):
    model = tiny("BertModel", num_hidden_layers=3)
    prune.l1_unstructured(model.encoder.layer[2].attention.self.key, "weight", amount=0.5)
    axes = figures.heatmap(sparsity(model)).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["0", "1", "2"]
    assert np.isnan(axes.collections[0].get_array().filled(np.nan)[:2]).all()


def test_colours_span_all_shares_so_that_runs_can_be_compared(tiny, subtests):
    for amounts in [(1.0, 1.0), (0.5, 0.5), (0.125, 0.875)]:
        with subtests.test(str(amounts)):
            model = tiny("BertModel")
            for layer, amount in zip(model.encoder.layer, amounts, strict=True):
                prune.l1_unstructured(layer.attention.self.key, "weight", amount=amount)
            assert figures.heatmap(sparsity(model)).axes[0].collections[0].get_clim() == (0.0, 1.0)


def test_a_model_of_an_unknown_family_is_drawn_by_module_and_tensor():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    prune.l1_unstructured(model[0], "weight", amount=4)
    prune.l1_unstructured(model[1], "bias", amount=2)
    axes = figures.heatmap(sparsity(model)).axes[0]
    assert [text.get_text() for text in axes.texts] == ["25.0%", "50.0%"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["weight", "bias"]


def test_without_a_mask_the_heatmap_says_so(tiny):
    assert words(figures.heatmap(sparsity(tiny("BertModel")))) == {"no tensor has a mask"}


def test_all_words_can_be_other_ones(pruned):
    seen = words(figures.heatmap(pruned, KOREAN))
    assert {"층", "층 바깥", "어텐션\n키", "희소성"} <= seen
    assert not seen & {"layer", "outside", "sparsity"}
    assert "50.00% 제거됨" in " ".join(words(figures.mask(torch.tensor([1, 0]), KOREAN)))


def test_korean_is_drawn_without_a_missing_letter(tiny, pruned, subtests):
    weight, baked = torch.randn(50), tiny("BertModel")
    nn.init.zeros_(baked.encoder.layer[0].attention.self.key.weight)
    words = {**KOREAN, "kept": "남음", "values": "개수", "cut": "자르는 값", "zero": "0인 값"}
    drawn = {
        "heatmap": figures.heatmap(pruned, words),
        "zeros": figures.heatmap(sparsity(baked), words),
        "histogram": figures.histogram(weight, weight.abs() > 0.5, words, "가중치"),
    }
    for (name, figure), form in product(drawn.items(), ("png", "svg", "pdf")):
        with subtests.test(f"{name}, {form}"):
            figure.savefig(io.BytesIO(), format=form)  # a letter that no font has gives a warning, which fails a test


def test_grey_text_is_readable_on_light_and_dark_pages(subtests):
    for page in ["white", "#0b0f19"]:
        with subtests.test(page):

            def luminance(colour):
                parts = (
                    part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(colour)
                )
                return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), parts, strict=True)) + 0.05

            one, other = luminance(page), luminance(figures.GREY)
            assert max(one, other) / min(one, other) > 3.5


def test_text_is_black_on_light_cells_and_white_on_dark_ones():
    cells = [(1, 1, 1), (0.9, 0.6, 0.4), (0.3, 0.1, 0.4), (0, 0, 0)]
    assert [text_colour(cell) for cell in cells] == ["black", "black", "white", "white"]


def test_every_background_is_transparent_and_pyplot_has_no_figure(pruned):
    drawn = [figures.heatmap(pruned), figures.histogram(torch.randn(99)), figures.mask(torch.ones(3, 3))]
    for figure in drawn:
        assert pixels(figure)[0, 3] == 0
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or pyplot.get_fignums() == []


def heights(axes):
    return [one.get_data().values - one.get_data().baseline for one in axes.patches]


def bars(axes):
    return [int(one.sum()) for one in heights(axes)]


def test_a_histogram_of_weights_alone():
    axes = figures.histogram(torch.randn(1000), title="key.weight").axes[0]
    assert bars(axes) == [1000]
    assert axes.get_legend() is None
    assert axes.get_title() == "key.weight"


def test_a_histogram_colours_and_counts_what_is_removed_and_marks_the_cut():
    weight = torch.linspace(-1, 1, 1001)
    mask = weight.abs() > 0.31
    axes = figures.histogram(weight, mask).axes[0]
    removed = int((~mask).sum())
    assert bars(axes) == [1001 - removed, removed]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        f"kept: {1001 - removed} ({(1001 - removed) / 1001:.2%})",
        f"removed: {removed} ({removed / 1001:.2%})",
    ]
    low, high = sorted(line.get_xdata()[0] for line in axes.lines)
    assert weight[~mask].abs().max() < high < weight[mask].abs().min()
    assert low == -high
    kept, gone = heights(axes)
    assert not any(a and b for a, b in zip(kept, gone, strict=True))


def test_no_cut_is_marked_where_all_or_nothing_is_removed(subtests):
    for kept in [1.0, 0.0]:
        with subtests.test(str(kept)):
            assert not figures.histogram(torch.randn(99), torch.full((99,), kept)).axes[0].lines


def test_no_cut_is_marked_where_magnitude_did_not_decide():
    weight = torch.linspace(-1, 1, 100)
    axes = figures.histogram(weight, torch.arange(100) % 2 == 0).axes[0]
    assert not axes.lines
    assert bars(axes) == [50, 50]


def test_a_tiny_cut_does_not_make_a_million_bars():
    weight = torch.cat([torch.full((50,), 1e-9), torch.linspace(1, 2, 50)])
    axes = figures.histogram(weight, weight > 0.5).axes[0]
    assert bars(axes) == [50, 50]
    assert len(heights(axes)[0]) <= 1200


def test_any_dtype_and_values_that_are_not_finite(subtests):
    for dtype in [torch.float64, torch.float16, torch.bfloat16]:
        with subtests.test(str(dtype)):
            weight = torch.tensor([1.0, float("nan"), float("inf"), -1.0], dtype=dtype, requires_grad=True)
            assert bars(figures.histogram(weight, torch.tensor([1, 1, 1, 0])).axes[0]) == [1, 1]


def test_histograms_of_nothing_are_refused():
    with pytest.raises(BertpruneError, match=r"needs values; the tensor of shape \(3, 0\) has none"):
        figures.histogram(torch.zeros(3, 0))
    with pytest.raises(BertpruneError, match="has none"):
        figures.histogram(torch.zeros(3, device="meta"))
    with pytest.raises(BertpruneError, match=r"the mask has shape \(2,\) and the tensor \(3,\)"):
        figures.histogram(torch.zeros(3), torch.ones(2))


def shown(figure):
    return figure.axes[0].images[0].get_array().filled(np.nan)


def test_a_small_mask_is_drawn_exactly():
    mask = torch.rand(30, 40) < 0.5
    assert (shown(figures.mask(mask)) == (~mask).numpy()).all()
    assert (shown(figures.mask(mask.float())) == (~mask).numpy()).all()
    assert "30×40" in figures.mask(mask).axes[0].get_title()


@settings(deadline=None, max_examples=12)
@given(rows=st.integers(1, 700), columns=st.integers(1, 1100), seed=st.integers(0, 9))
def test_a_large_mask_is_drawn_as_shares_of_blocks(rows, columns, seed):
    removed = torch.rand(rows, columns, generator=torch.Generator().manual_seed(seed)) < 0.3
    shares = shown(figures.mask(~removed))
    most = 256 if rows > 1 else 1024
    high, wide = -(-rows // most), -(-columns // most)
    assert shares.shape == (-(-rows // high), -(-columns // wide))
    for row in {0, len(shares) - 1}:
        for column in {0, shares.shape[1] - 1}:
            block = removed[row * high : (row + 1) * high, column * wide : (column + 1) * wide]
            assert shares[row, column] == pytest.approx(float(block.float().mean()))


def test_vectors_and_tensors_of_more_dimensions_are_drawn_too():
    assert shown(figures.mask(torch.ones(768))).shape == (1, 768)
    assert shown(figures.mask(torch.ones(4, 3, 2))).shape == (4, 6)
    assert shown(figures.mask(torch.tensor(1))).shape == (1, 1)
    with pytest.raises(BertpruneError, match=r"mask of shape \(0,\) has no values"):
        figures.mask(torch.ones(0))


def test_cells_are_where_they_are_drawn(pruned):
    figure = figures.heatmap(pruned)
    boxes = figures.cells(figure, pruned)
    assert boxes.keys() == pruned.matrix().keys()
    drawn = figure.axes[0].collections[0]
    seen = imread(io.BytesIO(figures.png(figure)))

    def colour_at(x, y):
        return tuple(seen[int(y * seen.shape[0]), int(x * seen.shape[1]), :3])

    for key, (left, top, width, height) in boxes.items():
        colour = drawn.cmap(drawn.norm(pruned.matrix()[key].sparsity))[:3]
        for x, y in ((0.1, 0.15), (0.9, 0.85)):
            assert colour_at(left + x * width, top + y * height) == pytest.approx(colour, abs=0.01), key
        assert colour_at(left - 0.01, top - 0.01) != pytest.approx(colour, abs=0.01)


def test_cells_of_a_model_of_an_unknown_family_are_keyed_by_module_and_tensor():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    prune.l1_unstructured(model[1], "bias", amount=2)
    report = sparsity(model)
    assert list(figures.cells(figures.heatmap(report), report)) == [("1", "bias")]
    bare = sparsity(nn.Linear(2, 2))
    assert figures.cells(figures.heatmap(bare), bare) == {}


def test_a_difference_is_signed_and_its_colours_are_symmetric(tiny):
    first, second = tiny("BertModel"), tiny("BertModel")
    prune.l1_unstructured(first.encoder.layer[0].attention.self.key, "weight", amount=0.5)
    prune.l1_unstructured(second.encoder.layer[1].attention.self.query, "weight", amount=0.25)
    found = compare(first, second)
    axes = figures.difference(found).axes[0]
    assert [text.get_text() for text in axes.texts] == ["-50.0", "+25.0"]
    assert axes.collections[0].get_clim() == (-0.5, 0.5)
    assert figures.difference(compare(first, first)).axes[0].collections[0].get_clim() == (-0.05, 0.05)
    assert figures.cells(figures.difference(found), found).keys() == found.matrix().keys()
    assert words(figures.difference(found, {"difference": "차이"})) >= {"차이"}

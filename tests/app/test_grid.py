"""Cells of the grid of roles × layers as a selection."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import ModernBertConfig, ModernBertModel

import bertprune as bp
from app.errors import PageError
from app.offers import Cell, cells_in, cells_of, default_cells, layers_of, to_selection

QUERY, KEY = "attention.query", "attention.key"


@pytest.fixture
def checkpoint(tiny_folder: Callable[..., Path]) -> bp.Checkpoint:
    return bp.Checkpoint.open(tiny_folder("BertForMaskedLM"))


@pytest.fixture
def there(checkpoint: bp.Checkpoint) -> dict[Cell, list[str]]:
    return cells_of(bp.tree(checkpoint.skeleton()))


def test_the_grid_has_what_the_model_has(there: dict[Cell, list[str]]) -> None:
    assert list(dict.fromkeys(role for role, _ in there))[:3] == [QUERY, KEY, "attention.value"]
    assert ("embeddings.word", None) in there
    assert layers_of(there) == (0, 1)
    assert default_cells(there) == [(role, layer) for role in (QUERY, KEY, "attention.value") for layer in (0, 1)]


def test_a_block_of_cells_becomes_roles_and_layers(there: dict[Cell, list[str]]) -> None:
    assert to_selection([(KEY, 1), (KEY, 0), (QUERY, 0), (QUERY, 1)], there) == {"roles": (QUERY, KEY)}
    assert to_selection([(KEY, 1), (QUERY, 1)], there) == {"roles": (QUERY, KEY), "layers": (1,)}
    assert to_selection([("head", None)], there) == {"roles": ("head",)}
    assert to_selection(there, there).keys() == {"roles"}
    assert not any(to_selection([], there).values())
    assert not any(to_selection([(KEY, 7)], there).values())


def test_other_cells_become_patterns_of_module_names(there: dict[Cell, list[str]]) -> None:
    said = to_selection([(QUERY, 0), (QUERY, 1), (KEY, 1)], there)
    assert said == {
        "include": ("bert.encoder.layer.{0,1}.attention.self.query", "bert.encoder.layer.1.attention.self.key")
    }
    assert "bert.embeddings.word_embeddings" in to_selection([(QUERY, 0), ("embeddings.word", None)], there)["include"]


CELLS = [
    [(QUERY, 0), (QUERY, 1), (KEY, 1)],
    [(QUERY, 0), ("embeddings.word", None), ("head", None)],
    [(KEY, 0), ("ffn.output", 1), ("ffn.intermediate", 0)],
]


def test_the_patterns_match_exactly_the_cells(
    checkpoint: bp.Checkpoint, there: dict[Cell, list[str]], subtests: pytest.Subtests
) -> None:
    for cells in CELLS:
        with subtests.test(str(cells)):

            def targets(**given: Any) -> set[str]:
                step = bp.Step(method="l1_unstructured", fraction=0.5, select=bp.Selection(**given))
                return set(bp.preview(checkpoint, step).steps[0].targets)

            by_role = [targets(roles=[role], **({} if layer is None else {"layers": [layer]})) for role, layer in cells]
            assert targets(**to_selection(cells, there)) == set().union(*by_role)


def test_anything_else_than_cells_from_the_browser_is_ignored() -> None:
    assert cells_in([[KEY, 0], [KEY, 0], ["pooler", None]]) == ((KEY, 0), ("pooler", None))
    for sent in (None, "x", 7, [], {"on": 7}, [[KEY], ["no", 0], [KEY, "0"], [KEY, True], 7, [[1], {}]]):
        assert cells_in(sent) == ()


def test_a_part_of_a_fused_projection_is_selected_by_role_and_path_or_refused() -> None:
    values = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
    config = ModernBertConfig(**values, vocab_size=97, pad_token_id=0, bos_token_id=1, eos_token_id=2)
    model = ModernBertModel(config)
    there = cells_of(bp.tree(model))
    query, key, value = ("attention.query", "attention.key", "attention.value")
    assert to_selection([(query, 0)], there) == {"roles": (query,), "layers": (0,)}
    mixed = to_selection([(query, 0), ("ffn.output", 1)], there)
    assert mixed == {"roles": (query, "ffn.output"), "include": ("layers.0.attn.Wqkv", "layers.1.mlp.Wo")}
    outcome = bp.apply(model, bp.Step(method="l1_unstructured", fraction=0.5, select=bp.Selection(**mixed)))[0]
    assert [one.size for one in outcome.tensors] == [32 * 32, 32 * 48]
    whole = to_selection([(query, 0), (key, 0), (value, 0), ("ffn.output", 1)], there)
    assert whole == {"include": ("layers.0.attn.Wqkv", "layers.1.mlp.Wo")}
    with pytest.raises(PageError, match="holds query, key and value in one matrix"):
        to_selection([(query, 0), (key, 1)], there)

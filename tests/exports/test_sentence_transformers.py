"""A sentence-transformers folder stays one: the real library loads it and gives the right embeddings."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.utils import prune

import bertprune as bp

TEXTS = ["the film was good", "bad plot and boring music it was not very fine acting", "awful"]
STEP = bp.Step(method="l1_unstructured", fraction=0.5, select="encoder.*")
NOTHING = bp.Recipe(steps=[])

FORMS: dict[str, dict[str, Any]] = {
    "cls": {"pooling": "cls"},
    "mean, normalised": {"pooling": "mean", "normalize": True},
    "max, dense, normalised": {"pooling": "max", "dense": True, "normalize": True},
    "in a folder of its own": {"pooling": "cls", "dense": True, "inside": "0_Transformer"},
    "half": {"pooling": "cls", "dtype": "float16"},
    "roberta": {"pooling": "mean", "model_cls": "RobertaModel"},
}


def loaded(folder: Path) -> Any:
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(folder), device="cpu", local_files_only=True)


def embeddings(folder: Path) -> Any:
    return loaded(folder).encode(TEXTS)


def test_without_pruning_the_embeddings_are_the_same_bit_for_bit(
    sentence_folder: Callable[..., Path], tmp_path: Path, subtests: pytest.Subtests
) -> None:
    for form, options in FORMS.items():
        with subtests.test(form):
            folder = sentence_folder(**options)
            bp.export(bp.prune(folder, NOTHING), tmp_path / form)
            assert embeddings(tmp_path / form).tobytes() == embeddings(folder).tobytes()


@pytest.mark.parametrize("name", ["SentenceTransformer", "CrossEncoder", "SparseEncoder"])
def test_the_lines_of_the_card_load_the_folder(
    name: str, sentence_folder: Callable[..., Path], tiny_folder: Callable[..., Path], tmp_path: Path
) -> None:
    import sentence_transformers

    given, folder = {"CrossEncoder": "ForSequenceClassification", "SparseEncoder": "ForMaskedLM"}, sentence_folder()
    if name in given:
        plain = str(tiny_folder(f"Bert{given[name]}", **({"num_labels": 1} if name == "CrossEncoder" else {})))
        getattr(sentence_transformers, name)(plain, device="cpu").save_pretrained(str(folder := tmp_path / "given"))
    bp.export(bp.prune(folder, bp.Step(method="l1_unstructured", fraction=0.5, select="*.query")), tmp_path / "out")
    (code,) = re.findall("```python\n(.*?)```", (tmp_path / "out" / "README.md").read_text(), re.S)
    exec(code.replace("path/to/this/folder", str(tmp_path / "out")), found := {})
    model = found["model"]
    assert type(model).__name__ == name
    assert model.predict([("good", "bad")]).shape == (1,) if name == "CrossEncoder" else len(model.encode(["good"]))


def test_pruned_it_gives_what_plain_torch_gives(
    sentence_folder: Callable[..., Path], tmp_path: Path, subtests: pytest.Subtests
) -> None:
    for form, options in FORMS.items():
        with subtests.test(form):
            folder = sentence_folder(**options)
            bp.export(bp.prune(folder, STEP), tmp_path / form)
            by_torch = loaded(folder).float()
            for module in by_torch[0].model.encoder.modules():
                if isinstance(module, torch.nn.Linear):
                    prune.l1_unstructured(module, "weight", 0.5)
            ours = loaded(tmp_path / form).float().encode(TEXTS)
            np.testing.assert_allclose(ours, by_torch.encode(TEXTS), atol=1e-5)
            assert not np.allclose(ours, loaded(folder).float().encode(TEXTS), atol=1e-3)


@pytest.mark.parametrize("inside", ["", "0_Transformer"])
def test_every_form_keeps_the_layout_and_can_be_replaced(
    inside: str, sentence_folder: Callable[..., Path], tmp_path: Path
) -> None:
    folder = sentence_folder(dense=True, inside=inside)
    source = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    run = bp.prune(folder, STEP)
    for form in ("masked", "baked"):
        result = bp.export(run, tmp_path / "out", form, overwrite=True)
        weights = "model.safetensors" if form == "baked" else "masked.safetensors"
        kept = {
            str(Path(inside, weights)) if name == str(Path(inside, "model.safetensors")) else name for name in source
        }
        assert set(result.files) == kept | {"README.md", "recipe.yaml", "report.json"}
        back = bp.load(tmp_path / "out")
        ids = torch.tensor([[2, 40, 41, 3]])
        assert torch.equal(back(ids).last_hidden_state, run.model(ids).last_hidden_state)
    (tmp_path / "out" / "1_Pooling" / "mine.txt").write_text("x")
    with pytest.raises(bp.BertpruneError, match=r"contains 1_Pooling/mine\.txt, not written by an export"):
        bp.export(run, tmp_path / "out", overwrite=True)


def test_an_export_can_be_pruned_and_exported_again(sentence_folder: Callable[..., Path], tmp_path: Path) -> None:
    bp.export(bp.prune(sentence_folder("cls", dense=True), STEP), tmp_path / "one")
    bp.export(bp.prune(tmp_path / "one", NOTHING), tmp_path / "two")
    assert embeddings(tmp_path / "two").tobytes() == embeddings(tmp_path / "one").tobytes()


def test_a_pooling_that_changed_since_it_was_opened_is_not_written(
    sentence_folder: Callable[..., Path], tmp_path: Path
) -> None:
    folder = sentence_folder("cls")
    run = bp.prune(folder, STEP)
    (folder / "1_Pooling" / "config.json").write_text('{"embedding_dimension": 32, "pooling_mode": "max"}')
    with pytest.raises(bp.BertpruneError, match=r"config\.json has changed since"):
        bp.export(run, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_file_that_was_added_since_is_not_taken_along(sentence_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder = sentence_folder("cls")
    run = bp.prune(folder, STEP)
    (folder / "1_Pooling" / "more.json").write_text("{}")
    with pytest.raises(bp.BertpruneError, match=r"1_Pooling/more\.json was added since"):
        bp.export(run, tmp_path / "out")


def test_no_export_is_written_into_the_folder_of_its_source(sentence_folder: Callable[..., Path]) -> None:
    folder = sentence_folder("cls")
    run = bp.prune(folder, STEP)
    before = sorted(folder.rglob("*"))
    with pytest.raises(bp.BertpruneError, match="is inside a sentence-transformers folder"):
        bp.export(run, folder / "pruned")
    assert sorted(folder.rglob("*")) == before


def test_the_card_says_what_loads_it(sentence_folder: Callable[..., Path], tmp_path: Path) -> None:
    bp.export(bp.prune(sentence_folder(), STEP), tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text()
    assert "library_name: sentence-transformers" in card
    assert 'SentenceTransformer("path/to/this/folder")' in card

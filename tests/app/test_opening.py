"""Opening checkpoints, and the module tree, without a browser."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import bertprune as bp
from app.handlers import model
from app.session import Done, Shelf, Source
from app.settings import Settings
from app.tree import tree_value
from app.views.model import status

KEY = "bert.encoder.layer.0.attention.self.key"


def opened(shelf: Shelf, **wanted: Any) -> Source:
    return model.open_source(shelf, model.Wanted(**wanted), Source())


def test_a_folder_of_this_machine_is_opened_locally_and_never_when_hosted(source: Source) -> None:
    assert opened(Shelf(Settings()), kind="folder", path=source.given).given == source.given
    with pytest.raises(bp.BertpruneError, match="Open a checkpoint first"):
        opened(Shelf(Settings.for_strangers()), kind="folder", path=source.given)


def test_a_hub_id_is_never_a_path(shelf: Shelf, subtests: pytest.Subtests) -> None:
    for given in ["/etc", "../x", "a/b/c", "~/x", "org/na me", "org/.."]:
        with subtests.test(given), pytest.raises(bp.BertpruneError, match=r"is not a Hub id"):
            opened(shelf, kind="hub", hub_id=given)


def test_a_folder_beside_the_server_is_not_a_hub_id(
    shelf: Shelf, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(source.given)
    monkeypatch.chdir(folder.parent.parent)
    with pytest.raises(bp.BertpruneError, match="the Hugging Face Hub cannot be reached"):
        opened(shelf, kind="hub", hub_id=f"{folder.parent.name}/{folder.name}")


def test_an_upload_is_opened_from_a_folder_of_its_own_and_replaces_the_last(
    shelf: Shelf, tiny_zip: Callable[..., Path]
) -> None:
    first = opened(shelf, kind="upload", files=[str(tiny_zip("one"))])
    assert first.shown == "one-upload"
    assert Path(first.folder or "").is_dir()
    second = model.open_source(shelf, model.Wanted("upload", files=[str(tiny_zip("two"))]), first)
    assert not Path(first.folder or "").exists()
    assert shelf.checkpoint(second).facts.architecture == "BertForSequenceClassification"


def test_a_refused_upload_leaves_nothing_behind(shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    homes: list[Path] = []

    def home() -> Path:
        homes.append(tmp_path / f"home{len(homes)}")
        homes[-1].mkdir()
        return homes[-1]

    monkeypatch.setattr(model, "new_folder", home)
    bad = tmp_path / "bad.zip"
    with zipfile.ZipFile(bad, "w") as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("model.safetensors", "no header")
    for files in ([str(bad)], [str(tmp_path / "bad.zip"), str(bad)]):
        with pytest.raises(bp.BertpruneError):
            opened(shelf, kind="upload", files=files)
    assert len(homes) == 2
    assert not [path for path in homes if path.exists()]


def test_the_choices_come_from_the_tree(shelf: Shelf, source: Source) -> None:
    there = model.choices_of(shelf.tree(source))
    assert dict(there.types)["Linear"] == 14
    assert there.first == KEY


def test_the_tree_folds_equal_layers_and_has_sparsity(shelf: Shelf, source: Source, done: Done) -> None:
    value = tree_value("en", "tiny", shelf.tree(source), KEY, shelf.run(done).report)
    layers = find(value["nodes"], lambda node: node.get("g"))
    assert (layers["n"], layers["t"], len(layers["k"])) == ("0–1", "2 × BertLayer", 2)
    key = find(value["nodes"], lambda node: node["p"] == KEY)
    assert key["m"] == pytest.approx(307 / (1024 + 32))
    assert 0 < layers["m"] < key["m"]
    untouched = tree_value("en", "tiny", shelf.tree(source), KEY)
    assert find(untouched["nodes"], lambda node: node["p"] == KEY)["m"] is None


def find(nodes: list[dict[str, Any]], wanted: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    stack = list(nodes)
    while stack:
        node = stack.pop(0)
        if wanted(node):
            return node
        stack = node["k"] + stack
    raise AssertionError("no such node")


def test_names_from_outside_are_text_and_not_markup(shelf: Shelf, source: Source) -> None:
    named = Source(source.given, shown="<script>alert(1)</script>")
    line = status("en", model.name_of(shelf, named), shelf.checkpoint(named))
    assert "<script>" not in line
    assert "&lt;script&gt;" in line

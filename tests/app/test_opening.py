"""Opening checkpoints, and the module tree, without a browser."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import bertprune as bp
from app import opening
from app.opening import first_module, open_given, open_upload
from app.runs import RunKey, Source
from app.settings import Settings
from app.store import Store
from app.tabs.bar import show_bar
from app.tabs.inspector import tree_value
from app.tabs.model import open_checkpoint, opened, show_facts
from app.visit import Visit
from app.visitors import Visitor
from tests.app.conftest import nothing

KEY = "bert.encoder.layer.0.attention.self.key"


def test_a_folder_of_this_machine_is_opened_locally_and_never_when_hosted(source: Source) -> None:
    assert open_given(Store(Settings()), source.given).given == source.given
    with pytest.raises(bp.BertpruneError, match="is not a Hub id"):
        open_given(Store(Settings.for_strangers()), source.given)


def test_a_hub_id_is_never_a_path(subtests: pytest.Subtests) -> None:
    store = Store(Settings.for_strangers())
    for given in [
        "/etc",
        "../x",
        "a/b/c",
        "~/x",
        "org/na me",
        "org/..",
        "https://example.org/a/b",
        "file:///etc/passwd",
    ]:
        with subtests.test(given), pytest.raises(bp.BertpruneError, match=r"is not a Hub id"):
            open_given(store, given)


ADDRESSES = ["org/name@v1", "https://huggingface.co/org/name/tree/v1", "https://hf.co/org/name/tree/v1/"]


def test_an_address_of_the_hub_is_its_id(
    store: Store, monkeypatch: pytest.MonkeyPatch, subtests: pytest.Subtests
) -> None:
    asked: list[Source] = []
    monkeypatch.setattr(Store, "checkpoint", lambda self, source: asked.append(source))
    for given in ADDRESSES:
        with subtests.test(given):
            assert open_given(store, given) == Source("org/name", "v1", local=False) == asked[-1]
    assert open_given(store, "https://huggingface.co/org/name?x=1").revision is None


def test_a_folder_beside_the_server_is_not_a_hub_id(
    store: Store, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(source.given)
    monkeypatch.chdir(folder.parent.parent)
    with pytest.raises(bp.BertpruneError, match="the Hugging Face Hub cannot be reached"):
        open_given(store, f"{folder.parent.name}/{folder.name}")


def test_of_several_choices_the_last_one_counts(store: Store, tiny_zip: Callable[..., Path]) -> None:
    visitor = Visitor(Visit())
    slow = open_checkpoint(store, visitor, {"files": [str(tiny_zip("one"))]}, nothing)
    fast = open_checkpoint(store, visitor, {"files": [str(tiny_zip("two"))]}, nothing)
    visitor.put(fast(visitor.visit))
    visitor.put(slow(visitor.visit))  # ends later than the one that was chosen after it
    assert visitor.visit.source.shown == "two-upload"
    assert len(visitor.visit.runs) == 1
    assert Path(visitor.visit.source.folder or "").is_dir()


def test_a_refused_upload_leaves_nothing_behind(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    homes: list[Path] = []

    def home() -> Path:
        homes.append(tmp_path / f"home{len(homes)}")
        homes[-1].mkdir()
        return homes[-1]

    monkeypatch.setattr(opening, "new_folder", home)
    bad = tmp_path / "bad.zip"
    with zipfile.ZipFile(bad, "w") as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("model.safetensors", "no header")
    for files in ([str(bad)], [str(tmp_path / "bad.zip"), str(bad)]):
        with pytest.raises(bp.BertpruneError):
            open_upload(store, files)
    assert len(homes) == 2
    assert not [path for path in homes if path.exists()]


def test_the_first_module_is_the_tutorials(store: Store, source: Source) -> None:
    assert first_module(store.tree(source)) == KEY


def test_the_card_says_what_a_model_is_for_and_what_can_be_pruned(
    store: Store, visit: Visit, tiny_folder: Callable[..., Path]
) -> None:
    shown = show_facts(store, visit)
    for words in ("sorting texts into classes", "2 layers with", "a file of yours with texts and labels"):
        assert words in shown
    embedding = opened(store, Visit(), Source(str(tiny_folder("BertModel")), shown="embedding"))
    assert "embedding texts" in show_facts(store, embedding)
    assert "film reviews that come with the package" in show_facts(store, opened(store, Visit(), Source("demo")))


def test_the_tree_folds_equal_layers_and_has_sparsity(store: Store, source: Source, done: RunKey) -> None:
    value = tree_value("en", "tiny", store.tree(source), KEY, store.run(done).report)
    layers = find(value["nodes"], lambda node: node.get("g"))
    assert (layers["n"], layers["t"], len(layers["k"])) == ("0–1", "2 × BertLayer", 2)
    key = find(value["nodes"], lambda node: node["p"] == KEY)
    assert key["m"] == pytest.approx(307 / (1024 + 32))
    assert 0 < layers["m"] < key["m"]
    untouched = tree_value("en", "tiny", store.tree(source), KEY)
    assert find(untouched["nodes"], lambda node: node["p"] == KEY)["m"] is None


def find(nodes: list[dict[str, Any]], wanted: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    stack = list(nodes)
    while stack:
        node = stack.pop(0)
        if wanted(node):
            return node
        stack = node["k"] + stack
    raise AssertionError("no such node")


def test_names_from_outside_are_text_and_not_markup(store: Store, source: Source) -> None:
    named = Source(source.given, shown="<script>alert(1)</script>")
    visit = opened(store, Visit(), named)
    for shown in (show_bar(store, visit), show_facts(store, visit)):
        assert "<script>" not in shown
        assert "&lt;script&gt;" in shown

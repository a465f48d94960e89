"""The page in a real browser: from the arrival to a checkpoint in the downloads, whole ways at once."""

import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from browsing import NAMELESS, dismiss, press, prune, raw_texts, saved, toast, upload, view

import bertprune as bp
from app.page import PANELS

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]


def test_upload_prune_inspect_measure_and_export(
    visit: Callable[..., Any], tiny_zip: Callable[..., Path], tmp_path: Path
) -> None:
    from playwright.sync_api import expect
    from transformers import BertForSequenceClassification

    page = visit()
    upload(page, tiny_zip("mine"))
    expect(page.locator("#facts")).to_contain_text("BertForSequenceClassification")
    expect(page.locator("#inspector h2")).to_have_text("bert.encoder.layer.0.attention.self.key")
    view(page, "recipe")
    page.locator("#cards select[name=preset]").select_option("columns")
    cards = page.locator("#cards .bp-step")
    expect(cards).to_have_count(3)
    expect(cards.nth(1).locator(".bp-bad")).to_contain_text("50")  # a bias of 32 entries cannot lose 50
    expect(page.locator("#bar [data-do=prune]")).to_have_count(0)
    cards.nth(1).get_by_role("button", name="Remove step 2").click()
    expect(cards).to_have_count(2)
    expect(cards.first).to_contain_text("307 would be pruned")
    cards.last.locator(".bp-card-open").click()
    percent = cards.last.locator("input[name=percent][type=text]")
    percent.fill("50")
    expect(cards.last).to_contain_text("50%")
    expect(percent).to_be_focused()
    prune(page)
    expect(page.locator("#run")).to_contain_text("weights masked")
    after = page.locator("#changes .bp-after")
    for word in (
        "weight_orig",
        "weight_mask",
        "MulBackward0",
        "PruningContainer",
        "RandomUnstructured",
        "LnStructured",
    ):
        expect(after).to_contain_text(word)
    expect(page.locator("#map .bp-map-cell").first).to_be_visible()
    expect(page.locator("#pictures img")).to_have_count(2)
    measure_on_a_file(page, tmp_path / "reviews.csv")
    view(page, "export")
    press(page, "forms", "build", form="baked")
    expect(page.locator("#forms")).to_contain_text("bit for bit")
    archive = saved(page, page.locator("#forms [data-do=download]").first, tmp_path)
    assert archive.name == "mine-upload-baked.zip"
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(tmp_path / "baked")
    folder = next((tmp_path / "baked").iterdir())
    recipe = bp.Recipe.load(folder / "recipe.yaml")
    assert [(step.method, step.fraction) for step in recipe.steps] == [
        ("random_unstructured", 0.3),
        ("ln_structured", 0.5),
    ]
    loaded = BertForSequenceClassification.from_pretrained(folder).state_dict()
    expected = bp.bake(bp.prune(tmp_path / "mine", recipe, seed=0).model).state_dict()
    assert all(bool((expected[name] == loaded[name]).all()) for name in expected)
    reload_brings_everything_back(visit, page)


def measure_on_a_file(page: Any, table: Path) -> None:
    from playwright.sync_api import expect

    texts = ["the film was good", "the plot is bad", "great acting and fine music", "boring awful film"] * 5
    table.write_text("text,label\n" + "\n".join(f"{text},{at % 2}" for at, text in enumerate(texts)))
    view(page, "cost")
    expect(page.locator("#quality")).to_contain_text("There are no texts for this model yet")
    page.locator("#cost-file input[type=file]").set_input_files(str(table))
    expect(page.locator("#quality")).to_contain_text("20 texts of reviews.csv")  # measured by itself
    view(page, "runs")
    expect(page.locator("#runs")).to_contain_text("±")


def reload_brings_everything_back(visit: Any, page: Any) -> None:
    from playwright.sync_api import expect

    visit.reload(page)
    expect(page.locator("#panel-export")).to_be_visible()
    expect(page.locator("#bar").get_by_text("mine-upload", exact=True)).to_be_visible()
    expect(page.locator("#forms [data-do=download]")).to_have_count(1)
    view(page, "runs")
    expect(page.locator("#runs")).to_contain_text("±")
    view(page, "recipe")
    expect(page.locator("#cards .bp-step")).to_have_count(2)
    page.go_back()
    expect(page.locator("#panel-runs")).to_be_visible()


def test_from_the_arrival_to_a_smaller_checkpoint_in_few_clicks(visit: Callable[..., Any], tmp_path: Path) -> None:
    from playwright.sync_api import expect

    page = visit()
    page.get_by_role("button", name="Half the compute").click()
    expect(page.locator("#run")).to_contain_text("weights masked", timeout=300_000)
    page.locator("#panel-result").get_by_role("link", name="Next: export").click()
    press(page, "forms", "build", form="small")
    archive = saved(page, page.locator("#forms [data-do=download]"), tmp_path)
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(tmp_path)
    model = bp.load(tmp_path / archive.stem)
    assert sum(parameter.numel() for parameter in model.parameters()) < bp.Checkpoint.open("demo").facts.parameters


def test_runs_stay_sorted_when_they_are_drawn_again(visit: Callable[..., Any]) -> None:
    from playwright.sync_api import expect

    page = visit()
    for name in ("random", "global"):
        view(page, "model")
        press(page, "start", "preset", name=name)
        prune(page)
    view(page, "runs")
    numbers = page.locator("#runs tbody td:first-child")
    expect(numbers).to_have_text(["", "1", "2"])
    page.get_by_role("button", name="Sparsity").click()
    expect(numbers).to_have_text(["2", "1", ""])
    press(page, "runs", "run", run="1")
    expect(page.locator("#run h2")).to_contain_text("1. demo")
    view(page, "runs")
    expect(page.locator("#runs tr[aria-current]")).to_contain_text("random_unstructured")
    expect(numbers).to_have_text(["2", "1", ""])


def test_steps_the_tree_and_the_grid_by_keys_and_in_korean(visit: Callable[..., Any], tmp_path: Path) -> None:
    from playwright.sync_api import expect

    page = visit()
    view(page, "recipe")
    for _ in range(3):
        press(page, "cards", "add")
    cards = page.locator("#cards .bp-step")
    expect(cards).to_have_count(3)
    press(page, "cards", "undo")
    press(page, "cards", "undo")
    expect(cards).to_have_count(1)
    press(page, "cards", "redo")
    expect(cards).to_have_count(2)
    grid = page.locator("#cards .bp-cells")
    if not grid.count():
        cards.last.locator(".bp-card-open").click()
    cell = grid.get_by_role("button", name="attention.key, layer 1")
    expect(cell).to_have_attribute("aria-pressed", "true")
    cell.focus()
    page.keyboard.press("Space")
    expect(cell).to_have_attribute("aria-pressed", "false")
    expect(cards.last).to_contain_text("11 tensors")
    expect(cell).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(grid.get_by_role("button", name="attention.query, layer 1")).to_be_focused()
    cards.last.locator("select[name=method]").select_option("magnitude")
    cards.last.locator("select[name=granularity]").select_option("neuron")
    expect(cards.last).to_contain_text("neurons")
    expect(cards.last.locator(".bp-bad")).to_have_count(0)
    page.locator("#yaml summary").click()
    kept = saved(page, page.locator("#yaml [data-do=save]"), tmp_path)
    assert [step.granularity for step in bp.Recipe.load(kept).steps] == [None, "neuron"]
    page.locator("#yaml textarea").fill("a: [")
    press(page, "yaml", "yaml")
    expect(toast(page)).to_contain_text("This YAML is not a recipe")
    dismiss(page)
    walk_the_tree(page)
    page.locator("select[name=language]").select_option("ko")
    expect(page.locator(".bp-nav")).to_contain_text("레시피")
    for panel in PANELS:
        view(page, panel)
        assert not raw_texts(page), panel
    expect(page.locator("#bar").get_by_text("demo", exact=True)).to_be_visible()
    view(page, "recipe")
    expect(page.locator("#cards")).to_contain_text("단계 추가")
    visit.reload(page)
    expect(page.locator(".bp-nav")).to_contain_text("레시피")
    assert (
        "파일" in page.locator("#panel-model").inner_text() or "놓으세요" in page.locator("#panel-model").inner_text()
    )


def walk_the_tree(page: Any) -> None:
    from playwright.sync_api import expect

    tree = page.get_by_role("tree", name="Modules of the model")
    search = page.get_by_role("searchbox", name="Search modules")
    search.fill("pooler.dense")
    found = tree.get_by_role("treeitem", name=re.compile("^dense"))
    expect(found).to_have_count(1)
    found.click()
    expect(page.locator("#inspector h2")).to_contain_text("pooler.dense")
    search.fill("")
    chosen = tree.locator("[aria-selected=true]")
    chosen.focus()
    page.keyboard.press("Home")
    expect(tree.get_by_role("treeitem").first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#inspector h2")).to_contain_text("the whole model")
    search.fill("no such module")
    expect(page.get_by_text("No module name contains this.")).to_be_visible()
    search.fill("")


def test_no_width_scrolls_sideways_and_every_control_has_a_name(visit: Callable[..., Any]) -> None:
    from playwright.sync_api import expect

    page = visit()
    page.locator("#start [data-do=preset][data-name=global]").click()
    page.locator("#cards .bp-card-open").first.click()
    prune(page)
    expect(page.locator("#pictures img")).to_have_count(2)
    for width in (390, 820, 1280, 1920):
        page.set_viewport_size({"width": width, "height": 844})
        for panel in PANELS:
            view(page, panel)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (width, panel)
            assert page.evaluate(NAMELESS) == [], (width, panel)
            expect(page.locator("#bar [data-do=prune]")).to_be_in_viewport()

"""The page in a real browser: choose, prune, see, download; in English and Korean."""

import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from browsing import (
    NAMELESS,
    TABS,
    TABS_KO,
    choose,
    dismiss,
    fetched,
    fetched_after,
    open_tab,
    raw_texts,
    tab,
    toast,
    upload,
)

import bertprune as bp

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
    expect(page.locator("#inspector .bp-before")).to_contain_text("_forward_pre_hooks")
    expect(page.locator("#inspector .bp-before .bp-hooks")).to_contain_text("none")
    tab(page, "4 Cost")
    page.get_by_role("button", name="Measure before and after").click()
    expect(toast(page)).to_contain_text("Nothing is pruned yet")
    dismiss(page)

    tab(page, "2 Recipe")
    expect(page.locator("#preview")).to_contain_text("6 tensors")
    choose(page, "Recipes from the tutorial", "3. … and 30 %")
    expect(page.get_by_role("button", name="Remove step 3")).to_be_visible()
    expect(page.locator("#steps .bp-refused")).to_contain_text("50")  # a bias of 32 entries cannot lose 50
    page.get_by_role("button", name="Remove step 2").click()
    expect(page.get_by_role("button", name="Remove step 3")).to_have_count(0)
    expect(page.locator("#steps li").first).to_contain_text("would be pruned: 307")
    choose(page, "Method", "ln_structured")
    page.get_by_label("dim").fill("0")
    expect(page.locator("#preview")).to_contain_text("would be pruned")
    page.get_by_role("button", name="Prune", exact=True).click()

    expect(page.locator("#summary")).to_contain_text("Sparsity of these tensors")
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
    expect(page.locator("#changes .bp-before")).not_to_contain_text("weight_mask")
    expect(page.locator("#heatmap img")).to_be_visible()
    expect(page.locator("#mask img")).to_be_visible()
    page.get_by_label("Also show it baked").check()
    expect(page.locator("#changes .bp-baked")).not_to_contain_text("weight_orig")
    measure_on_a_file(page, tmp_path / "reviews.csv")

    tab(page, "5 Export")
    expect(page.locator("#estimate")).to_contain_text("Zeros do not make a dense file smaller")
    page.get_by_role("button", name="Build and check").click()
    expect(page.locator("#parcel")).to_contain_text("bit for bit")
    archive = fetched(page, "Download the zip", tmp_path)
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(tmp_path / "baked")
    folder = next((tmp_path / "baked").iterdir())
    recipe = bp.Recipe.load(folder / "recipe.yaml")
    assert [step.method for step in recipe.steps] == ["random_unstructured", "ln_structured"]
    loaded = BertForSequenceClassification.from_pretrained(folder).state_dict()
    expected = bp.bake(bp.prune(tmp_path / "mine", recipe, seed=0).model).state_dict()
    assert expected.keys() == loaded.keys()
    assert all(bool((expected[name] == loaded[name]).all()) for name in expected)

    page.get_by_role("radio", name=re.compile("^Masked")).check()
    page.get_by_role("button", name="Build and check").click()
    expect(page.locator("#parcel")).to_contain_text("masked.safetensors")
    with zipfile.ZipFile(fetched(page, "Download the zip", tmp_path)) as opened:
        opened.extractall(tmp_path / "masked")
    again = bp.load(next((tmp_path / "masked").iterdir()))
    assert bp.sparsity(again).total == bp.prune(tmp_path / "mine", recipe, seed=0).report.total


def measure_on_a_file(page: Any, table: Path) -> None:
    from playwright.sync_api import expect

    texts = ["the film was good", "the plot is bad", "great acting and fine music", "boring awful film"] * 5
    table.write_text("text,label\n" + "\n".join(f"{text},{at % 2}" for at, text in enumerate(texts)))
    tab(page, "4 Cost")
    page.get_by_role("radio", name="My own file").check()
    with page.expect_file_chooser() as chooser:
        page.locator("#cost-file button").first.click()
    chooser.value.set_files(str(table))
    expect(page.locator("#cost-file")).to_contain_text("reviews")
    page.get_by_role("button", name="Measure before and after").click()
    expect(page.locator("#quality").or_(toast(page))).to_contain_text("Accuracy")
    expect(page.locator("#quality")).to_contain_text("20 texts of reviews.csv")
    expect(page.locator("#status")).to_contain_text("Accuracy")


def test_steps_are_undone_moved_kept_as_yaml_and_there_when_one_comes_back(
    visit: Callable[..., Any], tmp_path: Path
) -> None:
    from playwright.sync_api import expect

    page = visit()
    tab(page, "2 Recipe")
    steps = page.locator("#steps li")
    page.get_by_role("button", name="Add this step").click()
    expect(steps).to_have_count(1)
    page.get_by_role("radio", name="Type", exact=True).check()
    page.get_by_role("button", name="Add this step").click()
    expect(toast(page)).to_contain_text("Select at least one type")
    dismiss(page)
    page.get_by_role("checkbox", name=re.compile("^Embedding")).check()
    expect(page.locator("#preview")).to_contain_text("would be pruned")
    page.get_by_role("button", name="Add this step").click()
    expect(steps).to_have_count(2)
    page.get_by_role("button", name="Move step 2 up").click()
    expect(steps.first).to_contain_text("Embedding")
    page.get_by_role("button", name="Undo", exact=True).click()
    expect(steps.last).to_contain_text("Embedding")
    page.get_by_role("button", name="Redo", exact=True).click()
    expect(steps.first).to_contain_text("Embedding")
    page.get_by_role("button", name="Recipe as YAML").click()
    saved = fetched_after(page, "Save as a file", tmp_path)
    assert [step.select.types for step in bp.Recipe.load(saved).steps] == [("Embedding",), ()]
    page.get_by_role("button", name="Remove step 1").click()
    expect(steps).to_have_count(1)
    later = fetched_after(page, "Save as a file", tmp_path / "later")
    assert [step.select.types for step in bp.Recipe.load(later).steps] == [()]
    page.get_by_role("button", name="Remove all").click()
    expect(steps).to_have_count(0)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Open a file").click()
    chooser.value.set_files(str(saved))
    expect(steps).to_have_count(2)
    tab(page, "4 Cost")
    go(page, page.go_back, "2 Recipe")
    go(page, page.go_back, "1 Model")
    go(page, page.go_forward, "2 Recipe")
    with visit.loading(page):
        page.goto("data:text/html,elsewhere")
    with visit.loading(page):
        page.go_back()
    expect(page.locator("#inspector h2")).to_be_attached()  # the recipe and the panel are kept by the browser
    expect(page.get_by_role("tab", name="2 Recipe")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#status")).to_contain_text("demo")
    expect(steps).to_have_count(2)
    expect(steps.first).to_contain_text("Embedding")


def go(page: Any, where: Callable[[], Any], panel: str) -> None:
    """Go back or forward in the browser's history to a panel."""
    from playwright.sync_api import expect

    where()
    expect(page.get_by_role("tab", name=panel)).to_have_attribute("aria-selected", "true")


def test_the_tree_is_searched_and_walked_by_keys(visit: Callable[..., Any]) -> None:
    from playwright.sync_api import expect

    page = visit()
    tree = page.get_by_role("tree", name="Modules of the model")
    search = page.get_by_role("searchbox", name="Search modules")
    search.fill("pooler.dense")
    found = tree.get_by_role("treeitem", name=re.compile("^dense"))
    expect(found).to_have_count(1)
    found.click()
    expect(page.locator("#inspector h2")).to_contain_text("pooler.dense")
    search.fill("")
    chosen = tree.locator("[aria-selected=true]")
    expect(chosen).to_have_count(1)
    chosen.focus()
    page.keyboard.press("Home")
    expect(tree.get_by_role("treeitem").first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#inspector h2")).to_contain_text("the whole model")
    page.keyboard.press("ArrowLeft")
    expect(tree.get_by_role("treeitem")).to_have_count(1)
    page.keyboard.press("ArrowRight")
    expect(tree.get_by_role("treeitem").nth(1)).to_be_visible()
    search.fill("no such module")
    expect(page.get_by_text("No module name contains this.")).to_be_visible()


def test_korean_from_the_browser_and_by_choice(visit: Callable[..., Any]) -> None:
    from playwright.sync_api import expect

    page = visit(locale="ko-KR")
    for name in TABS_KO:
        expect(page.get_by_role("tab", name=name, exact=True)).to_be_visible()
    expect(page.locator("#status")).to_contain_text("희소도")
    tab(page, "2 레시피")
    choose(page, "튜토리얼 레시피", "5. 전역")
    expect(page.get_by_role("button", name="1단계 지우기")).to_be_visible()
    page.get_by_role("radio", name="패턴").check()
    page.get_by_role("button", name="이 단계 추가").click()
    expect(toast(page)).to_contain_text("패턴을 하나 이상")
    title = "getComputedStyle(document.querySelector('.toast-title'), '::before').content"
    assert page.evaluate(title) == '"처리하지 못했습니다"'
    dismiss(page)
    page.get_by_role("button", name="가지치기", exact=True).click()
    expect(page.locator("#summary")).to_contain_text("모델의 희소도")
    expect(page.locator("#mask img")).to_be_visible()
    for name in TABS_KO:
        tab(page, name)
        assert not raw_texts(page), name
    tab(page, "2 레시피")
    expect(page.get_by_role("slider", name="슬라이더: 비율(%)")).to_be_visible()  # these are Gradio's own labels
    expect(page.get_by_role("button", name="처음 값으로")).to_have_count(1)
    page.get_by_role("button", name="YAML 레시피").click()
    expect(page.get_by_title("복사", exact=True).first).to_be_visible()
    choose(page, "언어", "English")
    expect(page.get_by_role("slider", name="range slider for Fraction in %")).to_be_visible()
    expect(page.get_by_title("Copy", exact=True).first).to_be_visible()
    expect(page.get_by_role("tab", name="5 Export", exact=True)).to_be_visible()
    expect(page.locator("#status")).to_contain_text("Sparsity")
    expect(page.locator("#summary")).to_contain_text("Sparsity of the model")
    visit.reload(page)
    expect(page.get_by_role("tab", name="1 Model", exact=True)).to_be_visible()
    expect(page.locator("#status")).to_contain_text("Sparsity")


def test_no_width_scrolls_sideways_and_every_control_has_a_name(visit: Callable[..., Any]) -> None:
    from playwright.sync_api import expect

    page = visit()
    tab(page, "2 Recipe")
    page.get_by_role("button", name="Prune", exact=True).click()
    expect(page.locator("#mask img")).to_be_visible()
    for width in (390, 768, 1920):
        page.set_viewport_size({"width": width, "height": 844})
        for name in TABS:
            open_tab(page, name)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (width, name)
            assert page.evaluate(NAMELESS) == [], (width, name)
            assert not raw_texts(page), (width, name)

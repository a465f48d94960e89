"""The workbench in a real browser: the grid, the heatmap that selects, what changed, two runs; in both languages."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from browsing import choose, fetched_after, raw_texts, tab, upload

import bertprune as bp

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]


def test_the_grid_works_by_mouse_and_keyboard_and_pruning_right_after_a_change_uses_it(
    visit: Callable[..., Any], tiny_zip: Callable[..., Path]
) -> None:
    page = visit()
    upload(page, tiny_zip("gridded"))
    tab(page, "2 Recipe")
    use_the_grid(page)
    prune_right_after_changes(page)


def use_the_grid(page: Any) -> None:
    from playwright.sync_api import expect

    grid, preview = page.get_by_role("grid", name="Roles and layers of this step"), page.locator("#preview")
    expect(preview).to_contain_text("6 tensors")
    expect(preview).to_contain_text("roles attention.query, attention.key, attention.value")
    cell = grid.get_by_role("gridcell", name="attention.key, layer 1")
    expect(cell).to_have_attribute("aria-selected", "true")
    cell.click()
    expect(cell).to_have_attribute("aria-selected", "false")
    expect(preview).to_contain_text("5 tensors")
    expect(preview).to_contain_text("include bert.encoder.layer.{0,1}.attention.self.query")
    grid.get_by_role("columnheader", name="layer 1, all roles").click()
    expect(preview).to_contain_text("9 tensors")
    grid.get_by_role("rowheader", name="attention.query, all layers").click()
    expect(preview).to_contain_text("7 tensors")
    grid.get_by_role("columnheader", name="all", exact=True).click()
    expect(grid.locator("td[aria-selected=false]")).to_have_count(0)
    expect(preview).to_contain_text("roles attention.query")
    grid.get_by_role("columnheader", name="all", exact=True).click()
    expect(preview).to_contain_text("Select at least one role")

    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    expect(grid.get_by_role("gridcell", name="attention.query, layer 0")).to_be_focused()
    page.keyboard.press("Space")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(preview).to_contain_text("2 tensors")
    page.keyboard.press("End")
    page.keyboard.press("Home")
    expect(grid.get_by_role("rowheader", name="attention.query, all layers")).to_be_focused()
    expect(grid.locator("[tabindex='0']")).to_have_count(1)
    page.get_by_role("button", name="Add this step").click()
    expect(page.locator("#steps li")).to_contain_text("roles attention.query")
    page.get_by_role("radio", name="Type", exact=True).check()
    expect(grid).to_have_count(0)
    page.get_by_role("radio", name="Roles and layers").check()
    expect(grid.get_by_role("gridcell", name="attention.query, layer 1")).to_have_attribute("aria-selected", "true")


DELAY = """() => {
  const fetched = window.fetch;
  window.fetch = async (place, request) => {
    const asked = String(place).includes('/queue/join') ? JSON.parse(request.body).data.at(-1) : null;
    if (['random', 'types'].includes(asked)) await new Promise((done) => setTimeout(done, 2500));
    return fetched(place, request);
  };
}"""
"""Have a recipe that is chosen reach the server after what is clicked next."""


def prune_right_after_changes(page: Any) -> None:
    from playwright.sync_api import expect

    expect(page.locator("#preview")).to_contain_text("would be pruned")
    page.evaluate(DELAY)
    for preset, steps in (("1. Key of the first layer", 1), ("4. By type", 2)):
        choose(page, "Recipes from the tutorial", preset)
        page.get_by_role("button", name="Prune", exact=True).click()
        expect(page.get_by_role("tab", name="3 Before and after")).to_have_attribute("aria-selected", "true")
        tab(page, "2 Recipe")
        expect(page.locator("#steps li")).to_have_count(steps)
        expect(page.get_by_text("weights are masked")).to_be_visible()
    # a second click that comes too early is dropped by the page, and pruning does not wait for it for ever
    page.get_by_role("button", name="Add this step").dblclick()
    page.get_by_role("button", name="Prune", exact=True).click()
    expect(page.get_by_role("tab", name="3 Before and after")).to_have_attribute("aria-selected", "true")
    tab(page, "2 Recipe")
    expect(page.get_by_text("weights are masked")).to_be_visible()


def prune_by(page: Any, preset: str) -> None:
    from playwright.sync_api import expect

    tab(page, "2 Recipe")
    choose(page, "Recipes from the tutorial", preset)
    expect(page.locator("#preview")).to_contain_text("would be pruned")
    page.get_by_role("button", name="Prune", exact=True).click()
    expect(page.get_by_role("tab", name="3 Before and after", exact=True)).to_have_attribute("aria-selected", "true")


def test_the_heatmap_selects_modules_and_unchanged_tensors_can_be_hidden(
    visit: Callable[..., Any], tiny_zip: Callable[..., Path]
) -> None:
    from playwright.sync_api import expect

    page = visit()
    upload(page, tiny_zip("drawn"))
    prune_by(page, "5. Global")
    map_ = page.locator("#heatmap")
    cell = map_.get_by_role("button", name="attention.value, layer 1")
    expect(cell).to_have_attribute("title", re.compile(r"\d\d\.\d\d% · [\d,]+ of 1,024$"))
    cell.click()
    expect(page.locator("#changes h2")).to_have_text("bert.encoder.layer.1.attention.self.value")
    expect(cell).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("treeitem", selected=True)).to_have_accessible_name(re.compile("^value Linear"))
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowLeft")
    expect(map_.get_by_role("button", name="attention.key, layer 0")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#changes h2")).to_have_text("bert.encoder.layer.0.attention.self.key")
    expect(page.locator("#mask img")).to_have_attribute("alt", "Mask of the selected module")
    box = page.evaluate(INSIDE, "#heatmap")
    assert box == [], "every button lies on the picture"

    expect(page.locator("#changes .bp-after")).to_contain_text("Unchanged, not shown: bias")
    expect(page.locator("#tensors")).to_contain_text("Pruned tensors (6)")
    page.get_by_role("radio", name="All tensors").check()
    expect(page.locator("#changes .bp-after")).not_to_contain_text("not shown")
    expect(page.locator("#tensors")).to_contain_text("All tensors (41)")
    page.get_by_role("treeitem", name=re.compile("^pooler")).click()
    expect(page.locator("#changes h2")).to_have_text("bert.pooler")
    expect(page.get_by_text("The selected module has no tensor of its own with a mask.")).to_be_visible()


INSIDE = """(where) => {
  const picture = document.querySelector(where + ' img').getBoundingClientRect();
  return [...document.querySelectorAll(where + ' .bp-map-cell')].filter((button) => {
    const box = button.getBoundingClientRect();
    return box.width < 20 || box.height < 12 || box.left < picture.left || box.right > picture.right
      || box.top < picture.top || box.bottom > picture.bottom;
  }).map((button) => button.title);
}"""


def test_two_runs_are_compared_and_named_in_the_pages_language(
    visit: Callable[..., Any], tiny_zip: Callable[..., Path]
) -> None:
    from playwright.sync_api import expect

    page = visit()
    upload(page, tiny_zip("twice"))
    prune_by(page, "1. Key of the first layer")
    page.get_by_role("button", name="Compare two runs of this session").click()
    shown = page.locator("#comparison")
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(shown).to_contain_text("as it was opened")
    expect(shown).to_contain_text("Tensors that differ (1)")
    prune_by(page, "5. Global")
    expect(page.get_by_label("Second", exact=True)).to_have_value(
        re.compile("^2. twice-upload: l1_unstructured 20% global")
    )
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(shown).to_contain_text("Tensors that differ (6)")
    expect(shown).to_contain_text("First: 1. twice-upload: random_unstructured 30% local · Seed 0")
    assert page.evaluate(INSIDE, "#comparison") == []
    shown.get_by_role("button", name="attention.value, layer 1").click()
    expect(page.locator("#changes h2")).to_have_text("bert.encoder.layer.1.attention.self.value")
    choose(page, "Language", "한국어")
    expect(page.get_by_label("두 번째", exact=True)).to_have_value(re.compile("전역 · 시드 0$"))
    page.get_by_role("button", name="비교하기", exact=True).click()
    expect(shown).to_contain_text("서로 다른 텐서(6개)")
    tab(page, "2 레시피")
    expect(page.get_by_role("grid", name="이 단계의 역할과 레이어")).to_be_visible()
    assert not raw_texts(page)


def test_the_recipes_of_the_tutorial_work_in_order(visit: Callable[..., Any], tmp_path: Path) -> None:
    from playwright.sync_api import expect

    page = visit()
    steps, after = page.locator("#steps li"), page.locator("#changes .bp-after")
    walk = (
        ("2. …", 2, ["RandomUnstructured", "weight_mask", "bias_orig", "bias_mask", "L1Unstructured"]),
        ("3. …", 3, ["PruningContainer", "LnStructured"]),
        ("5. Global", 1, ["L1Unstructured"]),
    )
    for preset, count, words in walk:
        prune_by(page, preset)
        expect(page.locator("#summary tbody tr")).to_have_count(count)
        for word in words:
            expect(after).to_contain_text(word)
        tab(page, "2 Recipe")
        expect(steps).to_have_count(count)
        expect(page.locator("#prune-progress")).to_contain_text("weights are masked")
    for _ in walk[1:]:
        page.get_by_role("button", name="Undo", exact=True).click()
    expect(steps).to_have_count(2)  # every click counted, however fast
    expect(steps.first).to_contain_text("random_unstructured")
    expect(page.locator("#prune-progress")).to_contain_text("an earlier run")
    page.get_by_role("button", name="Redo", exact=True).click()
    expect(steps).to_have_count(3)
    page.get_by_role("button", name="Undo", exact=True).click()
    expect(steps).to_have_count(2)
    page.get_by_role("button", name="Recipe as YAML").click()
    saved = fetched_after(page, "Save as a file", tmp_path)
    recipe = bp.Recipe.load(saved)
    assert [step.method for step in recipe.steps] == ["random_unstructured", "l1_unstructured"]
    run = bp.prune("demo", recipe, seed=0)
    page.get_by_role("button", name="Prune", exact=True).click()
    expect(page.locator("#summary")).to_contain_text(f"{run.report.total.masked:,} of {run.report.total.size:,}")
    page.get_by_role("button", name="The same in Python").click()
    for line in run.as_python().splitlines()[-3:]:
        expect(page.locator(".cm-content").filter(has_text="prune.")).to_contain_text(line.strip())
